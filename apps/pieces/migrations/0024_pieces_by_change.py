from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('pieces', '0023_codes_of_older_deliveries'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='piece',
            index=models.Index(fields=['state_since'], name='pieces_by_change'),
        ),
    ]
