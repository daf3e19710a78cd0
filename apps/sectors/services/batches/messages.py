"""What becomes of a closed batch: its message is pushed once, and followed until it is final.

Pushing may happen any number of times, since the message's id is the batch's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F, Max, Q

from apps.chain.node.isolation import for_each_isolated
from apps.core.errors import Conflict, DomainError
from apps.core.live import Change, publish
from apps.core.reasons import MARKED, as_reason, refused
from apps.core.transitions import advance
from apps.messages.errors import BadMessage
from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids, messages_moved
from apps.messages.services.cancel import message_withdraw
from apps.messages.services.push import message_push
from apps.messages.states import MessageState, Wait
from apps.miners.selectors.miners import miner_principal
from apps.sectors.models import Batch, Job, JobEvent, Sector
from apps.sectors.onchain.sectors import NO_RECEIPT, messages_try, trial_message
from apps.sectors.reasons import (
    BALANCE_SHORT,
    EXPIRED_UNSENT,
    MESSAGE_ENDED,
    MESSAGE_WAS,
    NOT_ON_CHAIN,
    REORGANISED,
    TOO_MUCH,
)
from apps.sectors.rules.batches import COMMIT_NI, KINDS, PRE_COMMIT, RETRYABLE_EXITS, BatchRules
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext, landing_is_deep
from apps.sectors.services.miner_funds import is_balance_short
from apps.sectors.services.sealing.console_steps import sector_console_step
from apps.sectors.services.sealing.landings import commits_land, commits_update, precommits_land
from apps.sectors.services.sealing.placements import placements_compare
from apps.sectors.services.sealing.reconcile import expired_pause, stranded_reconcile
from apps.sectors.services.sealing.steps import sector_console_fail, sectors_requeue
from apps.sectors.states import BatchKind, BatchState
from poolsite.filecoin.actors.exitcodes import ExitCode, exit_code_text
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner_sectors import ProveCommitSectorsNIParams
from poolsite.filecoin.deadlines import current_deadline, deadline_info
from poolsite.filecoin.policy import Network
from poolsite.tracing import is_traced, span
from poolsite.tracing.subjects import Subject, of_jobs
from poolsite.wire.job_reports import Level
from poolsite.wire.pipeline import SectorEvent, SectorState

log = structlog.get_logger(__name__)

ESTIMATES_MAX: Final = 3
"""Refused estimates, on heads ever further apart, after which a message is tried as a whole."""
TOO_MUCH_EXITS: Final = RETRYABLE_EXITS - {NO_RECEIPT, ExitCode.SYS_ERR_SENDER_STATE_INVALID}
"""Exit codes that a message of fewer sectors may not have."""


def batch_last_epoch_compute(batch: Batch, *, network: Network) -> int:
    """Return the last epoch at which the chain takes a batch's message; 0 if it has no sectors any more."""
    if batch.method == COMMIT_NI.method:
        return _last_mutable(batch, network) if batch.commits.exists() else 0
    if batch.kind == BatchKind.PRE_COMMIT:
        life, since = network.max_precommit_randomness_lookback, batch.precommits.all()
        begins = since.values_list("ticket_epoch", flat=True)
    else:
        life, since = network.max_prove_commit_duration, batch.commits.all()
        begins = since.values_list("precommit_epoch", flat=True)
    return min((begin + life for begin in begins if begin is not None), default=0)


def _last_mutable(batch: Batch, network: Network) -> int:
    """Return the last epoch before the deadline of a batch's sectors is closed to changes.

    Source: builtin-actors actors/miner/src/lib.rs prove_commit_sectors_ni (deadline_is_mutable).
    """
    index = params_read(ProveCommitSectorsNIParams, bytes(batch.params)).proving_deadline
    height, params = batch.closed_height, network.proving
    # Right after null rounds the stored one may be a whole period on, see `open_deadline_read`.
    begins = current_deadline(batch.miner.proving_period_start or 0, height, params).period_start
    opens = deadline_info(begins, index, height, params).next_not_elapsed().open
    return opens - params.window - 1


