"""Backup prover: a proof that makes no progress on one host is asked of another one beside it.

The first host keeps its lease: whichever proof comes first and is right is taken, then the other attempt is
cancelled and what its host still reports is refused.  The proof's row is one, so is its message.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import structlog
from django.db import transaction

from apps.core.live import Change, publish
from apps.core.reason_fields import is_kept
from apps.core.transitions import advance
from apps.miners.selectors.roles import host_roles
from apps.miners.states import RoleKind
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.reasons import (
    ALSO_ON,
    CANCELLED,
    MOVES_AGAIN,
    NO_HEARTBEATS,
    NO_OTHER_PROVER,
    NOBODY_TAKES_OVER,
    OFFERED_AGAIN,
    OFFERED_TO,
    OFFERED_TO_ALL,
)
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.rules.stall_detection import QUIET_MIN, StallReason, is_unheard, stall_detect
from apps.proving.selectors.provers import backup_provers
from apps.proving.services.attempts import attempt_cancel, attempt_host_find, running_attempts_list
from apps.proving.services.jobs import job_create, proof_window_build
from apps.proving.services.offers import offer_renew, post_failures_count
from apps.proving.services.post_updates import post_publish
from apps.proving.services.retries import failed_try_record, is_due, last_try_epoch_compute, note_record
from apps.proving.states import AttemptKind, AttemptState, PostState
from apps.sectors.models import Job, Worker
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.hosts import worker_machine
from apps.sectors.states import JobState
from poolsite.wire.codec import document_decode
from poolsite.wire.job_inputs import WindowPostInputs

log = structlog.get_logger(__name__)


def backup_monitor(post: WindowPost, *, context: ProvingContext) -> None:
    """See whether a proof's host is still waited for alone, and ask another one beside it where not.

    Expects jobs that have not ended.  A host that stands still while nobody else can make the proof is told
    to give it up, and the job is given out anew: to it, if it comes for it.
    """
    attempts = running_attempts_list(post)
    if not attempts or context.head.height > last_try_epoch_compute(post, network=context.network):
        return
    if any(is_unheard(one.work, now=context.now) for one in attempts):
        return  # the job's lease is over: the next sweep frees it
    if any(one.work.state == JobState.READY for one in attempts):
        if len(attempts) == 2:
            _unclaimed_monitor(post, attempts[0], attempts[1], context)
        else:
            offer_renew(attempts[0].work, failures=partial(post_failures_count, post), context=context)
    else:
        _claimed_monitor(post, attempts, context)


def _claimed_monitor(post: WindowPost, attempts: list[ProofAttempt], context: ProvingContext) -> None:
    """See to attempts that hosts are at."""
    reasons = [_stall(one.work, post, context) for one in attempts]
    stalls = [stall for stall in reasons if stall is not None]
    first, backup = attempts[0], attempts[1] if len(attempts) == 2 else None
    if backup is not None:
        text = MOVES_AGAIN(first=_host(first)) if reasons[0] is None else reasons[0].text
        _stall_record(
            post,
            first,
            ALSO_ON(reason=text, backup=_host(backup)),
            context,
        )
    if len(stalls) < len(reasons):
        if backup is None and first.state == AttemptState.STALLED:
            _resume(post, first, context)
        return
    others = _backup_hosts(post, context=context)
    if backup is None and others:
        if is_due(post, context=context):
            _backup_request(post, first, stalls[0], others, context)
    elif any(stall.is_stalled for stall in stalls):
        _stalled_cancel(post, attempts, reasons, context)
    else:
        _stall_record(
            post,
            first,
            NO_OTHER_PROVER(reason=stalls[0].text),
            context,
        )


def _backup_hosts(post: WindowPost, *, context: ProvingContext) -> list[Worker]:
    """Return the provers that can make this proof and hold no attempt at it."""
    since = context.now - timedelta(seconds=sealing_policy().worker_away_s)
    jobs = [one.work for one in running_attempts_list(post)]
    holder = jobs[0].worker if jobs else None
    online = backup_provers(holder, tenant_id=post.miner.tenant_id, since=since)
    busy = {job.worker_id for job in jobs}
    return [host for host in online if host.pk not in busy and _may_back_up(host, post, context)]


def _may_back_up(host: Worker, post: WindowPost, context: ProvingContext) -> bool:
    """Return whether a host's roles let it make this proof beside another one."""
    machine = worker_machine(host)
    roles = host_roles(tenant_id=post.miner.tenant_id, host=machine, now=context.now)
    return post.miner_id not in roles.barred(RoleKind.WINDOW, RoleKind.BACKUP)


