"""Holes are called gaps, and rules for proofs in a hurry rules for automatic fee bumps."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('messages', '0010_expiring')]

    operations = [
        migrations.RenameModel('HurryRule', 'AutoBumpRule'),
        migrations.RenameField('Message', 'hurried_height', 'fee_bumped_height'),
        migrations.RenameField('Sender', 'hole_nonce', 'gap_nonce'),
        migrations.RenameField('Sender', 'hole_height', 'gap_height'),
        migrations.RenameField('Sender', 'looked_at_height', 'checked_height'),
    ]
