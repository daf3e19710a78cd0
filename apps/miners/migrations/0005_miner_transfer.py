"""Hand-overs are called transfers."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('miners', '0004_chainroots'), ('users', '0001_initial')]

    operations = [
        migrations.RenameModel('HandOver', 'MinerTransfer'),
        migrations.RenameField('MinerTransfer', 'giver', 'from_tenant'),
        migrations.RenameField('MinerTransfer', 'receiver', 'to_tenant'),
        migrations.RemoveConstraint('MinerTransfer', 'one_hand_over_per_key'),
        migrations.AddConstraint(
            'MinerTransfer',
            models.UniqueConstraint(fields=('miner', 'key'), name='one_transfer_per_key'),
        ),
        migrations.AlterField(
            'MinerTransfer',
            'miner',
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name='transfers', to='miners.miner'
            ),
        ),
    ]
