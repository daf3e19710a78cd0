"""Whether a report comes under the job's own lease, and the job is locked for it."""

from __future__ import annotations

from typing import Final

from apps.core.uuids import is_uuid
from apps.miners.models import Miner
from apps.sectors.errors.jobs import JobUnknown, LeaseLapsed, LeaseLost
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.selectors.jobs import lease_over_text
from apps.sectors.states import JobState
from poolsite.wire.pipeline import SectorState

LOCKED: Final = """
SELECT job.* FROM sectors_job job JOIN miners_miner miner ON miner.id = job.miner_id
WHERE job.uuid = %s AND miner.tenant_id = %s FOR UPDATE OF job"""
"""Written out, as are the rows that belong to it: a query of Django's for all four took most of a report."""


def job_for_report(job_id: str, *, token: int, tenant_id: int) -> Job:
    """Lock a job for a report.  Raises JobUnknown, LeaseLost.

    A lease that merely ran out still counts as long as nobody else has claimed the job: the token is
    the fence, the clock only says when others may try.
    """
    if not is_uuid(job_id):
        raise JobUnknown(job_id)
    job = next(iter(Job.objects.raw(LOCKED, [job_id, tenant_id])), None)
    if job is None:
        raise JobUnknown(job_id)
    if job.lease_token != token:
        raise LeaseLost(lease_over_text(job, token))
    # Read once the job is locked: what else is known of it is what its last report or transfer left.
    [job.miner] = Miner.objects.raw("SELECT * FROM miners_miner WHERE id = %s", [job.miner_id])
    if job.miner.tenant_id != tenant_id:
        raise JobUnknown(job_id)
    if job.sector_id is not None:
        [job.sector] = Sector.objects.raw("SELECT * FROM sectors_sector WHERE id = %s", [job.sector_id])
        job.sector.miner = job.miner
    if job.worker_id is not None:
        [job.worker] = Worker.objects.raw("SELECT * FROM sectors_worker WHERE id = %s", [job.worker_id])
    return job


def lease_check(job: Job) -> None:
    """Refuse a report on a job that is not being worked on.  Raises LeaseLost."""
    if job.state not in (JobState.LEASED, JobState.READY) or _is_given_back(job):
        raise LeaseLost


def holder_check(job: Job) -> None:
    """Refuse a report on a run or on unsealing whose lease ran out, until a heartbeat takes it again.

    What the stage made lies on one host's disk: the next one is for that host, and only heartbeats name it.
    Raises LeaseLapsed.
    """
    if job.worker_id is None:
        raise LeaseLapsed


def _is_given_back(job: Job) -> bool:
    """Return whether a host has released a new sector: what it does of it all the same lies nowhere.

    Any other host may claim the sector, and would go on with files that it does not have.
    """
    is_unbound = job.worker_id is None and job.sticky_worker_id is None
    return is_unbound and job.sector is not None and job.sector.state == SectorState.ALLOCATED
