"""Miners of a tenant begin their sectors in turn: new ones are found by miner, and each has a number of its turn."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('miners', '0009_removed_days'),
        ('sectors', '0021_sectors_to_update'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='job',
            name='jobs_new',
        ),
        migrations.AddField(
            model_name='job',
            name='turn',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('kind', 'seal'), ('state__in', ['READY', 'LEASED']), ('sticky_worker', None)), fields=['miner', '-time_sensitive', '-priority', '-rank', 'created_at', 'id'], name='jobs_new'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('turn__isnull', False)), fields=['miner', '-turn'], name='jobs_turns'),
        ),
    ]