def batch_push(batch: Batch, *, work: SealingContext) -> bool:
    """Push a batch's message; harmless to repeat.  False if the messager does not take it now.

    One that it would never take, such as one that is too large, fails: its sectors go with others.
    What got no nonce while the chain would take it is given up by the messager: the sectors go on then.
    """
    try:
        with span("sector send", about=_sealed_jobs(batch), facts={"poolsite.message": batch.message_id}):
            message_push(
                principal=miner_principal(batch.miner),
                id=batch.message_id,
                to=batch.miner.address,
                from_=batch.sender,
                value=batch.value,
                method=batch.method,
                params=bytes(batch.params),
                kind=batch.kind,
                expire_epoch=batch_last_epoch_compute(batch, network=work.network),
            )
    except BadMessage as error:
        log.warning("batch_not_sendable", batch=str(batch.uuid), reason=error.reason)
        batch_fail(batch, error=refused(error), exit_code=None, work=work)
        return False
    except DomainError as error:
        log.warning("batch_not_pushed", batch=str(batch.uuid), reason=error.reason)
        Batch.objects.filter(pk=batch.pk).update(error=refused(error))
        return False
    batch_mark_sent(batch)
    return True


def _sealed_jobs(batch: Batch) -> list[Subject]:
    """Return the jobs of a batch's sectors for traces; nothing while traces are off."""
    if not is_traced():
        return []
    sectors = Q(sector__precommit_batch=batch) | Q(sector__commit_batch=batch)
    return list(of_jobs(Job.objects.filter(sectors).values_list("uuid", flat=True)))


def batch_mark_sent(batch: Batch) -> None:
    """Note that the messager has a batch's message."""
    try:
        advance(batch, "SEND", error="")
    except Conflict:  # another task pushed it too and was faster
        batch.refresh_from_db()
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def batches_watch(work: SealingContext) -> None:
    """Push what was not pushed, and follow the messages of all batches that can still change."""
    young = work.head.height - work.network.chain_finality
    batches = Batch.objects.filter(kind__in=KINDS).select_related("miner__tenant")
    batches = batches.exclude(miner__in=miners_unrecovered())
    rows = list(batches.filter(state=BatchState.CLOSED).order_by("pk"))
    for_each_isolated(rows, lambda batch: _push_closed(batch, work), event="batch_not_pushed")
    # A landed batch is looked at again while the chain can take it back, and when the check of
    # pre-commits has sent a sector back to wait for it.
    landed = Batch.objects.filter(state=BatchState.LANDED, landed_height__gte=young)
    moved = messages_moved(dict(landed.values_list("message_id", "landed_height")))
    again = Q(pk__in=_waited_for()) | Q(message_id__in=moved)
    watched = Q(state=BatchState.SENT) | Q(state=BatchState.LANDED) & again
    rows = list(batches.defer("params").filter(watched).order_by("pk"))
    messages = messages_by_ids([batch.message_id for batch in rows])
    known = [batch for batch in rows if batch.message_id in messages]
    for_each_isolated(
        known, lambda batch: _follow(batch, messages[batch.message_id], work), event="batch_not_followed"
    )
    stranded_reconcile(client=work.client, key=work.head.key, now=work.now)


def _waited_for() -> set[int | None]:
    """Return the keys of the batches that sectors wait for: by these, not by all sectors of all batches."""
    waiting = Sector.objects.filter(state__in=[SectorState.PRECOMMIT_SENT, SectorState.COMMIT_SENT])
    found = waiting.order_by().values_list("state", "precommit_batch", "commit_batch").distinct()
    return {commit if state == SectorState.COMMIT_SENT else first for state, first, commit in found}


def _push_closed(batch: Batch, work: SealingContext) -> None:
    """Push a closed batch; what has become too old before anybody pushed it fails instead."""
    if messages_by_ids([batch.message_id]):  # a kill came between push and note
        batch_mark_sent(batch)
    elif batch_last_epoch_compute(batch, network=work.network) < work.head.height:
        batch_fail(batch, error=EXPIRED_UNSENT(), exit_code=None, work=work)
    else:
        batch_push(batch, work=work)


