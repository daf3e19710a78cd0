"""Claims: a worker asks for work, and gets each job alone, under a token that outdates all earlier ones."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import Q

from apps.chain.selectors import head_current
from apps.core.disk import DiskLevel, disk_space
from apps.core.live import Change, publish
from apps.core.prepared_statements import Prepared
from apps.core.transitions import advance
from apps.messages.services.recovery.detect import restore_check
from apps.miners.models import Miner
from apps.miners.selectors import HostRoles, host_roles
from apps.miners.states import RoleKind
from apps.sectors.host_selectors import worker_machine
from apps.sectors.job_selectors import job_assignment
from apps.sectors.models import Job, Sector
from apps.sectors.proof_forms import makes_proofs_here
from apps.sectors.restored import (
    hosts_unreported,
    lease_token_next,
    miners_unrecovered,
    must_register,
    sectors_recovery,
)
from apps.sectors.services.hosts import boot_check
from apps.sectors.states import JobState
from poolsite.wire.jobs import STAGED, Claimed, JobKind

if TYPE_CHECKING:
    from datetime import datetime

    from apps.sectors.host_models import Worker
    from poolsite.wire.jobs import Assignment, Claim


FREE: Final = (
    "FROM sectors_job job JOIN miners_miner miner ON miner.id = job.miner_id"
    " WHERE (job.state = 'READY' OR job.state = 'LEASED' AND job.lease_until < $1)"
    " AND (job.not_before IS NULL OR job.not_before <= $1)"
    " AND (job.expires_at IS NULL OR job.expires_at > $1)"
)
"""Jobs that some host may have now."""
WAITING: Final = Prepared(
    "jobs_waiting",
    f"SELECT 1 {FREE} AND miner.tenant_id = $2 LIMIT 1",  # a constant
    ["timestamptz", "bigint"],
)
"""Whether any job of a tenant is free; most claims find none, and to choose one costs ten times as much."""
KINDS: Final = Prepared(
    "job_kinds_free",
    f"SELECT DISTINCT miner.tenant_id, job.kind {FREE}",  # a constant
    ["timestamptz"],
)

ORDER: Final = "job.time_sensitive DESC, job.priority DESC, job.rank DESC, job.created_at, job.id"
"""The most urgent first; the index of new sectors has the same."""
URGENCY: Final = ("-time_sensitive", "-priority", "-rank", "created_at", "pk")
"""The same order in Django's words."""
LIVE: Final = "job.state IN ('READY', 'LEASED')"
"""Of the few jobs that are not over: what the indexes of jobs hold."""
CANDIDATES: Final = 16
"""Of each sort, before one is locked: more than other claims hold locked at the same moment."""
CHOSEN_MAX: Final = 1_000
"""Sectors to which one claim may be narrowed."""
NEXT: Final = Prepared(
    "job_next",
    f"""
WITH candidate AS (
  (SELECT job.id, job.stage, job.sticky_worker_id, job.offered_to {FREE} AND {LIVE}
     AND miner.tenant_id = $2 AND job.kind = 'seal' AND job.stage = ANY($5)
     AND job.sticky_worker_id = $3 AND $13 AND job.miner_id <> ALL($7) AND ($14 IS NULL OR job.id = ANY($14))
   ORDER BY {ORDER} LIMIT {CANDIDATES})
  UNION ALL
  (SELECT job.id, job.stage, job.sticky_worker_id, job.offered_to {FREE} AND {LIVE}
     AND miner.tenant_id = $2 AND job.kind = 'seal' AND job.stage = ANY($5)
     AND $6 AND $13 AND job.sticky_worker_id IS NULL AND job.miner_id <> ALL($7)
     AND ($8 IS NULL OR job.created_at > $8) AND ($14 IS NULL OR job.id = ANY($14))
     AND job.miner_id <> ALL(CASE WHEN cardinality($9) + cardinality($10) = 0 THEN $9
         WHEN (SELECT pieces FROM sectors_sector WHERE id = job.sector_id) = '[]' THEN $9 ELSE $10 END)
   ORDER BY {ORDER} LIMIT {CANDIDATES})
  UNION ALL
  (SELECT job.id, job.stage, job.sticky_worker_id, job.offered_to {FREE} AND {LIVE}
     AND miner.tenant_id = $2 AND job.is_portable AND job.stage = ANY($5) AND job.sticky_worker_id <> $3
     AND $13 AND job.miner_id <> ALL($7) AND job.miner_id <> ALL($9) AND $14 IS NULL
   ORDER BY {ORDER} LIMIT {CANDIDATES})
  UNION ALL
  (SELECT job.id, job.stage, job.sticky_worker_id, job.offered_to {FREE} AND {LIVE}
     AND miner.tenant_id = $2 AND job.kind = ANY($4) AND ($14 IS NULL OR job.id = ANY($14))
     AND CASE WHEN job.kind IN ('unseal', 'snap_up', 'rebuild')
         THEN job.stage = ANY($5) AND job.offered_to @> to_jsonb($3) AND job.miner_id <> ALL($7)
              AND ($6 OR NOT (job.kind = 'rebuild' AND job.stage = 'ADD_PIECE'))
         WHEN job.offered_to IS NULL THEN job.miner_id <> ALL($11)
         ELSE job.offered_to @> to_jsonb($3) AND job.miner_id <> ALL($12) END
   ORDER BY {ORDER} LIMIT {CANDIDATES})
)
SELECT job.id {FREE.replace("WHERE", "JOIN candidate ON candidate.id = job.id WHERE")}
  AND job.stage = candidate.stage AND job.sticky_worker_id IS NOT DISTINCT FROM candidate.sticky_worker_id
  AND job.offered_to IS NOT DISTINCT FROM candidate.offered_to
ORDER BY {ORDER} LIMIT 1 FOR UPDATE OF job SKIP LOCKED""",  # noqa: S608  # constants
    [
        "timestamptz",
        "bigint",
        "bigint",
        "text[]",
        "text[]",
        "boolean",
        "bigint[]",
        "timestamptz",
        *["bigint[]"] * 4,
        "boolean",
        "bigint[]",
    ],
)
"""The most urgent job that a host may have now, locked: `_next_job` gives the values in their order.

Four questions, as each has an index: what lies on the host ($3) and new sectors, if it seals ($13; $6:
there is room; $8: of a restored backup only later ones, while hosts may still report that they have begun
one), sectors of other hosts for whose next stage the console has all that is needed, and other work ($4)
that is offered to it or to all. $7 are miners that are not read back; $9 to $12 those for which its roles
bar it from sealing, from clients' data, from windows and from all that a backup prover may do. $14: to which
jobs the claim is narrowed. What another claim has locked is passed over; one that it changed is not taken.
"""


