"""Proofs of windows and their jobs: done, failed, asked for and sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apps.messages.models import Message
from apps.proving.models import PostNote, WindowPost
from apps.proving.states import PostState
from apps.sectors.models import Job
from apps.sectors.states import JobState
from poolsite.filecoin.actors.miner_proving import SubmitWindowedPoStParams
from poolsite.filecoin.codec import from_cbor
from tests.unit.apps.proving.rescues import miner, post


def proving(partitions: list[int], **data: Any) -> WindowPost:
    """A proof of these partitions for which no job is out yet."""
    facts = {"state": PostState.PROVING, "proof": None, **data}
    return post(miner(), partitions=partitions, **facts)


def done(job: Job | None, *, faults: Iterable[int] = ()) -> None:
    """A prover ends a job: with a proof, or with the sectors that it could not read."""
    assert job is not None
    result = {"worker": "p", "faults": list(faults)}
    Job.objects.filter(pk=job.pk).update(
        state=JobState.DONE, proof=None if result["faults"] else b"proof of %d" % job.pk, result=result
    )


def failed(job: Job | None, *, error: str = "the disk is gone") -> None:
    """A prover gives a job up."""
    assert job is not None
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED, error=error)


def asked(job: Job | None) -> set[int]:
    """The sectors that a job is about."""
    assert job is not None
    return {row["number"] for row in job.inputs["sectors"]}


def sent(row: WindowPost) -> dict[int, list[int]]:
    """What a proof's last message says: partitions, and what is left out of each."""
    row.refresh_from_db()
    params = from_cbor(SubmitWindowedPoStParams, bytes(Message.objects.get(pk=row.message_id).params))
    return {part.index: list(part.skipped) for part in params.partitions}


def words(row: WindowPost) -> list[str]:
    """What was written down."""
    return list(PostNote.objects.filter(post=row).values_list("words", flat=True))
