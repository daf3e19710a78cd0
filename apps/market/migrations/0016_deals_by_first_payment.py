from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('market', '0015_deal_income'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(condition=models.Q(('earns_from__isnull', False)), fields=['miner', 'earns_from'], name='deals_by_first_payment'),
        ),
    ]
