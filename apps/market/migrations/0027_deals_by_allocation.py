from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('market', '0026_deals_without_copy'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(
                fields=['allocation'],
                name='deals_by_allocation',
                condition=models.Q(('allocation__isnull', False)),
            ),
        ),
    ]
