"""WindowPoSts that damocles-workers prove: the jobs of the pool's own provers, under the same leases.

A job's id names its lease: a worker whose lease went to another host proves for nothing, and does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from apps.core.errors import Conflict
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import quoted
from apps.core.transitions import advance
from apps.core.uuids import is_uuid
from apps.damocles.reasons import NO_PROOF_NO_REASON, REMOVED_BY, RESET_BY
from apps.damocles.services.hosts import damocles_host_register, damocles_plan_note, may_take_work
from apps.sectors.errors.jobs import JobUnknown, LeaseLost
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.selectors.claim_rules import free_filter
from apps.sectors.selectors.restored import lease_token_next
from apps.sectors.services.jobs.claims import jobs_claim
from apps.sectors.services.jobs.reports import job_complete, job_fail
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import JobState
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.wire.codec import document_decode
from poolsite.wire.job_inputs import WindowPostInputs
from poolsite.wire.job_reports import TEXT_MAX, Complete, Fail, Level
from poolsite.wire.jobs import Claim, JobKind

LEASE_MIN_S: Final = 7
"""A damocles-worker says every 3 s that it is at a proof: more than two of these, however short a window."""
AT_ONCE: Final = 10
"""Proofs of one call; a worker asks for one for each of its threads."""
LISTED_MAX: Final = 1_000
"""Jobs of one list, the newest."""
ENDED: Final = (JobState.DONE, JobState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofSpec:
    """What a worker proves; empty: anything."""

    miners: tuple[int, ...] = ()
    post_proofs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofSector:
    """One sector of a proof, and where its files are."""

    number: int
    comm_r: bytes
    is_upgraded: bool
    store: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofJob:
    """A job as a worker and its operator see it."""

    id: str
    job: Job
    inputs: WindowPostInputs | None
    """None: it is over, and what it worked on is forgotten."""
    sectors: tuple[ProofSector, ...]


def proofs_claim(
    principal: Principal, *, spec: ProofSpec, count: int, name: str, now: datetime
) -> list[ProofJob]:
    """Lease proofs to a worker, the most urgent first, of sectors whose stores are all known.

    Raises WorkerRetired.
    """
    worker = damocles_host_register(principal, name=name, now=now)
    damocles_plan_note(worker, kind=JobKind.WINDOW_POST, now=now)
    count = min(count, AT_ONCE)
    if count < 1 or not may_take_work(worker):
        return []
    among = Q(kind=JobKind.WINDOW_POST)
    if spec.post_proofs:
        among &= Q(inputs__post_proof__in=spec.post_proofs)
    for miners in filter(None, (spec.miners, principal.miners)):
        among &= Q(miner__actor_id__in=miners)
    among &= ~Q(pk__in=_unplaced(principal, among, now))
    claim = Claim(
        worker_id=str(worker.uuid),
        boot_id=worker.boot_id,
        kinds=(JobKind.WINDOW_POST,),
        stages={},
        max=count,
    )
    claimed = [one.id for one in jobs_claim(worker, claim=claim, now=now, among=among).jobs]
    leased = Job.objects.filter(uuid__in=claimed, worker=worker, state=JobState.LEASED)
    until = now + timedelta(seconds=LEASE_MIN_S)
    leased.filter(lease_s__lt=LEASE_MIN_S).update(lease_s=LEASE_MIN_S, lease_until=until)
    jobs = Job.objects.filter(uuid__in=claimed).select_related("miner", "worker")
    return [_shown(job) for job in jobs.order_by("-time_sensitive", "pk")]


def _unplaced(principal: Principal, among: Q, now: datetime) -> list[int]:
    """Return the free proofs with a sector of which no store is known.

    A damocles-worker makes no proof at all then; a prover of the pool's looks for the files itself.
    """
    free = Job.objects.filter(among, free_filter(now), miner__tenant_id=principal.own_id)
    found = []
    for job in free.only("miner", "inputs"):
        inputs = document_decode(WindowPostInputs, job.inputs) if job.inputs else None
        numbers = {one.number for one in inputs.sectors} if inputs is not None else set()
        placed = Sector.objects.filter(miner=job.miner_id, number__in=numbers).exclude(store="")
        if placed.count() < len(numbers):
            found.append(job.pk)
    return found


def _shown(job: Job) -> ProofJob:
    name = f"{job.uuid}.{job.lease_token}"
    if not job.inputs:
        return ProofJob(id=name, job=job, inputs=None, sectors=())
    inputs = document_decode(WindowPostInputs, job.inputs)
    rows = Sector.objects.filter(miner=job.miner_id, number__in={one.number for one in inputs.sectors})
    known = {number: (store, key) for number, store, key in rows.values_list("number", "store", "key_comm_r")}
    sectors = []
    for one in inputs.sectors:
        store, key = known.get(one.number, ("", None))
        upgraded = key is not None
        sectors.append(ProofSector(number=one.number, comm_r=one.comm_r, is_upgraded=upgraded, store=store))
    return ProofJob(id=name, job=job, inputs=inputs, sectors=tuple(sectors))


def _named(name: str) -> tuple[str, int]:
    """Read a job's id.  Raises JobUnknown."""
    uuid, dot, token = name.partition(".")
    if not is_uuid(uuid) or not dot or not token.isascii() or not token.isdigit() or len(token) > 18:
        raise JobUnknown(name[:100])
    return uuid, int(token)


