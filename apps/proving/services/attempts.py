"""Attempts at a window's proof: started, ended, and put in the place of one that failed.

Everything that reads an attempt's state to write the next one holds the row of its proof, and the proof moves
before its attempts do: so two tasks never wait for each other, and nothing is started twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import transaction

from apps.core.errors import LostRace
from apps.core.transitions import advance, advance_many
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.jobs import job_cancel, job_strip, jobs_strip
from apps.proving.services.retries import failed_try_record
from apps.proving.states import AttemptKind, AttemptState
from apps.sectors.models import Job
from apps.sectors.states import JobState

ENDED = (JobState.DONE, JobState.FAILED)
PROVERS = (AttemptKind.FIRST, AttemptKind.BACKUP)
"""Attempts at the whole proof."""


def running_attempts_list(post: WindowPost) -> list[ProofAttempt]:
    """Return what hosts are asked for the whole proof, the first attempt before its backup."""
    found = post.attempts_open()
    return [found[kind] for kind in PROVERS if kind in found]


def attempt_collect(post: WindowPost) -> ProofAttempt | None:
    """Return the attempt whose job has ended: one with a result before one without."""
    ended = [one for one in running_attempts_list(post) if one.work.state in ENDED]
    return next((one for one in ended if one.work.state == JobState.DONE), ended[0] if ended else None)


def attempt_end(attempt: ProofAttempt, *, event: str, context: ProvingContext, reason: str = "") -> None:
    """Move an attempt to one of its ends; its job becomes unclaimable, and forgets what it worked on."""
    job, host = attempt.job, attempt_host_find(attempt)
    job_cancel(job, now=context.now)
    data = {"host": host, "reason": reason, "proof": None, "updated_at": context.now}
    advance(attempt, event, **data)
    job_strip(job)


def attempts_use(attempts: Sequence[ProofAttempt], *, context: ProvingContext) -> None:
    """End attempts whose jobs are done and whose proofs are used, as `attempt_end` does.

    Run it in a transaction.  Raises LostRace.
    """
    hosts = {one.pk: {"host": attempt_host_find(one)} for one in attempts}
    data = {"reason": "", "proof": None, "updated_at": context.now}
    moved = advance_many(ProofAttempt, "USE", hosts, returning="state", **data)
    for attempt in attempts:
        if attempt.pk not in moved:
            raise LostRace(attempt, "USE")
    jobs_strip([one.work for one in attempts])


def attempts_cancel(
    post: WindowPost,
    *,
    context: ProvingContext,
    kinds: Collection[AttemptKind] = tuple(AttemptKind),
    besides: ProofAttempt | None = None,
) -> None:
    """Cancel the open attempts of these kinds but `besides`; reports about them are refused."""
    for kind, attempt in post.attempts_open().items():
        if kind in kinds and attempt != besides:
            attempt_end(attempt, event="CANCEL", context=context)


def attempt_fail(post: WindowPost, *, attempt: ProofAttempt, context: ProvingContext, reason: str) -> None:
    """Note that an attempt came to nothing; a backup takes the place of the first one."""
    with transaction.atomic():
        failed_try_record(post, context=context, reason=reason)
        attempt_end(attempt, event="FAIL", context=context, reason=reason)
        attempt_promote(post, context=context)


def attempt_promote(post: WindowPost, *, context: ProvingContext) -> None:
    """Make the attempt that is left the first one, waited for as if it had been alone all the time."""
    for attempt in running_attempts_list(post)[:1]:
        if attempt.state == AttemptState.STALLED:
            advance(attempt, "RESUME", reason="", updated_at=context.now)
        if attempt.kind != AttemptKind.FIRST:
            ProofAttempt.objects.filter(pk=attempt.pk).update(kind=AttemptKind.FIRST, updated_at=context.now)


def attempt_cancel(post: WindowPost, *, attempt: ProofAttempt, context: ProvingContext, reason: str) -> bool:
    """Cancel one of the attempts, so that any host may claim what is left.

    Returns False if a host was faster: the next pass sees what it has done.
    """
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if running_attempts_list(row) != running_attempts_list(post):
            return False
        job_cancel(attempt.work, now=context.now)
        attempt.work.refresh_from_db()
        if attempt.work.state != JobState.FAILED:
            return False
        attempt_end(attempt, event="CANCEL", context=context, reason=reason)
        attempt_promote(row, context=context)
        left = row.attempt(AttemptKind.FIRST)
        if left is not None:
            Job.objects.filter(pk=left.work.pk, state=JobState.READY).update(offered_to=None)
    post.refresh_from_db()
    return True


def attempt_host_find(attempt: ProofAttempt) -> str:
    """Return the name of the worker that holds an attempt's job, or that has ended it."""
    job = attempt.job
    if job is None:
        return attempt.host
    return str(job.worker.name if job.worker is not None else job.result.get("worker") or attempt.host)[:100]
