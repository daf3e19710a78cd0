"""Sectors that a proof leaves out are looked at again for as long as it has not been sent.

The look is a proof over these sectors alone.  Those that can be read again get into a new proof of the whole
partition; the one in hand is kept as a fallback, and is sent when the better one is not there in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.proving.models import WindowPost
from apps.proving.services.backup_prover import attempts_cancel
from apps.proving.services.jobs import (
    BadProof,
    Window,
    job_cancel,
    job_create,
    job_is_lapsed,
    job_strip,
    proof_check,
    sectors_onchain,
)
from apps.proving.services.post_updates import post_update, publish_post
from apps.proving.services.retries import better_until, is_due, note_record, try_failed
from apps.proving.states import PostState
from apps.sectors.states import JobState

if TYPE_CHECKING:
    from apps.proving.services.proving_context import ProvingContext
    from apps.sectors.models import Job


def may_wait(post: WindowPost, context: ProvingContext) -> bool:
    """Return whether a proof leaves out sectors and there is time to wait for them."""
    return bool(post.skipped) and context.head.height < better_until(post, context.network)


def faults_recheck(post: WindowPost, context: ProvingContext) -> None:
    """Have the sectors read that a proof in hand leaves out; with some of them back it is made anew."""
    if not may_wait(post, context):
        return
    if post.recheck_job is not None:
        _recheck_end(post, post.recheck_job, context)
    if post.state == PostState.PROVED and post.recheck_job is None and is_due(post, context):
        _recheck_request(post, context)


def _recheck_end(post: WindowPost, job: Job, context: ProvingContext) -> None:
    """See what the look has found, if it has ended."""
    if job.state not in (JobState.DONE, JobState.FAILED):
        if not job_is_lapsed(job, now=context.now):
            return
        job_cancel(job, now=context.now)
    back = _readable(post, job)
    job_strip(job)
    if not back:
        away = _left_out(post)
        words = f"looked again at {_numbers(away)}: {'it' if len(away) == 1 else 'they'} cannot be read"
        try_failed(post, context, words=job.error or words, recheck_job=None)
        return
    note_record(post, context, f"{_numbers(back)} can be read again: proved anew with them", is_error=False)
    advance(
        post,
        "BETTER",
        recheck_job=None,
        job=None,
        proof=None,
        fallback_proof=post.proof,
        fallback={"partitions": post.partitions, "skipped": post.skipped},
        skipped=_without(post.skipped, back),
        tries=0,
        try_epoch=None,
        updated_at=context.now,
    )
    publish_post(post)


def fallback_use(post: WindowPost, context: ProvingContext, *, why: str) -> None:
    """Take the fallback for the proof, since no better one came."""
    attempts_cancel(post, context)
    note_record(post, context, f"{why}: the proof without these sectors is taken")
    advance(
        post,
        "FALLBACK",
        job=None,
        backup_job=None,
        stall="",
        proof=post.fallback_proof,
        partitions=post.fallback["partitions"],
        skipped=post.fallback["skipped"],
        fallback={},
        fallback_proof=None,
        updated_at=context.now,
    )
    publish_post(post)


def is_fallback_as_good(post: WindowPost) -> bool:
    """Return whether the fallback leaves out no more sectors than the proof that is being made."""
    return bool(post.fallback) and len(_left_out(post)) >= sum(
        len(numbers) for numbers in post.fallback["skipped"].values()
    )


def _recheck_request(post: WindowPost, context: ProvingContext) -> None:
    numbers = _left_out(post)
    known = sectors_onchain(context.client, post.miner, numbers, context.head.key)
    if not known:
        return
    until = better_until(post, context.network)
    window = Window(
        deadline=post.deadline_index,
        close_epoch=until,
        seconds_left=context.seconds_until(until),
        window_s=context.network.proving.window * context.network.epoch_s,
    )
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != PostState.PROVED or row.recheck_job_id is not None:
            return  # another task has given one out
        job = job_create(
            post.miner,
            sectors=[known[number] for number in sorted(known)],
            randomness=bytes(post.randomness),
            window=window,
            time_sensitive=True,
            now=context.now,
        )
        WindowPost.objects.filter(pk=post.pk).update(recheck_job=job)
    post_update(post)
    publish(Change("job", job.pk, post.miner.tenant_id))


def _readable(post: WindowPost, job: Job) -> set[int]:
    """Return the sectors that a finished look could read."""
    if job.state != JobState.DONE:
        return set()
    faults = {int(number) for number in job.result.get("faults", ())}
    if not faults:
        try:
            proof_check(job)
        except BadProof:
            return set()
    return set(_left_out(post)) - faults


def _left_out(post: WindowPost) -> list[int]:
    return sorted({number for numbers in post.skipped.values() for number in numbers})


def _without(skipped: dict[str, list[int]], back: set[int]) -> dict[str, list[int]]:
    left = {index: [number for number in numbers if number not in back] for index, numbers in skipped.items()}
    return {index: numbers for index, numbers in left.items() if numbers}


def _numbers(sectors: set[int] | list[int]) -> str:
    numbers = sorted(sectors)
    words = ", ".join(map(str, numbers[:10]))
    more = f" and {len(numbers) - 10} more" if len(numbers) > 10 else ""
    return f"{'sector' if len(numbers) == 1 else 'sectors'} {words}{more}"
