"""C1 done anew for sectors whose host has lost its slots for C2: only then does what it gives travel."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from apps.sectors.models import Job, JobEvent, Sector
from apps.sectors.reasons import C1_REPEATED, C2_STUCK
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.steps import job_lock, sector_pause, sector_step
from apps.sectors.states import JobState
from poolsite.wire.job_reports import Level
from poolsite.wire.pipeline import BACK_TO, SectorState, Stage

REPEATS_MAX: Final = 3
"""Of one sector: a host that hands nothing over would do C1 for ever."""
BACK: Final = f"{BACK_TO}{SectorState.SEED_ASSIGNED}"


def c1_repeat(in_progress: SectorsInProgress, *, now: datetime) -> int:
    """Set sectors back to C1 whose C2 nobody can do; gives how many."""
    done = in_progress.sectors_in(SectorState.C1_DONE)
    if not done:
        return 0
    stranded = _stranded().filter(sector__in=[sector.pk for sector in done])
    return sum(_set_back(job.sector, now=now) for job in stranded.select_related("sector") if job.sector)


@transaction.atomic
def _set_back(sector: Sector, *, now: datetime) -> bool:
    """Set one sector back, if it still waits as it was seen."""
    job, current = job_lock(sector.pk)
    is_waiting = current.state == SectorState.C1_DONE and current.paused_at is None
    if not is_waiting or not _stranded().filter(pk=job.pk).exists():
        return False
    if JobEvent.objects.filter(job=job, event=BACK, actor="console").count() >= REPEATS_MAX:
        sector_pause(current, job=job, error=C2_STUCK(), level=Level.PERMANENT, now=now)
        return False
    sector_step(current, event=BACK, job=job, now=now, actor="console", note=C1_REPEATED())
    return True


def _stranded() -> QuerySet[Job]:
    """Return the jobs that wait for C2 with a host that does C1 and no C2; nobody else has its output."""
    waiting = Job.objects.filter(state=JobState.READY, stage=Stage.C2, is_portable=False)
    return waiting.filter(sticky_worker__slots__C2=0, sticky_worker__slots__C1__gt=0)
