from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('market', '0029_settlements'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(condition=models.Q(('settled_to__lt', models.F('earns_until'))), fields=['miner', 'settled_to'], name='deals_owing_longest'),
        ),
    ]
