from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('market', '0024_data_unsealed'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(
                models.F('start_epoch') + models.F('duration'),
                name='deals_by_end',
                condition=models.Q(('chain_deal__isnull', False), ('state', 'ACTIVE')),
            ),
        ),
    ]
