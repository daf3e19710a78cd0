from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('miners', '0008_control_ids'),
    ]

    operations = [
        migrations.AddField(
            model_name='miner',
            name='new_worker',
            field=models.CharField(blank=True, default='', max_length=128),
        ),
        migrations.AddField(
            model_name='miner',
            name='new_worker_epoch',
            field=models.BigIntegerField(null=True),
        ),
    ]
