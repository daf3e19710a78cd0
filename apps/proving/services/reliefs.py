"""Reliefs: a proof that makes no progress on one host is asked of another one beside it.

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
from apps.proving.selectors import provers_beside
from apps.proving.services.changes import post_set, post_tell
from apps.proving.services.doubts import QUIET_MIN, doubt_of, is_unheard
from apps.proving.services.jobs import Window, job_drop, job_make, job_strip
from apps.proving.services.retries import is_due, last_try_epoch, note, try_failed
from apps.proving.states import PostState
from apps.sectors.models import Job
from apps.sectors.policy import sealing_policy
from apps.sectors.states import JobState
from poolsite.wire.codec import document_decode
from poolsite.wire.jobs import WindowPostInputs

if TYPE_CHECKING:
    from apps.proving.services.doubts import Doubt
    from apps.proving.services.look import Look
    from apps.sectors.models import Worker

log = structlog.get_logger(__name__)

ENDED = (JobState.DONE, JobState.FAILED)


def other_attempt(post: WindowPost) -> dict[str, Any]:
    """Give the columns of a proof whose job has come to nothing: the other host's job takes its place."""
    return {"job": post.relief, "relief": None, "doubt": ""}


def attempts_drop(post: WindowPost, look: Look) -> None:
    """Make what hosts still do for this proof unclaimable; reports about it are refused."""
    for job in (post.job, post.relief):
        job_drop(job, now=look.now)
        job_strip(job)


def relief_drop(post: WindowPost, look: Look) -> None:
    """Drop the other host's job, if there is one, since a result is in hand."""
    job_drop(post.relief, now=look.now)
    job_strip(post.relief)


def relief_come(post: WindowPost) -> None:
    """Put the attempt in front that has ended, with a result rather than without one."""
    job, relief = post.job, post.relief
    if job is None or relief is None or relief.state not in ENDED:
        return
    if job.state not in ENDED or (job.state == JobState.FAILED and relief.state == JobState.DONE):
        post_set(post, job=relief, relief=job)


def relief_tend(post: WindowPost, look: Look) -> None:
    """See whether a proof's host is still waited for alone, and ask another one beside it where not.

    Expects jobs that have not ended.  A host that stands still while nobody else can make the proof is told
    to give it up, and the job is given out anew: to it, if it comes for it.
    """
    job = post.job
    if job is None or look.head.height > last_try_epoch(post, look.network):
        return
    if any(is_unheard(one, now=look.now) for one in (job, post.relief) if one is not None):
        return  # its lease is over: the next sweep frees it
    if job.state == JobState.READY or (post.relief is not None and post.relief.state == JobState.READY):
        _unclaimed_tend(post, look)
        return
    doubts = [_doubt(one, post, look) for one in (job, post.relief) if one is not None]
    told = [doubt for doubt in doubts if doubt is not None]
    if post.relief is not None:
        words = f"{_host(job)} goes on" if doubts[0] is None else doubts[0].words
        _tell(post, f"{words}, given to {_host(post.relief)}", look)
    if len(told) < len(doubts):
        if post.relief is None and post.doubt:
            _goes_on(post, look)
        return
    others = hosts_beside(post, look)
    if post.relief is None and others:
        if is_due(post, look):
            _relief_give(post, told[0], others, look)
    elif any(doubt.is_stalled for doubt in told):
        _stalled_give_up(post, doubts, look)
    else:
        _tell(post, f"{told[0].words}: no other prover with its store is there", look)


def hosts_beside(post: WindowPost, look: Look) -> list[Worker]:
    """Give the provers that can make this proof and are not at it."""
    since = look.now - timedelta(seconds=sealing_policy().worker_away_s)
    holder = None if post.job is None else post.job.worker
    there = provers_beside(holder, tenant_id=post.miner.tenant_id, since=since)
    return [host for host in there if post.relief is None or host.pk != post.relief.worker_id]


def _doubt(job: Job, post: WindowPost, look: Look) -> Doubt | None:
    return doubt_of(job, look, last=last_try_epoch(post, look.network))


def _tell(post: WindowPost, words: str, look: Look) -> None:
    """Say for the pages how the attempts stand, once."""
    if post.doubt != words[:300]:
        note(post, look, words)
        post_set(post, doubt=words[:300])


