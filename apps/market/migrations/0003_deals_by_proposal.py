from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('market', '0002_published_deals'),
    ]

    operations = [
        AddIndexBesideWriters(
            model_name='deal',
            index=models.Index(condition=models.Q(('proposal_cid', ''), _negated=True), fields=['proposal_cid'], name='deals_by_proposal'),
        ),
    ]
