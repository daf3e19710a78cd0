from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('market', '0014_deal_income'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(condition=models.Q(('earns_from__isnull', False)), fields=['miner', 'earns_from'], name='deals_by_first_payment'),
        ),
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(condition=models.Q(('earns_from__isnull', False)), fields=['miner', 'earns_until'], name='deals_by_last_payment'),
        ),
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(condition=models.Q(('settled_to__lt', models.F('earns_until'))), fields=['settled_at'], name='deals_to_settle'),
        ),
    ]
