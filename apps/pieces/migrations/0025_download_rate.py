from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pieces', '0024_pieces_by_change'),
    ]

    operations = [
        migrations.AddField(
            model_name='piece',
            name='rate',
            field=models.BigIntegerField(null=True),
        ),
    ]
