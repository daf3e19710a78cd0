"""Leases that a heartbeat renews, and how far the jobs under them are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from apps.chain.selectors.heads import head_current
from apps.core.live import Change, publish, publish_all
from apps.core.prepared_statements import Prepared
from apps.core.transitions import advance
from apps.core.uuids import is_uuid
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.states import JobState
from poolsite.wire.hosts import HeldJob, Renewed
from poolsite.wire.job_reports import Progress
from poolsite.wire.jobs import JobKind

RENEW: Final = Prepared(
    "leases_renew",
    """
WITH told AS (
  SELECT * FROM unnest($3::uuid[], $4, $5, $6, $7, $8) AS told(uuid, token, stage, done, total, unit)
), held AS (
  SELECT job.id, job.sector_id, job.lease_s, job.stage = told.stage AS is_on, told.*
  FROM sectors_job job JOIN told ON told.uuid = job.uuid AND told.token = job.lease_token
  WHERE job.state = 'LEASED' AND job.worker_id = $2 ORDER BY job.id FOR UPDATE OF job
), renewed AS (
  UPDATE sectors_job job SET lease_until = $1 + job.lease_s * interval '1 second', heard_at = $1
  FROM held WHERE job.id = held.id
), moved AS (
  UPDATE sectors_sector sector
  SET progress_done = held.done, progress_total = held.total, progress_unit = held.unit
  FROM held WHERE sector.id = held.sector_id AND held.is_on
    AND (sector.progress_done, sector.progress_total, sector.progress_unit)
        IS DISTINCT FROM (held.done, held.total, held.unit)
  RETURNING sector.id, sector.uuid
)
SELECT held.uuid::text, held.lease_s, held.sector_id IS NULL AND held.is_on, moved.uuid::text
FROM held LEFT JOIN moved ON moved.id = held.sector_id""",
    ["timestamptz", "bigint", "text[]", "bigint[]", "text[]", "bigint[]", "bigint[]", "text[]"],
)
"""Prolongs a worker's leases and notes how far the stages of its sectors are, all in one statement.

Gives each job's id, its lease, whether it is a proof that has told something, and its sector if that moved.
"""


def leases_renew(worker: Worker, *, held_jobs: Sequence[HeldJob], now: datetime) -> list[Renewed]:
    """Prolong leases and store their progress; return those that the worker still holds.

    A host holds dozens: a heartbeat takes as many statements for all of them as for one.
    """
    reported = {UUID(one.id): one for one in held_jobs if is_uuid(one.id)}
    if not reported:
        return []
    fields = [(str(uuid), *progress_encode(one.progress)) for uuid, one in reported.items()]
    rows = RENEW.rows([now, worker.pk, *map(list, zip(*fields, strict=True))])
    publish_all([Change("sector", sector, worker.tenant_id) for *_, sector in rows if sector is not None])
    proofs = [uuid for uuid, _, is_told_proof, _ in rows if is_told_proof]
    for job in Job.objects.filter(uuid__in=proofs) if proofs else ():
        proof_progress_store(job, progress=reported[job.uuid].progress)
    leases = {UUID(uuid): lease_s for uuid, lease_s, *_ in rows}
    if len(leases) < len(reported):
        late = [one for uuid, one in reported.items() if uuid not in leases]
        leases |= {job.uuid: job.lease_s for job in _proofs_go_on(worker, late, now=now)}
    return [
        Renewed(id=one.id, token=one.progress.token, lease_s=leases[uuid])
        for uuid, one in reported.items()
        if uuid in leases
    ]


def progress_encode(progress: Progress) -> tuple[int, str, int, int, str]:
    """Return token, stage, done, total and unit."""
    return progress.token, progress.stage, progress.done, progress.total, progress.unit


def _proofs_go_on(worker: Worker, held_jobs: Sequence[HeldJob], *, now: datetime) -> list[Job]:
    """Lease proofs again whose lease merely ran out, as long as nobody else has claimed them.

    The console may have been away for longer than the few seconds of such a lease; the work would be lost.
    """
    reported = {UUID(one.id): one.progress for one in held_jobs}
    ran_out = Q(state=JobState.READY, not_before=None, lease_token__gt=0) & ~Q(kind=JobKind.SEAL)
    rows = Job.objects.filter(ran_out, uuid__in=reported, miner__tenant_id=worker.tenant_id)
    gone_on: list[Job] = []
    for job in rows.select_for_update(of=("self",)).order_by("pk"):
        if job.lease_token != reported[job.uuid].token:
            continue
        until = now + timedelta(seconds=job.lease_s)
        advance(job, "GO_ON", worker=worker, updated_at=now, lease_until=until, heard_at=now)
        if reported[job.uuid].stage == job.stage:
            progress_store(job, progress=reported[job.uuid])
        gone_on.append(job)
    return gone_on


def progress_store(job: Job, *, progress: Progress) -> None:
    """Show how far a sector's stage is, or a proof."""
    if job.sector_id is None:
        proof_progress_store(job, progress=progress)
        return
    columns = {
        "progress_done": progress.done,
        "progress_total": progress.total,
        "progress_unit": progress.unit,
    }
    sector = Sector.objects.filter(pk=job.sector_id)
    if sector.exclude(**columns).update(**columns):
        uuid, tenant_id = sector.values_list("uuid", "miner__tenant_id").get()
        publish(Change("sector", str(uuid), tenant_id))


def proof_progress_store(job: Job, *, progress: Progress) -> None:
    """Note how far a proof is, and at which height it was last heard to have come further.

    By the console's own head: a host that says the same, or less, does not move.
    """
    facts: dict[str, Any] = {"progress_total": progress.total, "progress_unit": progress.unit}
    if progress.done > job.progress_done:
        head = head_current()
        facts |= {"progress_done": progress.done, "moved_height": None if head is None else head.height}
    if any(getattr(job, name) != value for name, value in facts.items()):
        Job.objects.filter(pk=job.pk).update(**facts)
