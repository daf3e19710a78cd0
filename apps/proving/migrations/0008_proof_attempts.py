"""Attempts at a proof as rows of their own; 0009 takes away the columns that held them."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

OPEN = ('RUNNING', 'STALLED', 'KEPT')


def state_of(post, *, open_in, otherwise='CANCELLED'):
    """Return the state of an attempt that runs while the proof is in `open_in`."""
    return 'RUNNING' if post.state == open_in else otherwise


def rows_of(post, attempt):
    """Return the attempts that the columns of one proof stand for."""
    ended = {'PROVED': 'TAKEN', 'SENT': 'TAKEN', 'LANDED': 'TAKEN', 'NOTHING': 'FAILED'}.get(post.state, 'CANCELLED')
    if post.job_id is not None:
        state = state_of(post, open_in='PROVING', otherwise=ended)
        state = 'STALLED' if state == 'RUNNING' and post.stall else state
        yield attempt(post=post, kind='FIRST', job=post.job, state=state, reason=post.stall)
    if post.backup_job_id is not None:
        yield attempt(post=post, kind='BACKUP', job=post.backup_job, state=state_of(post, open_in='PROVING'))
    if post.recheck_job_id is not None:
        yield attempt(post=post, kind='RECHECK', job=post.recheck_job, state=state_of(post, open_in='PROVED'))
    if post.fallback and post.state == 'PROVING':
        yield attempt(
            post=post,
            kind='FALLBACK',
            state='KEPT',
            proof=post.fallback_proof,
            partitions=post.fallback['partitions'],
            skipped=post.fallback['skipped'],
        )


def move(apps, schema_editor):
    attempt = apps.get_model('proving', 'ProofAttempt')
    posts = apps.get_model('proving', 'WindowPost').objects.select_related('job', 'backup_job', 'recheck_job')
    for post in posts.defer('job__inputs', 'job__proof', 'backup_job__inputs', 'backup_job__proof').iterator(500):
        for row in rows_of(post, attempt):
            job = row.job
            worker = None if job is None else job.worker
            row.host = worker.name if worker else '' if job is None else (job.result.get('worker') or '')[:100]
            row.save()


def columns_of(row):
    """Return the columns of a proof that one open attempt stands for."""
    if row.kind == 'FIRST':
        return {'job': row.job, 'stall': row.reason if row.state == 'STALLED' else ''}
    if row.kind == 'FALLBACK':
        return {'fallback_proof': row.proof, 'fallback': {'partitions': row.partitions, 'skipped': row.skipped}}
    return {{'BACKUP': 'backup_job', 'RECHECK': 'recheck_job'}[row.kind]: row.job}


def move_back(apps, schema_editor):
    posts = apps.get_model('proving', 'WindowPost').objects
    for row in apps.get_model('proving', 'ProofAttempt').objects.filter(state__in=OPEN).select_related('job'):
        posts.filter(pk=row.post_id).update(**columns_of(row))


class Migration(migrations.Migration):
    dependencies = [('proving', '0007_backup_jobs'), ('sectors', '0011_batch_reasons')]

    operations = [
        migrations.CreateModel(
            name='ProofAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('kind', models.CharField(choices=[('FIRST', 'First try'), ('BACKUP', 'Backup prover'), ('RECHECK', 'Re-check'), ('FALLBACK', 'Fallback')], max_length=16)),
                ('state', models.CharField(choices=[('RUNNING', 'Running'), ('STALLED', 'Stalled'), ('KEPT', 'Kept'), ('TAKEN', 'Taken'), ('FAILED', 'Failed'), ('CANCELLED', 'Cancelled')], default='RUNNING', max_length=16)),
                ('host', models.CharField(blank=True, max_length=100)),
                ('reason', models.CharField(blank=True, max_length=300)),
                ('proof', models.BinaryField(null=True)),
                ('partitions', models.JSONField(default=list)),
                ('skipped', models.JSONField(default=dict)),
                ('job', models.OneToOneField(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='proof_attempt', to='sectors.job')),
                ('post', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='attempts', to='proving.windowpost')),
            ],
            options={'ordering': ['pk']},
        ),
        migrations.AddConstraint(
            'ProofAttempt',
            models.UniqueConstraint(condition=models.Q(('state__in', list(OPEN))), fields=('post', 'kind'), name='one_open_attempt_of_each_kind'),
        ),
        migrations.RunPython(move, move_back, elidable=True),
    ]
