"""One proof for the commits of many sectors: asked of a host, kept until its batch is written.

Which sectors go together stands fixed while a host makes their proof.  Single proofs are the other choice:
they go where nobody aggregates, where they cost less gas, and where an aggregate is late.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from django.db import transaction

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.sectors.host_models import Worker
from apps.sectors.models import CommitAggregate, Job
from apps.sectors.proof_forms import proof_verifier
from apps.sectors.states import JobState
from poolsite.filecoin.proof_verifier import BAD_PROOFS, ProvenSeal, is_container
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.codec import document_encode
from poolsite.wire.jobs import AggregateInputs, JobKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.models import Miner
    from apps.sectors.models import Sector
    from apps.sectors.services.sealing_context import SealingContext

log = structlog.get_logger(__name__)

MIN_SECTORS: Final = 4
MAX_SECTORS: Final = 819
"""What ProveCommitSectors3 takes.  Source: builtin-actors actors/miner/src/policy.rs."""


@dataclass(frozen=True, slots=True)
class Aggregated:
    """What became of an aggregate that was asked for."""

    waits: bool = False
    proof: bytes = b""
    """Empty: the sectors go with single proofs."""


def aggregate_held(miner: Miner, due: Sequence[Sector]) -> tuple[list[Sector], str]:
    """Return the sectors whose aggregate is being made, with their batch's reason; none if there is none.

    Should one of them not wait any more, the aggregate is of no use.
    """
    row = CommitAggregate.objects.filter(miner=miner, is_over=False).first()
    if row is None:
        return [], ""
    wanted = set(row.sectors)
    held = [sector for sector in due if sector.pk in wanted]
    if len(held) == len(wanted):
        return held, row.reason
    aggregate_end(miner, why="a sector of it does not wait any more")
    return [], ""


def aggregate_make(
    miner: Miner, sectors: Sequence[Sector], *, proofs: Sequence[bytes], reason: str, work: SealingContext
) -> Aggregated:
    """Return the aggregate of these sectors' proofs; asks for it first, and waits for it only so long."""
    if not _can_aggregate(miner, proofs, work):
        aggregate_end(miner, why="these sectors go with single proofs")
        return Aggregated()
    digest = _digest(sectors, proofs)
    row = CommitAggregate.objects.filter(miner=miner, is_over=False).select_related("job").first()
    if row is None or row.digest != digest:
        aggregate_end(miner, why="other sectors go together now")
        _ask(miner, sectors, proofs, digest=digest, reason=reason, work=work)
        return Aggregated(waits=True)
    job = row.job
    if job.state == JobState.DONE:
        return Aggregated(proof=_checked(job, sectors))
    if job.state in (JobState.READY, JobState.LEASED) and not _is_late(row, reason=reason, work=work):
        return Aggregated(waits=True)
    return Aggregated()


def aggregate_end(miner: Miner, *, why: str) -> None:
    """Cancel a miner's aggregate, if there is one; its host is told at its next report."""
    with transaction.atomic():
        rows = CommitAggregate.objects.select_for_update(of=("self",)).filter(miner=miner, is_over=False)
        for row in rows:
            job = Job.objects.select_for_update().get(pk=row.job_id)
            if job.state in (JobState.READY, JobState.LEASED):
                advance(job, "FAIL", error=why, worker=None, lease_until=None)
                publish(Change("job", job.pk, miner.tenant_id))
            # the proofs stand in the sectors' own rows
            Job.objects.filter(pk=job.pk).update(inputs={}, proof=None)
            CommitAggregate.objects.filter(pk=row.pk).update(is_over=True)


def _can_aggregate(miner: Miner, proofs: Sequence[bytes], work: SealingContext) -> bool:
    if not work.policy.aggregate_commits or not MIN_SECTORS <= len(proofs) <= MAX_SECTORS:
        return False
    if any(is_container(proof) for proof in proofs):
        return False
    since = work.now - timedelta(seconds=work.policy.worker_away_s)
    hosts = Worker.objects.filter(
        tenant_id=miner.tenant_id, retired_at=None, is_paused=False, seen_at__gte=since
    )
    return hosts.filter(kinds__contains=[JobKind.AGGREGATE]).exists()


def _is_late(row: CommitAggregate, *, reason: str, work: SealingContext) -> bool:
    wait = timedelta(seconds=work.policy.aggregate_wait_s)
    return reason == "deadline" or row.created_at + wait < work.now


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
    )
    CommitAggregate.objects.create(
        miner=miner, job=job, sectors=[sector.pk for sector in sectors], digest=digest, reason=reason
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
