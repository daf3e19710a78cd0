"""One proof for the commits of many sectors: asked of a host, kept until its batch is written.

Which sectors go together stands fixed while a host makes their proof.  Single proofs are the other choice:
they go where nobody aggregates, where they cost less gas, and where an aggregate is late.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from django.db import transaction

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.miners.models import Miner
from apps.miners.selectors.roles import HostRoles, host_roles
from apps.miners.states import RoleKind
from apps.sectors.models import CommitAggregate, Job, Sector, Worker
from apps.sectors.reasons import AGGREGATE_FAILED, AGGREGATE_LATE, NONE_WAITS, OTHER_SECTORS, SINGLE_PROOFS
from apps.sectors.selectors.hosts import worker_machine
from apps.sectors.selectors.proof_forms import proof_verifier
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.choosing import DEADLINE
from apps.sectors.states import JobState
from poolsite.filecoin.proof_verifier import BAD_PROOFS, ProvenSeal, is_container
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.codec import document_encode
from poolsite.wire.job_inputs import AggregateInputs
from poolsite.wire.jobs import JobKind

log = structlog.get_logger(__name__)

MIN_SECTORS: Final = 4
MAX_SECTORS: Final = 819
"""What ProveCommitSectors3 takes.  Source: builtin-actors actors/miner/src/policy.rs."""
NEEDED_WAITS: Final = 4
"""How many times as long an aggregate without which nothing goes is waited for, before others are asked."""


@dataclass(frozen=True, slots=True)
class Aggregated:
    """What became of an aggregate that was asked for."""

    waits: bool = False
    proof: bytes = b""
    """Empty: the sectors go with single proofs."""
    error: str = ""
    """Why the host that was asked gave none."""


def aggregates_collect(miner: Miner, *, due: Sequence[Sector]) -> dict[int, tuple[list[Sector], str]]:
    """Return the sectors whose aggregates are being made and their batches' reasons, by seal proof.

    Should one of them not wait any more, its aggregate is of no use.
    """
    found: dict[int, tuple[list[Sector], str]] = {}
    for row in CommitAggregate.objects.filter(miner=miner, is_over=False).order_by("pk"):
        expected = set(row.sectors)
        waiting = [sector for sector in due if sector.pk in expected]
        if waiting and len(waiting) == len(expected):
            found[waiting[0].seal_proof] = waiting, row.reason
        else:
            aggregate_end(miner, seal_proof=row.seal_proof, why=NONE_WAITS())
    return found


def aggregate_make(
    miner: Miner,
    *,
    sectors: Sequence[Sector],
    proofs: Sequence[bytes],
    reason: str,
    work: SealingContext,
    is_needed: bool = False,
) -> Aggregated:
    """Return the aggregate of these sectors' proofs; asks for it first, and waits for it only so long.

    `is_needed` where there is no other message: one sector has an aggregate too, and it is waited for,
    longer, until another host is asked.
    """
    seal_proof = sectors[0].seal_proof
    hosts = _hosts(miner, proofs, work, is_needed=is_needed)
    if not hosts:
        aggregate_end(miner, seal_proof=seal_proof, why=SINGLE_PROOFS())
        return Aggregated()
    digest = _digest(sectors, proofs)
    rows = CommitAggregate.objects.filter(miner=miner, seal_proof=seal_proof, is_over=False)
    row = rows.select_related("job").first()
    if row is None or row.digest != digest:
        aggregate_end(miner, seal_proof=seal_proof, why=OTHER_SECTORS())
        _ask(miner, sectors, proofs, digest=digest, reason=reason, work=work)
        return Aggregated(waits=True)
    job = row.job
    is_open = job.state in (JobState.READY, JobState.LEASED)
    if is_open and is_needed and (again := _hosts_again(row, hosts, work)) is not None:
        aggregate_end(miner, seal_proof=seal_proof, why=AGGREGATE_LATE())
        _ask(miner, sectors, proofs, digest=digest, reason=reason, work=work, offered_to=again)
        return Aggregated(waits=True)
    if is_open and (is_needed or not _is_late(row, reason=reason, work=work)):
        return Aggregated(waits=True)
    proof = _checked(job, sectors) if job.state == JobState.DONE else b""
    if is_needed and not proof:
        aggregate_end(miner, seal_proof=seal_proof, why=AGGREGATE_FAILED())
    return Aggregated(proof=proof, error=job.error)


def aggregate_end(miner: Miner, *, seal_proof: int, why: str) -> None:
    """Cancel a miner's aggregate of a proof type, if there is one; its host is told at its next report."""
    with transaction.atomic():
        rows = CommitAggregate.objects.select_for_update(of=("self",))
        for row in rows.filter(miner=miner, seal_proof=seal_proof, is_over=False):
            job = Job.objects.select_for_update().get(pk=row.job_id)
            if job.state in (JobState.READY, JobState.LEASED):
                advance(job, "FAIL", error=why, worker=None, lease_until=None)
                publish(Change("job", job.pk, miner.tenant_id))
            # the sectors' own rows have the proofs
            Job.objects.filter(pk=job.pk).update(inputs={}, proof=None)
            CommitAggregate.objects.filter(pk=row.pk).update(is_over=True)


