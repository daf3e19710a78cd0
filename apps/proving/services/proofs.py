"""The jobs of a window's proof: given out to provers, their results checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from django.db import transaction

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.miners.onchain import partitions_read
from apps.proving.models import WindowPost
from apps.proving.services.changes import post_set, post_tell
from apps.proving.services.cover import proof_order, skipped_add
from apps.proving.services.jobs import (
    BadProof,
    Window,
    job_drop,
    job_is_lapsed,
    job_make,
    job_strip,
    proof_check,
    sectors_onchain,
)
from apps.proving.states import PostState
from apps.sectors.states import JobState

if TYPE_CHECKING:
    from apps.proving.services.look import Look
    from poolsite.wire.jobs import ProvenSector

log = structlog.get_logger(__name__)

PROOFS_MAX: Final = 50
"""Jobs that one window may take; each is cheap against a fault, but a loop must end."""


def post_prove(post: WindowPost, look: Look) -> None:
    """Give out a job, or take the result of the one that is finished."""
    job = post.job
    if job is not None and job.state not in (JobState.DONE, JobState.FAILED):
        if not job_is_lapsed(job, now=look.now):
            return
        # Its time is reckoned by the clock, the window by epochs: the chain stood still, or the clock jumped.
        job_drop(job, now=look.now)
    if job is not None and job.state == JobState.DONE:
        _take(post, look)
        if post.state != PostState.PROVING:
            return
        # Nothing came of it: the next one goes out at once, the window does not wait for a head.
    if post.proofs_made >= PROOFS_MAX:
        return
    facts = partitions_read(look.client, post.miner.address, [post.deadline_index], look.head.key)
    order, kept = proof_order(facts[post.deadline_index], post=post)
    if not order:
        advance(post, "EMPTY", error="no sector of these partitions can be proved", updated_at=look.now)
        post_tell(post)
        return
    known = sectors_onchain(look.client, post.miner, sorted(set(order)), look.head.key)
    if not set(order) <= set(known):
        return  # terminated this moment: the next head shows the partition without it
    _job_give(post, order=[known[number] for number in order], partitions=kept, look=look)


def _job_give(post: WindowPost, *, order: list[ProvenSector], partitions: list[int], look: Look) -> None:
    window = Window(
        deadline=post.deadline_index,
        close_epoch=post.close_epoch,
        seconds_left=look.seconds_until(post.close_epoch),
        window_s=look.network.proving.window * look.network.epoch_s,
    )
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != PostState.PROVING or row.job_id != post.job_id:
            return  # another task has given one out
        job = job_make(
            post.miner,
            sectors=order,
            randomness=bytes(post.randomness),
            window=window,
            time_sensitive=True,
            now=look.now,
        )
        row.job, row.partitions, row.proofs_made = job, partitions, row.proofs_made + 1
        row.save(update_fields=["job", "partitions", "proofs_made", "updated_at"])
        job_strip(post.job)
    post.refresh_from_db()
    publish(Change("job", job.pk, post.miner.tenant_id))
    post_tell(post)


def _take(post: WindowPost, look: Look) -> None:
    """Check a finished job: its proof is kept, its faulty sectors are skipped, a bad proof is made again."""
    job = post.job
    if job is None:
        return
    faults = {int(number) for number in job.result.get("faults", ())}
    if faults:
        facts = partitions_read(look.client, post.miner.address, [post.deadline_index], look.head.key)
        skipped = skipped_add(post, facts[post.deadline_index], faults)
        words = f"files of sectors {sorted(faults)} cannot be read"
        job_strip(job)
        post_set(post, job=None, skipped=skipped, error=words[:2000])
        return
    try:
        proof_check(job)
    except BadProof as bad:
        log.warning("bad_proof", post=str(post.uuid), worker=job.result.get("worker"), reason=str(bad))
        job_strip(job)
        post_set(post, job=None, error=f"the proof of {job.result.get('worker')} is wrong: {bad}"[:2000])
        return
    advance(post, "PROVE", proof=job.proof, proved_at=look.now, error="", updated_at=look.now)
    job_strip(job)
    post_tell(post)
