"""The columns of a proof that its attempts have taken over go."""

from __future__ import annotations

from django.db import migrations

GONE = ('job', 'backup_job', 'stall', 'recheck_job', 'fallback', 'fallback_proof', 'proofs_made')


class Migration(migrations.Migration):
    dependencies = [('proving', '0008_proof_attempts')]

    operations = [migrations.RemoveField('WindowPost', name) for name in GONE]
