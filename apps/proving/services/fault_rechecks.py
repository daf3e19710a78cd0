"""Sectors that a proof leaves out are checked again for as long as it has not been sent.

The check is a proof over these sectors alone.  Those that can be read again get into a new proof of the whole
partition; the one in hand is kept as a fallback, and is sent when the better one is not there in time.
"""

from __future__ import annotations

from functools import partial

from django.db import transaction

from apps.core.live import Change, publish
from apps.core.reasons import AND_MORE, Reason
from apps.core.transitions import advance
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.reasons import CHECKED_AGAIN, FALLBACK_USED, READ_AGAIN, SECTORS
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.attempts import ENDED, PROVERS, attempt_end, attempt_fail, attempts_cancel
from apps.proving.services.jobs import (
    BadProof,
    faults_read,
    job_create,
    job_is_lapsed,
    onchain_sectors_read,
    proof_check,
    proof_window_build,
)
from apps.proving.services.offers import offer_find, offer_renew, post_failures_count
from apps.proving.services.post_updates import post_publish
from apps.proving.services.retries import is_due, note_record, partial_proof_epoch_compute
from apps.proving.states import AttemptKind, AttemptState, PostState
from apps.sectors.models import Job
from apps.sectors.states import JobState


def may_wait(post: WindowPost, *, context: ProvingContext) -> bool:
    """Return whether a proof leaves out sectors and there is time to wait for them."""
    return bool(post.skipped) and context.head.height < partial_proof_epoch_compute(
        post, network=context.network
    )


def faults_recheck(post: WindowPost, *, context: ProvingContext) -> None:
    """Recheck the sectors that a proof in hand leaves out; with some of them back it is made anew."""
    if not may_wait(post, context=context):
        return
    attempt = post.attempt(AttemptKind.RECHECK)
    if attempt is not None:
        _recheck_collect(post, attempt, context)
    if (
        post.state == PostState.PROVED
        and post.attempt(AttemptKind.RECHECK) is None
        and is_due(post, context=context)
    ):
        _recheck_request(post, context)


def _recheck_collect(post: WindowPost, attempt: ProofAttempt, context: ProvingContext) -> None:
    """Prove again with the sectors that an ended check could read; without any, fail the attempt."""
    job = attempt.work
    if job.state not in ENDED and not job_is_lapsed(job, now=context.now):
        offer_renew(job, failures=partial(post_failures_count, post), context=context)
        return
    back = _readable(post, job)
    if not back:
        away = _left_out(post)
        reason = CHECKED_AGAIN(sectors=_numbers(away), count=len(away))
        attempt_fail(post, attempt=attempt, context=context, reason=job.error or reason)
        return
    reason = READ_AGAIN(sectors=_numbers(back))
    proof_columns = {"proof": post.proof, "partitions": post.partitions, "skipped": post.skipped}
    skipped = _without(post.skipped, back)
    with transaction.atomic():
        note_record(post, context=context, text=reason, is_error=False)
        anew = {"tries": 0, "try_epoch": None, "updated_at": context.now}
        advance(post, "BETTER", proof=None, skipped=skipped, **anew)
        attempt_end(attempt, event="USE", context=context, reason=reason)
        ProofAttempt.objects.create(
            post=post, kind=AttemptKind.FALLBACK, state=AttemptState.AVAILABLE, reason=reason, **proof_columns
        )
    post_publish(post)


def fallback_use(post: WindowPost, *, context: ProvingContext, why: str) -> None:
    """Use the fallback as the proof, if there is one, since no better one came."""
    fallback = post.attempt(AttemptKind.FALLBACK)
    if fallback is None:
        return
    with transaction.atomic():
        note_record(
            post,
            context=context,
            text=FALLBACK_USED(why=why),
        )
        proof_columns = {
            "proof": fallback.proof,
            "partitions": fallback.partitions,
            "skipped": fallback.skipped,
        }
        advance(post, "FALLBACK", updated_at=context.now, **proof_columns)
        attempts_cancel(post, context=context, kinds=PROVERS)
        attempt_end(fallback, event="USE", context=context, reason=why)
    post_publish(post)


def is_fallback_as_good(post: WindowPost) -> bool:
    """Return whether the fallback leaves out no more sectors than the proof that is being made."""
    fallback = post.attempt(AttemptKind.FALLBACK)
    return fallback is not None and len(_left_out(post)) >= sum(map(len, fallback.skipped.values()))


def _recheck_request(post: WindowPost, context: ProvingContext) -> None:
    known = onchain_sectors_read(
        context.client, miner=post.miner, numbers=_left_out(post), key=context.head.key
    )
    if not known:
        return
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != PostState.PROVED or row.attempt(AttemptKind.RECHECK) is not None:
            return  # another task has created the job
        job = job_create(
            post.miner,
            sectors=[known[number] for number in sorted(known)],
            randomness=bytes(post.randomness),
            window=proof_window_build(
                post.deadline_index,
                close_epoch=partial_proof_epoch_compute(post, network=context.network),
                context=context,
            ),
            time_sensitive=True,
            now=context.now,
            offered_to=offer_find(
                post.miner, numbers=known, failures=post_failures_count(post), context=context
            ),
            priority=-1,  # what has no proof yet goes first, though it is of use for longer
        )
        ProofAttempt.objects.create(post=row, kind=AttemptKind.RECHECK, job=job)
    post.refresh_from_db()
    publish(Change("job", job.pk, post.miner.tenant_id))
    post_publish(post)


def _readable(post: WindowPost, job: Job) -> set[int]:
    """Return the sectors that a finished check could read."""
    if job.state != JobState.DONE:
        return set()
    faults = faults_read(job)
    if job.proof or not faults:
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


def _numbers(sectors: set[int] | list[int]) -> Reason:
    numbers = sorted(sectors)
    text = ", ".join(map(str, numbers[:10]))
    if len(numbers) > 10:
        text = AND_MORE(names=text, count=len(numbers) - 10)
    return SECTORS(numbers=text, count=len(numbers))
