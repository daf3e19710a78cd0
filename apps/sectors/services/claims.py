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
from poolsite.wire.pipeline import Stage

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


def kinds_free(now: datetime) -> frozenset[tuple[int, str]]:
    """Return of which tenants jobs of which kinds are free."""
    return frozenset((tenant_id, kind) for tenant_id, kind in KINDS.rows([now]))


@transaction.atomic
def jobs_claim(worker: Worker, claim: Claim, *, now: datetime, among: Q | None = None) -> Claimed:
    """Lease up to `claim.max` jobs to `worker`, the most urgent first; `among` are those that it takes.

    A sector whose files lie on a host is offered to that host alone; where its miner has roles, a new one and
    proofs go to hosts that hold the role, which nobody moves meanwhile.  While the console's disk is full no
    new sector begins; those in progress and proofs go on.  Two workers never get the same job: rows that
    another claim has locked are passed over.  Where the network takes proofs that the worker does not
    make there is no work.  Raises WorkerReplaced, WorkerRetired.
    """
    boot_check(worker, claim.boot_id)
    if not WAITING.rows([now, worker.tenant_id]) or not makes_proofs_here(worker.hardware):
        return Claimed(jobs=())
    roles = host_roles(tenant_id=worker.tenant_id, host=worker_machine(worker), now=now, lock=True)
    free = dict(claim.stages)
    rooms = 0 if disk_space().level is DiskLevel.FULL else claim.new_sectors
    taken: list[Assignment] = []
    while len(taken) < claim.max:
        job = _next_job(
            worker, roles, kinds=claim.kinds, free=free, new_sectors=rooms > 0, now=now, among=among
        )
        if job is None or _is_restored(job, worker, roles, now=now):
            break
        if job.kind == JobKind.SEAL:
            rooms -= job.sticky_worker_id is None
        if job.kind in STAGED:
            free[job.stage] -= 1
        taken.append(_lease(job, worker=worker, now=now))
    return Claimed(jobs=tuple(taken))


def _next_job(
    worker: Worker,
    roles: HostRoles,
    *,
    kinds: tuple[JobKind, ...],
    free: dict[str, int],
    new_sectors: bool,
    now: datetime,
    among: Q | None = None,
) -> Job | None:
    idle = Q(state=JobState.READY) | Q(state=JobState.LEASED, lease_until__lt=now)
    due = Q(not_before=None) | Q(not_before__lte=now)
    here = Q(sticky_worker=worker)
    if new_sectors:
        here |= Q(sticky_worker=None) & _begun_by(roles)
    proofs = Q(kind__in=[kind for kind in kinds if kind not in STAGED])
    wanted = proofs & _offered(worker, roles) & (Q(expires_at=None) | Q(expires_at__gt=now))
    stages = [stage for stage, count in free.items() if count > 0]
    if JobKind.SEAL in kinds and stages:
        wanted |= (
            Q(kind=JobKind.SEAL, stage__in=stages) & here & ~Q(miner__in=miners_unrecovered()) & _unclaimed()
        )
    if stages:
        stored = [kind for kind in kinds if kind in STAGED and kind != JobKind.SEAL]
        offered = Q(kind__in=stored, stage__in=stages, offered_to__contains=[worker.pk])
        offered &= ~Q(miner__in=miners_unrecovered())
        # A replica that is made again takes the disk of a new sector.
        wanted |= offered if new_sectors else offered & ~Q(kind=JobKind.REBUILD, stage=Stage.ADD_PIECE)
    job = (
        Job.objects.filter(idle & due & wanted & (among or Q()), miner__tenant_id=worker.tenant_id)
        .select_related("miner")
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("-time_sensitive", "-priority", "-rank", "created_at", "pk")
        .first()
    )
    # A transfer holds the job while it runs; the one that ended after our look is seen by this second one.
    if job is None or not Miner.objects.filter(pk=job.miner_id, tenant_id=worker.tenant_id).exists():
        return None
    return job


def _begun_by(roles: HostRoles) -> Q:
    """Return which new sectors a host may begin: those with clients' data need the role for deals."""
    if not roles.ruled:
        return Q()
    has_data = ~Q(sector__pieces=[])
    return ~has_data & ~Q(miner__in=roles.barred(RoleKind.SEAL)) | has_data & ~Q(
        miner__in=roles.barred(RoleKind.DEAL)
    )


def _offered(worker: Worker, roles: HostRoles) -> Q:
    """Return which proofs a worker may make: those offered to it or to all, as its host's roles allow.

    A backup prover makes what it is asked for by name alone.
    """
    to_all, to_it = Q(offered_to__isnull=True), Q(offered_to__contains=[worker.pk])
    if not roles.ruled:
        return to_all | to_it
    return to_all & ~Q(miner__in=roles.barred(RoleKind.WINDOW)) | to_it & ~Q(
        miner__in=roles.barred(RoleKind.WINDOW, RoleKind.BACKUP)
    )


def _is_restored(job: Job, worker: Worker, roles: HostRoles, *, now: datetime) -> bool:
    """Return whether the database turns out to be a restored one, whose word the job would be given on.

    That is the case for a sector if the host has not told what it has, and for a proof if roles were read
    before that was noticed.
    """
    if job.kind in STAGED:
        return must_register(worker, restore_check(now=now))
    return bool(roles.ruled) and restore_check(now=now).restored_at != roles.restored_at


def _unclaimed() -> Q:
    """Keep back sectors of a restored backup that a host may have begun until every host has reported."""
    recovery = sectors_recovery()
    if recovery is None or not hosts_unreported(recovery).exists():
        return Q()
    return Q(sticky_worker__isnull=False) | Q(created_at__gt=recovery.restored_at)


def _lease(job: Job, *, worker: Worker, now: datetime) -> Assignment:
    data: dict[str, Any] = {"sticky_worker": worker} if job.kind == JobKind.SEAL else proof_claim_columns()
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
    if job.sector_id is not None:
        job.sector = Sector.objects.select_related("miner").get(pk=job.sector_id)
        begun = {"progress_done": 0, "progress_total": 0, "progress_unit": "", "error": "", "error_level": ""}
        Sector.objects.filter(pk=job.sector_id).update(**begun)
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