def kinds_free(now: datetime) -> frozenset[tuple[int, str]]:
    """Return of which tenants jobs of which kinds are free."""
    return frozenset((tenant_id, kind) for tenant_id, kind in KINDS.rows([now]))


@transaction.atomic
def jobs_claim(worker: Worker, claim: Claim, *, now: datetime, among: Q | None = None) -> Claimed:
    """Lease up to `claim.max` jobs to `worker`, the most urgent first; `among` are those that it takes.

    A sector whose files lie on a host is offered to that host alone, but for its C2 where that host has no
    slot for it; where its miner has roles, a new one and proofs go to hosts that hold the role, which nobody
    moves meanwhile.  While the console's disk is full no new sector begins; those in progress and proofs go
    on.  Two workers never get the same job: rows that another claim has locked are passed over.  Where the
    network takes proofs that the worker does not make there is no work.

    Raises WorkerReplaced, WorkerRetired.
    """
    boot_check(worker, claim.boot_id)
    if not WAITING.rows([now, worker.tenant_id]) or not makes_proofs_here(worker.hardware):
        return Claimed(jobs=())
    roles = host_roles(tenant_id=worker.tenant_id, host=worker_machine(worker), now=now, lock=True)
    free = dict(claim.stages)
    rooms = 0 if disk_space().level is DiskLevel.FULL else claim.new_sectors
    chosen = None if among is None else _chosen(worker, among, claim=claim, now=now)
    taken: list[Assignment] = []
    while len(taken) < claim.max:
        job = _next_job(
            worker, roles, kinds=claim.kinds, free=free, new_sectors=rooms > 0, now=now, among=chosen
        )
        if job is None or _is_restored(job, worker, roles, now=now):
            break
        if job.kind == JobKind.SEAL:
            rooms -= job.sticky_worker_id is None
        if job.kind in STAGED:
            free[job.stage] -= 1
        taken.append(_lease(job, worker=worker, now=now))
    return Claimed(jobs=tuple(taken))