def _follow(batch: Batch, message: Message, work: SealingContext) -> None:
    is_deep = landing_is_deep(message, work=work)
    if batch.state == BatchState.LANDED:
        if not message.has_succeeded:
            _reverted(batch, work)
            return
        _returned_move(batch, work, is_deep=is_deep)
        if is_deep and message.height != batch.landed_height:
            _landed_elsewhere(batch, message, work)
        return
    if message.state in (MessageState.FAILED, MessageState.REPLACED):
        text = as_reason(message.error) or MESSAGE_WAS(state=MARKED(text=message.state.lower()))
        batch_fail(batch, error=text, exit_code=None, work=work)
        return
    is_waiting = message.state == MessageState.UNFILLED and message.wait == Wait.ESTIMATE
    if is_waiting and is_balance_short(batch.miner, own=int(batch.from_balance), work=work):
        _withdraw(batch, message, work, reason=BALANCE_SHORT())
        return
    if is_waiting and message.attempts >= ESTIMATES_MAX and _is_too_much(batch, work):
        _withdraw(batch, message, work, reason=TOO_MUCH())
        return
    if not is_deep:
        return
    if message.exit_code != 0:
        text = MESSAGE_ENDED(exit_code=as_reason(exit_code_text(message.exit_code)))
        batch_fail(batch, error=text, exit_code=message.exit_code, work=work)
        return
    _landed(batch, message, work)


def _is_too_much(batch: Batch, work: SealingContext) -> bool:
    """Return whether a batch's message would fail now for what its sectors need together.

    Another one may have used what they passed with.
    """
    message = trial_message(
        to=batch.miner.address,
        from_=batch.sender,
        value=int(batch.value),
        method=batch.method,
        params=bytes(batch.params),
    )
    (trial,) = messages_try(work.client, [message], work.head.key)
    return trial.exit_code in TOO_MUCH_EXITS


def _withdraw(batch: Batch, message: Message, work: SealingContext, *, reason: str) -> None:
    """End a batch whose message cannot go: its sectors go with others that carry more, or hold fewer."""
    with (
        suppress(Conflict),
        transaction.atomic(),
    ):  # a message that got a nonce this moment: the chain decides
        batch_fail(batch, error=reason, exit_code=None, work=work, is_withdrawn=True)
        message_withdraw(message, reason=reason, now=work.now)


