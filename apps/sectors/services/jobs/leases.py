"""Ending leases: whatever still reports under one that was ended is refused."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.core.live import Change, publish_all
from apps.core.transitions import advance
from apps.sectors.models import Job, Worker
from apps.sectors.selectors.restored import lease_token_next
from apps.sectors.services.jobs.claim_statements import SWEEP
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import JobState


def leases_end(worker: Worker, *, now: datetime, reason: str) -> int:
    """End every lease of `worker`: the tokens grow, so whatever still reports under them is refused."""
    rows = Job.objects.select_for_update(of=("self",)).filter(worker=worker, state=JobState.LEASED)
    jobs = list(rows.order_by("pk"))
    for job in jobs:
        stage, token = job.stage, job.lease_token
        advance(job, "FREE", worker=None, lease_until=None, lease_token=lease_token_next(), updated_at=now)
        job_event_write(
            job,
            event="LEASE_OVER",
            now=now,
            actor=worker.name,
            token=token,
            stage=stage,
            worker=worker,
            note=reason,
        )
    return len(jobs)


@transaction.atomic
def leases_sweep(*, now: datetime) -> int:
    """Free jobs whose lease ran out, so that pages and forecasts see it; claims would find them anyway."""
    freed = SWEEP.rows([now])
    publish_all([Change("job", pk, tenant_id) for pk, tenant_id in freed])
    return len(freed)
