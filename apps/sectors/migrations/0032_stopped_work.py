from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sectors', '0031_portable_jobs'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='sectorchange',
            index=models.Index(condition=models.Q(('state__in', ['TERMINATE_FAILED', 'EXTEND_FAILED'])), fields=['updated_at'], name='changes_failed'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('kind', 'unseal'), ('state', 'FAILED')), fields=['miner'], name='jobs_unseal_failed'),
        ),
        migrations.AddIndex(
            model_name='storemove',
            index=models.Index(condition=models.Q(('state', 'FAILED')), fields=['updated_at'], name='moves_failed'),
        ),
    ]