def _goes_on(post: WindowPost, look: Look) -> None:
    note(post, look, f"{_host(post.job)} goes on", is_error=False)
    post_set(post, doubt="")


def _unclaimed_tend(post: WindowPost, look: Look) -> None:
    """See to attempts of which one is held by nobody."""
    job, relief = post.job, post.relief
    if job is None or relief is None:
        return  # anybody may claim it
    if job.state == JobState.READY:
        # Its host is not heard of any more: the other one is at it, or anybody may be.
        going, staying = (relief, job) if relief.state == JobState.READY else (job, relief)
        _attempts_set(post, look, staying=staying, going=going)
        return
    doubt, others = _doubt(job, post, look), hosts_beside(post, look)
    if doubt is None or not others:
        if _attempts_set(post, look, staying=job, going=relief) and doubt is None:
            _goes_on(post, look)
        return
    if doubt.is_stalled and look.head.height - (relief.moved_height or 0) >= QUIET_MIN:
        # Whoever was asked is busy, or ended a moment ago: the offer is anybody's, the first host's too.
        if _attempts_set(post, look, staying=relief, going=job):
            note(post, look, f"{doubt.words}: nobody has taken it over, asked anew")
        return
    keys = sorted(host.pk for host in others)
    if relief.offered_to != keys:
        Job.objects.filter(pk=relief.pk, state=JobState.READY).update(offered_to=keys)


def _attempts_set(post: WindowPost, look: Look, *, staying: Job | None, going: Job) -> bool:
    """Leave one attempt, or none; False if a host was faster: the next pass sees what it has done."""
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if {row.job_id, row.relief_id} != {post.job_id, post.relief_id}:
            return False
        job_drop(going, now=look.now)
        going.refresh_from_db()
        if going.state != JobState.FAILED:
            return False
        job_strip(going)
        WindowPost.objects.filter(pk=post.pk).update(job=staying, relief=None, doubt="")
        if staying is not None:
            Job.objects.filter(pk=staying.pk, state=JobState.READY).update(offered_to=None)
    post_set(post)
    return True


def _relief_give(post: WindowPost, doubt: Doubt, others: list[Worker], look: Look) -> None:
    """Write the same job once more, for the other hosts alone."""
    first = post.job
    if first is None:
        return
    inputs = document_decode(WindowPostInputs, first.inputs)
    window = Window(
        deadline=post.deadline_index,
        close_epoch=post.close_epoch,
        seconds_left=look.seconds_until(post.close_epoch),
        window_s=look.network.proving.window * look.network.epoch_s,
    )
    words = f"{doubt.words}: offered to {', '.join(host.name for host in others[:3])}"
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != PostState.PROVING or row.job_id != first.pk or row.relief_id is not None:
            return  # another task was faster
        relief = job_make(
            post.miner,
            sectors=inputs.sectors,
            randomness=inputs.randomness,
            window=window,
            time_sensitive=True,
            now=look.now,
            offered_to=sorted(host.pk for host in others),
        )
        Job.objects.filter(pk=relief.pk).update(moved_height=look.head.height)
        row.relief, row.proofs_made = relief, row.proofs_made + 1
        row.save(update_fields=["relief", "proofs_made", "updated_at"])
        _tell(post, words, look)
    post.refresh_from_db()
    log.warning("proof_makes_no_progress", post=str(post.uuid), reason=words)
    publish(Change("job", relief.pk, post.miner.tenant_id))
    post_tell(post)


def _stalled_give_up(post: WindowPost, doubts: list[Doubt | None], look: Look) -> None:
    """Give up the attempt that stands still: its host is told with its next heartbeat, and may begin anew."""
    attempts = [job for job in (post.job, post.relief) if job is not None]
    pairs = zip(attempts, doubts, strict=True)
    going, doubt = next((job, doubt) for job, doubt in pairs if doubt is not None and doubt.is_stalled)
    staying = next((job for job in attempts if job is not going), None)
    log.warning("proof_given_up", post=str(post.uuid), reason=doubt.words)
    with transaction.atomic():
        if not _attempts_set(post, look, staying=staying, going=going):
            return
        if staying is None:
            try_failed(post, look, words=f"{doubt.words}: asked anew")
        else:
            note(post, look, f"{doubt.words}: given up")


def _host(job: Job | None) -> str:
    return job.worker.name if job is not None and job.worker is not None else "its host"
