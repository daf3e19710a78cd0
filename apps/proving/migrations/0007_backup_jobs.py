"""Forecasts, backup jobs and fallback proofs by their names."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('proving', '0006_windows_by_root')]

    operations = [
        migrations.RenameField('Deadline', 'outlook', 'forecast'),
        migrations.RenameField('WindowPost', 'relief', 'backup_job'),
        migrations.RenameField('WindowPost', 'doubt', 'stall'),
        migrations.RenameField('WindowPost', 'recheck', 'recheck_job'),
        migrations.RenameField('WindowPost', 'spare', 'fallback'),
        migrations.RenameField('WindowPost', 'spare_proof', 'fallback_proof'),
        migrations.AlterField(
            'WindowPost',
            'backup_job',
            models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='backup_of', to='sectors.job'
            ),
        ),
    ]
