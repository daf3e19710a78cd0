"""Proof jobs: what a prover gets, how long it may hold it, and how its result is checked here."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, ExpressionWrapper, F, JSONField, OuterRef, Value

from apps.chain.node.client import ChainClient
from apps.core.errors import LostRace
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.miners.models import Miner
from apps.proving.rules.proving_context import ProvingContext
from apps.sectors.models import DamoclesSector, Job
from apps.sectors.reasons import NOT_NEEDED
from apps.sectors.selectors.proof_forms import proof_verifier, takes_containers_here
from apps.sectors.states import JobState
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.filecoin.cids import cid_from_json, cid_to_commr
from poolsite.filecoin.proof_verifier import BAD_PROOFS
from poolsite.wire.codec import document_decode, document_encode
from poolsite.wire.job_inputs import DIGEST_BYTES, ProvenSector, SectorCheckInputs, WindowPostInputs
from poolsite.wire.jobs import JobKind

LEASE_MAX_S: Final = 15
"""Longest lease of a proof job: a prover that dies must not cost the window."""
EXPIRED_MAX: Final = 1_000
"""Jobs that are deleted at once."""


@dataclass(frozen=True, slots=True)
class Window:
    """The window that a proof is for."""

    deadline: int
    close_epoch: int
    seconds_left: int
    window_s: int
    """Length of a window in seconds."""


def proof_window_build(deadline: int, *, close_epoch: int, context: ProvingContext) -> Window:
    """Return the window of a deadline as a job must know it whose result is of use until `close_epoch`."""
    return Window(
        deadline=deadline,
        close_epoch=close_epoch,
        seconds_left=context.seconds_until(close_epoch),
        window_s=context.network.proving.window * context.network.epoch_s,
    )


class BadProof(Exception):
    """A prover's result that the chain would refuse."""


def onchain_sectors_read(
    client: ChainClient, *, miner: Miner, numbers: Sequence[int], key: str
) -> dict[int, ProvenSector]:
    """Return what the chain knows of these sectors and a proof needs."""
    rows = client.state_miner_sectors(miner.address, bitfield_to_json(bitfield_of(numbers)), key)
    sectors = {}
    for row in rows:
        cid = cid_from_json(row["SealedCID"])
        if cid is not None:
            number = int(row["SectorNumber"])
            sectors[number] = ProvenSector(
                number=number, comm_r=cid_to_commr(cid), seal_proof=int(row["SealProof"])
            )
    return sectors


def job_create(miner: Miner, **how: Any) -> Job:
    """Store what `job_build` returns."""
    job = job_build(miner, **how)
    job.save(force_insert=True)
    return job


def job_build(
    miner: Miner,
    *,
    sectors: Sequence[ProvenSector],
    randomness: bytes,
    window: Window,
    time_sensitive: bool,
    now: datetime,
    offered_to: Sequence[int] | None = None,
    priority: int = 0,
) -> Job:
    """Return a proof job, of no use any more when the window closes; `offered_to`: keys of workers."""
    inputs = WindowPostInputs(
        miner_id=miner.actor_id or 0,
        post_proof=miner.post_proof,
        randomness=randomness,
        sectors=tuple(sectors),
        deadline=window.deadline,
        close_epoch=window.close_epoch,
        # a host that knows how long is left may choose the quicker form, which not every chain takes
        seconds_left=max(window.seconds_left, 0) if takes_containers_here() else 0,
    )
    return Job(
        kind=JobKind.WINDOW_POST,
        state=JobState.READY,
        miner=miner,
        stage="WINDOW_POST",
        priority=priority,
        time_sensitive=time_sensitive,
        inputs=document_encode(inputs),
        expires_at=now + timedelta(seconds=max(window.seconds_left, 1)),
        lease_s=lease_length_compute(window.window_s),
        offered_to=offered_to,
    )