def _hosts(miner: Miner, proofs: Sequence[bytes], work: SealingContext, *, is_needed: bool) -> list[int]:
    """Return the keys of the provers that would make this aggregate; none if it shall not be made."""
    is_wanted = work.policy.aggregate_commits and MIN_SECTORS <= len(proofs) <= MAX_SECTORS
    if not (is_needed or is_wanted):
        return []
    if any(is_container(proof) for proof in proofs):
        return []
    since = work.now - timedelta(seconds=work.policy.worker_away_s)
    hosts = Worker.objects.filter(
        tenant_id=miner.tenant_id, retired_at=None, is_paused=False, seen_at__gte=since
    )
    return [
        host.pk
        for host in hosts.filter(kinds__contains=[JobKind.AGGREGATE]).order_by("pk")
        if miner.pk not in _roles(host, work).barred(RoleKind.WINDOW)  # as `jobs_claim` gives it
    ]


def _roles(host: Worker, work: SealingContext) -> HostRoles:
    return host_roles(tenant_id=host.tenant_id, host=worker_machine(host), now=work.now)


def _hosts_again(row: CommitAggregate, hosts: Sequence[int], work: SealingContext) -> list[int] | None:
    """Return which hosts are asked now that an aggregate is late; None while that changes nothing."""
    wait = timedelta(seconds=NEEDED_WAITS * work.policy.aggregate_wait_s)
    others = [host for host in hosts if host != row.job.worker_id]
    is_asked_of_all = row.job.worker_id is None and row.job.offered_to is None
    if row.created_at + wait >= work.now or is_asked_of_all or not others:
        return None
    return others


def _is_late(row: CommitAggregate, *, reason: str, work: SealingContext) -> bool:
    wait = timedelta(seconds=work.policy.aggregate_wait_s)
    return reason == DEADLINE or row.created_at + wait < work.now


def _digest(sectors: Sequence[Sector], proofs: Sequence[bytes]) -> str:
    parts = (f"{sector.pk}".encode() + proof for sector, proof in zip(sectors, proofs, strict=True))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


@transaction.atomic
def _ask(
    miner: Miner,
    sectors: Sequence[Sector],
    proofs: Sequence[bytes],
    *,
    digest: str,
    reason: str,
    work: SealingContext,
    offered_to: list[int] | None = None,
) -> None:
    inputs = AggregateInputs(
        seal_proof=sectors[0].seal_proof,
        comm_rs=tuple(bytes(sector.comm_r or b"") for sector in sectors),
        seeds=tuple(bytes(sector.seed or b"") for sector in sectors),
        proofs=tuple(proofs),
    )
    job = Job.objects.create(
        kind=JobKind.AGGREGATE,
        miner=miner,
        stage="AGGREGATE",
        priority=-1,
        inputs=document_encode(inputs),
        lease_s=work.policy.lease_s,
        offered_to=offered_to,
    )
    CommitAggregate.objects.create(
        miner=miner,
        seal_proof=sectors[0].seal_proof,
        job=job,
        sectors=[sector.pk for sector in sectors],
        digest=digest,
        reason=reason,
    )
    publish(Change("job", job.pk, miner.tenant_id))


def _checked(job: Job, sectors: Sequence[Sector]) -> bytes:
    """Return a host's aggregate, empty if the chain would refuse it."""
    proof = bytes(job.proof or b"")
    seals = [
        ProvenSeal(
            number=sector.number,
            comm_r=bytes(sector.comm_r or b""),
            comm_d=bytes(sector.comm_d or sha254_zero(sector.sector_size)),
            ticket=bytes(sector.ticket or b""),
            seed=bytes(sector.seed or b""),
        )
        for sector in sectors
    ]
    try:
        proof_verifier().porep_aggregate(
            proof,
            seal_proof=sectors[0].seal_proof,
            miner_id=sectors[0].miner.actor_id or 0,
            sectors=seals,
        )
    except BAD_PROOFS as error:
        log.error("aggregate_refused", job=str(job.uuid), reason=str(error))
        return b""
    return proof
