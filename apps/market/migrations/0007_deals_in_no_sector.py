from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('market', '0006_doors'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(condition=models.Q(('state__in', ['ACCEPTED', 'TRANSFERRING', 'UNPUBLISHED', 'PUBLISHING', 'VERIFIED'])), fields=['start_epoch'], name='deals_in_no_sector'),
        ),
    ]
