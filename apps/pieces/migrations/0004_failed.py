from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pieces', '0003_deliveries'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='piece',
            index=models.Index(condition=models.Q(('state', 'FAILED')), fields=['miner'], name='pieces_failed'),
        ),
    ]