def _chosen(worker: Worker, among: Q, *, claim: Claim, now: datetime) -> list[int]:
    """Return the keys of the sectors' jobs, the most urgent of what the worker may have, a claim is for."""
    is_free = Q(state=JobState.READY) | Q(state=JobState.LEASED, lease_until__lt=now)
    is_its = Q(sticky_worker=None) | Q(sticky_worker=worker)
    free = Job.objects.filter(among, is_free, is_its, kind=JobKind.SEAL, stage__in=list(claim.stages))
    mine = free.filter(miner__tenant_id=worker.tenant_id)
    return list(mine.order_by(*URGENCY).values_list("pk", flat=True)[:CHOSEN_MAX])


def _next_job(
    worker: Worker,
    roles: HostRoles,
    *,
    kinds: tuple[JobKind, ...],
    free: dict[str, int],
    new_sectors: bool,
    now: datetime,
    among: list[int] | None = None,
) -> Job | None:
    recovery = sectors_recovery()
    waits_for_hosts = recovery is not None and hosts_unreported(recovery).exists()
    found = NEXT.rows(
        [
            now,
            worker.tenant_id,
            worker.pk,
            [str(kind) for kind in kinds if kind != JobKind.SEAL],
            [stage for stage, count in free.items() if count > 0],
            new_sectors,
            [] if recovery is None else miners_unrecovered(),
            recovery.restored_at if recovery is not None and waits_for_hosts else None,
            roles.barred(RoleKind.SEAL),
            roles.barred(RoleKind.DEAL),
            roles.barred(RoleKind.WINDOW),
            roles.barred(RoleKind.WINDOW, RoleKind.BACKUP),
            JobKind.SEAL in kinds,
            among,
        ]
    )
    if not found:
        return None
    # A transfer holds the job while it runs; the one that ended after our look is seen by this second one.
    # Three rows by key, read as they are: Django's query for all of them took half of a claim's time.
    [job] = Job.objects.raw("SELECT * FROM sectors_job WHERE id = %s", [found[0][0]])
    [job.miner] = Miner.objects.raw("SELECT * FROM miners_miner WHERE id = %s", [job.miner_id])
    if job.miner.tenant_id != worker.tenant_id:
        return None
    if job.sector_id is not None:
        [job.sector] = Sector.objects.raw("SELECT * FROM sectors_sector WHERE id = %s", [job.sector_id])
        job.sector.miner = job.miner
    return job


def _is_restored(job: Job, worker: Worker, roles: HostRoles, *, now: datetime) -> bool:
    """Return whether the database turns out to be a restored one, whose word the job would be given on.

    That is the case for a sector if the host has not told what it has, and for a proof if roles were read
    before that was noticed.
    """
    if job.kind in STAGED:
        return must_register(worker, restore_check(now=now))
    return bool(roles.ruled) and restore_check(now=now).restored_at != roles.restored_at


def _lease(job: Job, *, worker: Worker, now: datetime) -> Assignment:
    data: dict[str, Any] = {} if job.kind == JobKind.SEAL else proof_claim_columns()
    if job.kind == JobKind.SEAL and not job.is_portable:
        data["sticky_worker"] = worker
    advance(
        job,
        "CLAIM",
        worker=worker,
        lease_token=lease_token_next(),
        lease_until=now + timedelta(seconds=job.lease_s),
        heard_at=now,
        not_before=None,
        updated_at=now,
        **data,
    )
    if job.sector is not None:
        begun = {"progress_done": 0, "progress_total": 0, "progress_unit": "", "error": "", "error_level": ""}
        if any(getattr(job.sector, name) != value for name, value in begun.items()):
            Sector.objects.filter(pk=job.sector.pk).update(**begun)
        publish(Change("sector", str(job.sector.uuid), worker.tenant_id))
    publish(Change("job", job.pk, worker.tenant_id))
    return job_assignment(job)


def proof_claim_columns() -> dict[str, Any]:
    """Return the columns of a proof that is claimed: the console counts its host's progress from here."""
    head = head_current()
    height = None if head is None else head.height
    counted = {"progress_done": 0, "progress_total": 0, "progress_unit": ""}
    return {"claimed_height": height, "moved_height": height, **counted}


@transaction.atomic
def leases_sweep(*, now: datetime) -> int:
    """Free jobs whose lease ran out, so that pages and forecasts see it; claims would find them anyway."""
    lapsed = (
        Job.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(state=JobState.LEASED, lease_until__lt=now)
        .select_related("miner")
    )
    count = 0
    for job in lapsed:
        advance(job, "FREE", worker=None, lease_until=None, updated_at=now)
        publish(Change("job", job.pk, job.miner.tenant_id))
        count += 1
    return count
