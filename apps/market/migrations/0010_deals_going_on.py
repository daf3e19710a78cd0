from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('market', '0009_serves_data_as_before'),
        ('pieces', '0024_pieces_by_change'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(condition=models.Q(('state__in', ['VERIFIED', 'SEALING']), models.Q(('piece', None), ('state', 'ACTIVE')), _connector='OR'), fields=['id'], name='deals_going_on'),
        ),
    ]
