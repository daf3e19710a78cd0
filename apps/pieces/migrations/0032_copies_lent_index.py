from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('pieces', '0031_copies_lent'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='piece',
            index=models.Index(
                fields=['copy_read_at'],
                name='pieces_copies_lent',
                condition=models.Q(('copy_read_at__isnull', False)),
            ),
        ),
    ]
