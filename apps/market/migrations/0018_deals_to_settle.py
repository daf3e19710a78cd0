from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('market', '0017_deals_by_last_payment'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(condition=models.Q(('settled_to__lt', models.F('earns_until'))), fields=['settled_at'], name='deals_to_settle'),
        ),
    ]
