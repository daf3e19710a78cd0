"""Sectors that a proof leaves out are looked at again for as long as it has not been sent.

The look is a proof over these sectors alone.  Those that can be read again get into a new proof of the whole
partition; the one in hand is kept as a spare, and is sent when the better one is not there in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.proving.models import WindowPost
from apps.proving.services.changes import post_set, post_tell
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
from apps.proving.services.reliefs import attempts_drop
from apps.proving.services.retries import better_until, is_due, note, try_failed
from apps.proving.states import PostState
from apps.sectors.states import JobState

if TYPE_CHECKING:
    from apps.proving.services.look import Look
    from apps.sectors.models import Job


def may_wait(post: WindowPost, look: Look) -> bool:
    """Tell whether a proof leaves out sectors and there is time to wait for them."""
    return bool(post.skipped) and look.head.height < better_until(post, look.network)


def look_again(post: WindowPost, look: Look) -> None:
    """Have the sectors read that a proof in hand leaves out; with some of them back it is made anew."""
    if not may_wait(post, look):
        return
    if post.recheck is not None:
        _recheck_end(post, post.recheck, look)
    if post.state == PostState.PROVED and post.recheck is None and is_due(post, look):
        _recheck_give(post, look)


def _recheck_end(post: WindowPost, job: Job, look: Look) -> None:
    """See what the look has found, if it has ended."""
    if job.state not in (JobState.DONE, JobState.FAILED):
        if not job_is_lapsed(job, now=look.now):
            return
        job_drop(job, now=look.now)
    back = _readable(post, job)
    job_strip(job)
    if not back:
        away = _left_out(post)
        words = f"looked again at {_numbers(away)}: {'it' if len(away) == 1 else 'they'} cannot be read"
        try_failed(post, look, words=job.error or words, recheck=None)
        return
    note(post, look, f"{_numbers(back)} can be read again: proved anew with them", is_error=False)
    advance(
        post,
        "BETTER",
        recheck=None,
        job=None,
        proof=None,
        spare_proof=post.proof,
        spare={"partitions": post.partitions, "skipped": post.skipped},
        skipped=_without(post.skipped, back),
        tries=0,
        try_epoch=None,
        updated_at=look.now,
    )
    post_tell(post)


def spare_take(post: WindowPost, look: Look, *, why: str) -> None:
    """Take the spare for the proof, since no better one came."""
    attempts_drop(post, look)
    note(post, look, f"{why}: the proof without these sectors is taken")
    advance(
        post,
        "SPARE",
        job=None,
        relief=None,
        doubt="",
        proof=post.spare_proof,
        partitions=post.spare["partitions"],
        skipped=post.spare["skipped"],
        spare={},
        spare_proof=None,
        updated_at=look.now,
    )
    post_tell(post)


def is_spare_as_good(post: WindowPost) -> bool:
    """Tell whether the spare leaves out no more sectors than the proof that is being made."""
    return bool(post.spare) and len(_left_out(post)) >= sum(
        len(numbers) for numbers in post.spare["skipped"].values()
    )


def _recheck_give(post: WindowPost, look: Look) -> None:
    numbers = _left_out(post)
    known = sectors_onchain(look.client, post.miner, numbers, look.head.key)
    if not known:
        return
    until = better_until(post, look.network)
    window = Window(
        deadline=post.deadline_index,
        close_epoch=until,
        seconds_left=look.seconds_until(until),
        window_s=look.network.proving.window * look.network.epoch_s,
    )
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != PostState.PROVED or row.recheck_id is not None:
            return  # another task has given one out
        job = job_make(
            post.miner,
            sectors=[known[number] for number in sorted(known)],
            randomness=bytes(post.randomness),
            window=window,
            time_sensitive=True,
            now=look.now,
        )
        WindowPost.objects.filter(pk=post.pk).update(recheck=job)
    post_set(post)
    publish(Change("job", job.pk, post.miner.tenant_id))


def _readable(post: WindowPost, job: Job) -> set[int]:
    """Give the sectors that a finished look could read."""
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