def _own(principal: Principal, uuid: str) -> Job:
    """Return a proof's job of the caller's.  Raises JobUnknown."""
    rows = Job.objects.select_related("miner", "worker").filter(kind=JobKind.WINDOW_POST, uuid=uuid)
    job = rows.filter(miner__tenant_id=principal.own_id).first()
    if job is None or not principal.may_mine(job.miner.actor_id or 0):
        raise JobUnknown(uuid)
    return job


def proofs_heartbeat(principal: Principal, *, names: Sequence[str], name: str, now: datetime) -> int:
    """Prolong the leases that a worker still has; returns of how many jobs.

    Raises WorkerRetired, JobUnknown.
    """
    reported = {(UUID(uuid), token) for uuid, token in map(_named, names)}  # read before a host's row is made
    worker = damocles_host_register(principal, name=name, now=now)
    renewed = 0
    with transaction.atomic():
        Worker.objects.filter(pk=worker.pk).update(seen_at=now)
        leased = Job.objects.filter(kind=JobKind.WINDOW_POST, worker=worker, state=JobState.LEASED)
        named = leased.filter(uuid__in={uuid for uuid, _ in reported})
        for job in named.select_for_update(of=("self",)).order_by("pk"):
            if (job.uuid, job.lease_token) in reported:
                job.lease_until, job.heard_at = now + timedelta(seconds=job.lease_s), now
                job.save(update_fields=["lease_until", "heard_at"])
                renewed += 1
    return renewed


def proof_finish(
    principal: Principal, *, name: str, proof: bytes, faults: Sequence[int], error: str, now: datetime
) -> bool:
    """Store a proof, the sectors that could not be read, or why there is none.

    Returns False where the lease is over: another host is at it, or nobody needs it any more.
    Raises JobUnknown, BadReport.
    """
    uuid, token = _named(name)
    job = _own(principal, uuid)
    try:
        if error or not (proof or faults):
            text = quoted(error[:TEXT_MAX], by="worker") or NO_PROOF_NO_REASON()
            fail = Fail(token=token, level=Level.TEMPORARY, stage=job.stage, error=text)
            job_fail(uuid, fail=fail, tenant_id=principal.own_id, now=now)
        else:
            took_ms = max(int((now - job.updated_at).total_seconds() * 1000), 1)  # since it was leased
            done = Complete(token=token, proof=proof, faults=tuple(faults), ms=took_ms)
            job_complete(uuid, complete=done, tenant_id=principal.own_id, now=now)
    except LeaseLost:
        return False
    return True


def proof_jobs_list(principal: Principal) -> list[ProofJob]:
    """Return the jobs of WindowPoSts, whoever proves them, the newest first."""
    rows = Job.objects.filter(kind=JobKind.WINDOW_POST, miner__tenant_id=principal.own_id)
    if principal.miners:
        rows = rows.filter(miner__actor_id__in=principal.miners)
    newest = rows.select_related("miner", "worker").order_by("-pk")[:LISTED_MAX]
    return [_shown(job) for job in newest]


@transaction.atomic
def proof_reset(principal: Principal, *, name: str, now: datetime) -> None:
    """Free a proof from its host, so that any may claim it; what it still says of it is refused.

    Raises JobUnknown, Conflict.
    """
    uuid, _ = _named(name)
    job = _open(principal, uuid)
    _audit(principal, "proving.job-reset", job)
    if job.lease_token:  # a host that hangs has lost its lease to the sweep, and its proof would be taken
        job_event_write(
            job,
            event="LEASE_OVER",
            now=now,
            actor=principal.actor,
            token=job.lease_token,
            stage=job.stage,
            worker=job.worker,
            note=RESET_BY(actor=principal.actor),
        )
        renewed = {"lease_token": lease_token_next(), "updated_at": now}
        if job.state == JobState.LEASED:
            advance(job, "FREE", worker=None, lease_until=None, **renewed)
        else:
            Job.objects.filter(pk=job.pk).update(**renewed)
        publish(Change("job", job.pk, job.miner.tenant_id))


@transaction.atomic
def proof_remove(principal: Principal, *, name: str, now: datetime) -> None:
    """End a proof's job: the window has another one made.  Raises JobUnknown, Conflict."""
    uuid, _ = _named(name)
    job = _open(principal, uuid)
    _audit(principal, "proving.job-remove", job)
    text = REMOVED_BY(actor=principal.actor)
    advance(job, "FAIL", worker=None, lease_until=None, error=text, updated_at=now)
    publish(Change("job", job.pk, job.miner.tenant_id))


def _open(principal: Principal, uuid: str) -> Job:
    """Lock a job that is not over.  Raises JobUnknown, Conflict."""
    found = _own(principal, uuid)
    job = Job.objects.select_for_update(of=("self",)).select_related("miner", "worker").get(pk=found.pk)
    if job.state in ENDED:
        raise Conflict(gettext("the proof's job has already ended"))
    return job


def _audit(principal: Principal, action: str, job: Job) -> None:
    before = {"job": str(job.uuid), "host": "" if job.worker is None else job.worker.name}
    audit_record(principal=principal, action=action, target=job.miner.address, before=before, after=None)
