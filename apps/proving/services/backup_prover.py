"""Backup prover: a proof that makes no progress on one host is asked of another one beside it.

The first host keeps its lease: whichever proof comes first and is right is taken, then the other job is
dropped and what its host still reports is refused.  The proof's row is one, so is its message.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction

from apps.core.live import Change, publish
from apps.proving.models import WindowPost
from apps.proving.selectors import backup_provers
from apps.proving.services.jobs import Window, job_cancel, job_create, job_strip
from apps.proving.services.post_updates import post_update, publish_post
from apps.proving.services.retries import is_due, last_try_epoch, note_record, try_failed
from apps.proving.services.stall_detection import QUIET_MIN, is_unheard, stall_reason
from apps.proving.states import PostState
from apps.sectors.models import Job
from apps.sectors.policy import sealing_policy
from apps.sectors.states import JobState
from poolsite.wire.codec import document_decode
from poolsite.wire.jobs import WindowPostInputs

if TYPE_CHECKING:
    from apps.proving.services.proving_context import ProvingContext
    from apps.proving.services.stall_detection import StallReason
    from apps.sectors.models import Worker

log = structlog.get_logger(__name__)

ENDED = (JobState.DONE, JobState.FAILED)


def other_attempt(post: WindowPost) -> dict[str, Any]:
    """Return the columns of a proof whose job has come to nothing: the other host's job takes its place."""
    return {"job": post.backup_job, "backup_job": None, "stall": ""}


def attempts_cancel(post: WindowPost, context: ProvingContext) -> None:
    """Make what hosts still do for this proof unclaimable; reports about it are refused."""
    for job in (post.job, post.backup_job):
        job_cancel(job, now=context.now)
        job_strip(job)


def backup_cancel(post: WindowPost, context: ProvingContext) -> None:
    """Drop the other host's job, if there is one, since a result is in hand."""
    job_cancel(post.backup_job, now=context.now)
    job_strip(post.backup_job)


def backup_collect(post: WindowPost) -> None:
    """Put the attempt in front that has ended, with a result rather than without one."""
    job, backup_job = post.job, post.backup_job
    if job is None or backup_job is None or backup_job.state not in ENDED:
        return
    if job.state not in ENDED or (job.state == JobState.FAILED and backup_job.state == JobState.DONE):
        post_update(post, job=backup_job, backup_job=job)


def backup_monitor(post: WindowPost, context: ProvingContext) -> None:
    """See whether a proof's host is still waited for alone, and ask another one beside it where not.

    Expects jobs that have not ended.  A host that stands still while nobody else can make the proof is told
    to give it up, and the job is given out anew: to it, if it comes for it.
    """
    job = post.job
    if job is None or context.head.height > last_try_epoch(post, context.network):
        return
    if any(is_unheard(one, now=context.now) for one in (job, post.backup_job) if one is not None):
        return  # its lease is over: the next sweep frees it
    if job.state == JobState.READY or (
        post.backup_job is not None and post.backup_job.state == JobState.READY
    ):
        _unclaimed_monitor(post, context)
        return
    reasons = [_stall(one, post, context) for one in (job, post.backup_job) if one is not None]
    told = [stall for stall in reasons if stall is not None]
    if post.backup_job is not None:
        words = f"{_host(job)} goes on" if reasons[0] is None else reasons[0].words
        _stall_record(post, f"{words}, given to {_host(post.backup_job)}", context)
    if len(told) < len(reasons):
        if post.backup_job is None and post.stall:
            _stall_clear(post, context)
        return
    others = backup_hosts(post, context)
    if post.backup_job is None and others:
        if is_due(post, context):
            _backup_request(post, told[0], others, context)
    elif any(stall.is_stalled for stall in told):
        _stalled_cancel(post, reasons, context)
    else:
        _stall_record(post, f"{told[0].words}: no other prover with its store is there", context)


def backup_hosts(post: WindowPost, context: ProvingContext) -> list[Worker]:
    """Return the provers that can make this proof and are not at it."""
    since = context.now - timedelta(seconds=sealing_policy().worker_away_s)
    holder = None if post.job is None else post.job.worker
    there = backup_provers(holder, tenant_id=post.miner.tenant_id, since=since)
    return [host for host in there if post.backup_job is None or host.pk != post.backup_job.worker_id]


def _stall(job: Job, post: WindowPost, context: ProvingContext) -> StallReason | None:
    return stall_reason(job, context, last=last_try_epoch(post, context.network))


def _stall_record(post: WindowPost, words: str, context: ProvingContext) -> None:
    """Record for the pages how the attempts stand, once."""
    if post.stall != words[:300]:
        note_record(post, context, words)
        post_update(post, stall=words[:300])


