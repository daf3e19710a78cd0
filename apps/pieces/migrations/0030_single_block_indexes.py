from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('pieces', '0029_block_volumes'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='blockindex',
            index=models.Index(
                fields=['piece'],
                name='block_indexes_single',
                condition=models.Q(('outcome', 'INDEXED'), ('volume', None)),
            ),
        ),
    ]
