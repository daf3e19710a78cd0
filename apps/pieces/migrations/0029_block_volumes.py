from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pieces', '0028_hash_chunks'),
    ]

    operations = [
        migrations.CreateModel(
            name='BlockVolume',
            fields=[
                ('name', models.UUIDField(primary_key=True, serialize=False)),
                ('blocks', models.BigIntegerField()),
            ],
        ),
        migrations.AddField(
            model_name='blockindex',
            name='volume',
            field=models.UUIDField(null=True),
        ),
    ]