def _stall(job: Job, post: WindowPost, context: ProvingContext) -> StallReason | None:
    return stall_detect(job, context=context, last=last_try_epoch_compute(post, network=context.network))


def _stall_record(post: WindowPost, attempt: ProofAttempt, text: str, context: ProvingContext) -> None:
    """Record for the pages how the attempts stand, once."""
    if attempt.state != AttemptState.STALLED or not is_kept(attempt, "reason", text):
        with transaction.atomic():
            note_record(post, context=context, text=text)
            host = attempt_host_find(attempt)
            advance(attempt, "STALL", host=host, reason=text, updated_at=context.now)
        post_publish(post)


def _resume(post: WindowPost, attempt: ProofAttempt, context: ProvingContext) -> None:
    with transaction.atomic():
        note_record(
            post,
            context=context,
            text=MOVES_AGAIN(first=_host(attempt)),
            is_error=False,
        )
        if attempt.state == AttemptState.STALLED:
            advance(attempt, "RESUME", reason="", updated_at=context.now)
    post_publish(post)


def _unclaimed_monitor(
    post: WindowPost, first: ProofAttempt, backup: ProofAttempt, context: ProvingContext
) -> None:
    """See to two attempts of which one is held by nobody."""
    if first.work.state == JobState.READY:
        # Its host sends no heartbeats: the other host proves, or any host may claim it.
        attempt = backup if backup.work.state == JobState.READY else first
        attempt_cancel(post, attempt=attempt, context=context, reason=NO_HEARTBEATS())
        post_publish(post)
        return
    stall, others = _stall(first.work, post, context), _backup_hosts(post, context=context)
    if stall is None or not others:
        why = MOVES_AGAIN(first=_host(first)) if stall is None else NOBODY_TAKES_OVER()
        if attempt_cancel(post, attempt=backup, context=context, reason=why) and stall is None:
            note_record(post, context=context, text=why, is_error=False)
        post_publish(post)
        return
    if stall.is_stalled and context.head.height - (backup.work.moved_height or 0) >= QUIET_MIN:
        # The host that it was offered to is busy or gone: now any host may claim it, the first one too.
        if attempt_cancel(post, attempt=first, context=context, reason=stall.text):
            note_record(
                post,
                context=context,
                text=OFFERED_TO_ALL(reason=stall.text),
            )
        post_publish(post)
        return
    keys = sorted(host.pk for host in others)
    if backup.work.offered_to != keys:
        Job.objects.filter(pk=backup.work.pk, state=JobState.READY).update(offered_to=keys)


def _backup_request(
    post: WindowPost, first: ProofAttempt, stall: StallReason, others: list[Worker], context: ProvingContext
) -> None:
    """Write the same job once more, for the other hosts alone."""
    inputs = document_decode(WindowPostInputs, first.work.inputs)
    text = OFFERED_TO(reason=stall.text, others=", ".join(host.name for host in others[:3]))
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != PostState.PROVING or running_attempts_list(row) != [first]:
            return  # another task was faster
        job = job_create(
            post.miner,
            sectors=inputs.sectors,
            randomness=inputs.randomness,
            window=proof_window_build(post.deadline_index, close_epoch=post.close_epoch, context=context),
            time_sensitive=True,
            now=context.now,
            offered_to=sorted(host.pk for host in others),
        )
        Job.objects.filter(pk=job.pk).update(moved_height=context.head.height)
        ProofAttempt.objects.create(post=row, kind=AttemptKind.BACKUP, job=job)
        _stall_record(post, first, text, context)
    post.refresh_from_db()
    log.warning("proof_makes_no_progress", post=str(post.uuid), reason=text)
    publish(Change("job", job.pk, post.miner.tenant_id))


def _stalled_cancel(
    post: WindowPost, attempts: list[ProofAttempt], reasons: list[StallReason | None], context: ProvingContext
) -> None:
    """Cancel the attempt without progress: its host learns it with its next heartbeat, and may start over."""
    pairs = zip(attempts, reasons, strict=True)
    attempt, stall = next((one, stall) for one, stall in pairs if stall is not None and stall.is_stalled)
    log.warning("proof_given_up", post=str(post.uuid), reason=stall.text)
    with transaction.atomic():
        if not attempt_cancel(post, attempt=attempt, context=context, reason=stall.text):
            return
        if len(attempts) == 1:
            failed_try_record(
                post,
                context=context,
                reason=OFFERED_AGAIN(reason=stall.text),
            )
        else:
            note_record(post, context=context, text=CANCELLED(reason=stall.text))
    post_publish(post)


def _host(attempt: ProofAttempt) -> str:
    return attempt_host_find(attempt) or "its host"
