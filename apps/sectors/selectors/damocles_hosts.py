"""What damocles-workers said that they do, and what they have in hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, QuerySet

from apps.sectors.models import DAMOCLES, DamoclesJob, Worker
from apps.sectors.rules.hardware import PLANS
from apps.sectors.states import JobState

PLANNED: Final = timedelta(days=1)
"""So long a damocles-worker counts as one that does what it asked for."""


def damocles_planned(tenant_id: int, kind: str, *, now: datetime) -> list[Worker]:
    """Return the damocles-workers that have lately asked for jobs of a kind."""
    rows = Worker.objects.filter(tenant_id=tenant_id, retired_at=None, kinds__contains=[DAMOCLES])
    return [row for row in rows.order_by("pk") if has_plan(row, kind, now=now)]


def has_plan(worker: Worker, kind: str, *, now: datetime) -> bool:
    """Return whether a damocles-worker has lately asked for jobs of a kind."""
    asked_at = worker.hardware.get(PLANS, {}).get(str(kind), 0)
    return bool(asked_at >= (now - PLANNED).timestamp())


def damocles_jobs_in_hand() -> QuerySet[DamoclesJob]:
    """Return the jobs over proven sectors that threads of damocles-workers have not done yet, nor lost."""
    rows = DamoclesJob.objects.filter(finished_at=None, token=F("job__lease_token"))
    return rows.filter(job__state__in=(JobState.READY, JobState.LEASED, JobState.PAUSED))
