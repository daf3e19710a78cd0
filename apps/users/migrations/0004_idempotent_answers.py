from django.db import migrations, models


class Migration(migrations.Migration):
    """The table is the one that api.0001 made."""

    dependencies = [
        ('users', '0003_grants_by_hand'),
        ('api', '0002_idempotent_answers_to_users'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[
            migrations.CreateModel(
                name='IdempotentAnswer',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('caller', models.CharField(max_length=64)),
                    ('key', models.CharField(max_length=100)),
                    ('request', models.CharField(max_length=64)),
                    ('status', models.PositiveSmallIntegerField(default=0)),
                    ('body', models.TextField(blank=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    'db_table': 'api_idempotentanswer',
                    'constraints': [models.UniqueConstraint(fields=('caller', 'key'), name='one_answer_per_caller_and_key')],
                },
            ),
        ]),
    ]
