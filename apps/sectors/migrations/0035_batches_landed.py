from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sectors', '0034_store_names'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(
                condition=models.Q(('state', 'LANDED')), fields=['miner', 'landed_height'], name='batches_landed'
            ),
        ),
    ]