def _stall_clear(post: WindowPost, context: ProvingContext) -> None:
    note_record(post, context, f"{_host(post.job)} goes on", is_error=False)
    post_update(post, stall="")


def _unclaimed_monitor(post: WindowPost, context: ProvingContext) -> None:
    """See to attempts of which one is held by nobody."""
    job, backup_job = post.job, post.backup_job
    if job is None or backup_job is None:
        return  # anybody may claim it
    if job.state == JobState.READY:
        # Its host is not heard of any more: the other one is at it, or anybody may be.
        going, staying = (backup_job, job) if backup_job.state == JobState.READY else (job, backup_job)
        _attempts_set(post, context, staying=staying, going=going)
        return
    stall, others = _stall(job, post, context), backup_hosts(post, context)
    if stall is None or not others:
        if _attempts_set(post, context, staying=job, going=backup_job) and stall is None:
            _stall_clear(post, context)
        return
    if stall.is_stalled and context.head.height - (backup_job.moved_height or 0) >= QUIET_MIN:
        # Whoever was asked is busy, or ended a moment ago: the offer is anybody's, the first host's too.
        if _attempts_set(post, context, staying=backup_job, going=job):
            note_record(post, context, f"{stall.words}: nobody has taken it over, asked anew")
        return
    keys = sorted(host.pk for host in others)
    if backup_job.offered_to != keys:
        Job.objects.filter(pk=backup_job.pk, state=JobState.READY).update(offered_to=keys)


def _attempts_set(post: WindowPost, context: ProvingContext, *, staying: Job | None, going: Job) -> bool:
    """Leave one attempt, or none; False if a host was faster: the next pass sees what it has done."""
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if {row.job_id, row.backup_job_id} != {post.job_id, post.backup_job_id}:
            return False
        job_cancel(going, now=context.now)
        going.refresh_from_db()
        if going.state != JobState.FAILED:
            return False
        job_strip(going)
        WindowPost.objects.filter(pk=post.pk).update(job=staying, backup_job=None, stall="")
        if staying is not None:
            Job.objects.filter(pk=staying.pk, state=JobState.READY).update(offered_to=None)
    post_update(post)
    return True


def _backup_request(
    post: WindowPost, stall: StallReason, others: list[Worker], context: ProvingContext
) -> None:
    """Write the same job once more, for the other hosts alone."""
    first = post.job
    if first is None:
        return
    inputs = document_decode(WindowPostInputs, first.inputs)
    window = Window(
        deadline=post.deadline_index,
        close_epoch=post.close_epoch,
        seconds_left=context.seconds_until(post.close_epoch),
        window_s=context.network.proving.window * context.network.epoch_s,
    )
    words = f"{stall.words}: offered to {', '.join(host.name for host in others[:3])}"
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != PostState.PROVING or row.job_id != first.pk or row.backup_job_id is not None:
            return  # another task was faster
        backup_job = job_create(
            post.miner,
            sectors=inputs.sectors,
            randomness=inputs.randomness,
            window=window,
            time_sensitive=True,
            now=context.now,
            offered_to=sorted(host.pk for host in others),
        )
        Job.objects.filter(pk=backup_job.pk).update(moved_height=context.head.height)
        row.backup_job, row.proofs_made = backup_job, row.proofs_made + 1
        row.save(update_fields=["backup_job", "proofs_made", "updated_at"])
        _stall_record(post, words, context)
    post.refresh_from_db()
    log.warning("proof_makes_no_progress", post=str(post.uuid), reason=words)
    publish(Change("job", backup_job.pk, post.miner.tenant_id))
    publish_post(post)


def _stalled_cancel(post: WindowPost, reasons: list[StallReason | None], context: ProvingContext) -> None:
    """Cancel the attempt that stands still: its host is told with its next heartbeat, and may begin anew."""
    attempts = [job for job in (post.job, post.backup_job) if job is not None]
    pairs = zip(attempts, reasons, strict=True)
    going, stall = next((job, stall) for job, stall in pairs if stall is not None and stall.is_stalled)
    staying = next((job for job in attempts if job is not going), None)
    log.warning("proof_given_up", post=str(post.uuid), reason=stall.words)
    with transaction.atomic():
        if not _attempts_set(post, context, staying=staying, going=going):
            return
        if staying is None:
            try_failed(post, context, words=f"{stall.words}: asked anew")
        else:
            note_record(post, context, f"{stall.words}: given up")


def _host(job: Job | None) -> str:
    return job.worker.name if job is not None and job.worker is not None else "its host"