def check_job_create(
    miner: Miner,
    *,
    sectors: Sequence[ProvenSector],
    per_second: int,
    window: Window,
    now: datetime,
    offered_to: Sequence[int] | None,
    store: str = "",
) -> Job:
    """Write a job that checks sectors' files; proofs and their re-checks go first."""
    inputs = SectorCheckInputs(
        miner_id=miner.actor_id or 0,
        post_proof=miner.post_proof,
        randomness=secrets.token_bytes(DIGEST_BYTES),
        sectors=tuple(sectors),
        per_second=per_second,
        store=store,
    )
    return Job.objects.create(
        kind=JobKind.SECTOR_CHECK,
        state=JobState.READY,
        miner=miner,
        stage="SECTOR_CHECK",
        priority=-1,
        inputs=document_encode(inputs),
        expires_at=now + timedelta(seconds=max(window.seconds_left, 1)),
        lease_s=lease_length_compute(window.window_s),
        offered_to=offered_to,
    )


def jobs_expire(miner: Miner, *, kinds: Collection[JobKind], before: datetime) -> int:
    """Delete the oldest ended jobs that expired by then and that nothing refers to; returns how many."""
    rows = Job.objects.filter(
        miner=miner,
        kind__in=kinds,
        state__in=[JobState.DONE, JobState.FAILED],
        expires_at__lte=before,
        recovery=None,
        proof_attempt=None,
        check_run=None,
    ).exclude(Exists(DamoclesSector.objects.filter(files_check=OuterRef("pk"))))
    old = list(rows.order_by("pk").values_list("pk", flat=True)[:EXPIRED_MAX])
    Job.objects.filter(pk__in=old).delete()
    return len(old)


def lease_length_compute(window_s: int) -> int:
    """Return the length of a proof job's lease: a quarter of the window, within 1 to 15 s."""
    return max(min(LEASE_MAX_S, window_s // 4), 1)


def faults_read(job: Job) -> set[int]:
    """Return the sectors of a finished job that its host could not prove; its proof covers the others."""
    return {int(number) for number in job.result.get("faults", ())}


def proof_check(job: Job) -> None:
    """Check a finished job's proof as the chain would, without its verifying key by form alone.

    It covers all sectors but those that the host reported as faulty.  Raises BadProof with the reason.
    """
    inputs, faults = document_decode(WindowPostInputs, job.inputs), faults_read(job)
    try:
        proof_verifier().window_post(
            bytes(job.proof or b""),
            post_proof=inputs.post_proof,
            randomness=inputs.randomness,
            miner_id=inputs.miner_id,
            sectors=[
                (sector.number, sector.comm_r) for sector in inputs.sectors if sector.number not in faults
            ],
        )
    except BAD_PROOFS as error:
        raise BadProof(str(error)) from error


def job_strip(job: Job | None) -> None:
    """Forget what an ended job worked on: the list of a partition's sectors is 300 KB, 48 times a day.

    Of its result, each bad sector's path and reason go as well: whoever collected it has stored them.
    """
    if job is not None:
        jobs_strip([job])


def jobs_strip(jobs: Iterable[Job]) -> None:
    """Do the same for several."""
    ended = Job.objects.filter(pk__in=[job.pk for job in jobs], state__in=[JobState.DONE, JobState.FAILED])
    result = ExpressionWrapper(F("result") - Value("bad"), output_field=JSONField())
    ended.exclude(inputs={}).update(inputs={}, proof=None, result=result)


def job_is_lapsed(job: Job, *, now: datetime) -> bool:
    """Return whether nobody may claim a job any more, and nobody is at work on it."""
    return job.state == JobState.READY and job.expires_at is not None and job.expires_at <= now


def job_cancel(job: Job | None, *, now: datetime) -> None:
    """Make a job that nobody needs any more unclaimable; reports about it are refused."""
    if job is None or job.state in (JobState.DONE, JobState.FAILED):
        return
    try:
        with transaction.atomic():
            advance(job, "FAIL", worker=None, lease_until=None, error=NOT_NEEDED(), updated_at=now)
    except LostRace:  # the job finished this moment, which is as good
        return
    publish(Change("job", job.pk, job.miner.tenant_id))
