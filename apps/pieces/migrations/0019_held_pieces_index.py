from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('pieces', '0018_held_pieces'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='piece',
            index=models.Index(condition=models.Q(('held_for__isnull', False)), fields=['held_for'], name='pieces_held_for'),
        ),
    ]