def _landed(batch: Batch, message: Message, work: SealingContext) -> None:
    kind = KINDS[BatchKind(batch.kind)]
    _absent_fail(_sectors_land(batch, kind=kind, work=work), kind=kind, work=work)
    advance(batch, "LAND", landed_height=message.height, exit_code=0, error="", updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def _returned_move(batch: Batch, work: SealingContext, *, is_deep: bool) -> None:
    """Move on the sectors of a landed batch that wait for it: they were sent back, or paused as it landed."""
    kind = KINDS[BatchKind(batch.kind)]
    absent = _sectors_land(batch, kind=kind, work=work)
    if kind is PRE_COMMIT:
        life = work.network.max_prove_commit_duration
        expired_pause(absent, height=work.head.height, life=life, now=work.now)
    elif is_deep:
        _absent_fail(absent, kind=kind, work=work)


def _landed_elsewhere(batch: Batch, message: Message, work: SealingContext) -> None:
    """Update what another branch, which has a batch's message at another height, made of its sectors.

    Pre-commits are compared at each head (`precommits_check`).
    """
    if batch.kind == BatchKind.COMMIT:
        rows = list(batch.commits.filter(state__in=[SectorState.COMMIT_LANDED, SectorState.PROVING]))
        commits_update(rows, miner=batch.miner, client=work.client, key=work.head.key, now=work.now)
    Batch.objects.filter(pk=batch.pk).update(landed_height=message.height, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def _sectors_land(batch: Batch, *, kind: BatchRules, work: SealingContext) -> list[Sector]:
    """Move on the sectors of a landed batch; return those that the chain does not have."""
    sectors = _sectors_of(batch, state=kind.sent_in)
    if not sectors:
        return []
    check: Callable[..., list[Sector]] = precommits_land if kind is PRE_COMMIT else commits_land
    return check(sectors, miner=batch.miner, client=work.client, key=work.head.key, now=work.now)


def _absent_fail(sectors: Sequence[Sector], *, kind: BatchRules, work: SealingContext) -> None:
    error = NOT_ON_CHAIN()
    for sector in sectors:
        _sector_failed(sector, error=error, kind=kind, work=work)


def _sectors_of(batch: Batch, *, state: str) -> list[Sector]:
    kind = KINDS[BatchKind(batch.kind)]
    return list(
        Sector.objects.select_related("miner__tenant")
        .filter(**{kind.column: batch}, state=state)
        .order_by("pk")
    )


def batch_fail(
    batch: Batch, *, error: str, exit_code: int | None, work: SealingContext, is_withdrawn: bool = False
) -> None:
    """End a batch whose message does not land; its sectors wait for another one."""
    kind = KINDS[BatchKind(batch.kind)]
    for sector in _sectors_of(batch, state=kind.sent_in):
        _sector_failed(sector, error=error, kind=kind, work=work, is_withdrawn=is_withdrawn)
    advance(batch, "FAIL", error=error, exit_code=exit_code, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


@transaction.atomic
def _sector_failed(
    sector: Sector, *, error: str, kind: BatchRules, work: SealingContext, is_withdrawn: bool = False
) -> None:
    """Send a sector back to wait for another batch, after a pause that grows with its failures.

    Most failed messages have cost gas: after so many as the policy allows it waits for somebody.  One that
    was withdrawn has cost nothing: its sectors are tried anew at once.
    """
    is_stepped = sector_console_step(
        sector, event=kind.fail, now=work.now, note=error, is_withdrawn=is_withdrawn
    )
    if not is_stepped or is_withdrawn:
        return
    current = Sector.objects.select_related("miner").get(pk=sector.pk)
    failures = _failures_count(sector, kind=kind)
    work = replace(work, policy=batch_policy(sector.miner, work.policy))
    if failures >= work.policy.retries(current.step).attempts_max:
        sector_console_fail(current, error=error, level=Level.PERMANENT, now=work.now)
        return
    current.attempts = failures - 1  # which the steps to its batch and back have cleared
    Sector.objects.filter(pk=sector.pk).update(attempts=current.attempts)
    sectors_requeue([current], error=error, work=work)


def _failures_count(sector: Sector, *, kind: BatchRules) -> int:
    """Return how many messages in a row failed for a sector: since it moved otherwise, or was retried.

    Not those that were withdrawn.
    """
    events = JobEvent.objects.filter(job__sector=sector)
    has_moved = ~Q(from_state=F("to_state")) & ~Q(event__in=[kind.send, kind.fail])
    since = events.filter(has_moved | Q(event="RETRY")).aggregate(pk=Max("pk"))["pk"] or 0
    return events.filter(event=kind.fail, pk__gt=since).exclude(is_withdrawn=True).count()


def _reverted(batch: Batch, work: SealingContext) -> None:
    """Undo a landing that left the chain, or failed on another branch: the batch's sectors wait for it."""
    kind = KINDS[BatchKind(batch.kind)]
    event = SectorEvent.REVERT_PRECOMMIT if kind is PRE_COMMIT else SectorEvent.REVERT_COMMIT
    for sector in Sector.objects.select_related("miner__tenant").filter(**{kind.column: batch}):
        if str(event) in Sector.TRANSITIONS[sector.state]:
            sector_console_step(
                sector,
                event=event,
                now=work.now,
                note=REORGANISED(),
            )
            placements_compare(sector.miner, numbers=[sector.number], now=work.now)
    advance(batch, "REVERT", landed_height=None, exit_code=None, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))
