"""The recoveries that are under way, moved by one pass at a time for each miner."""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial
from typing import Any, Final

from django.db import transaction

from apps.chain.node.isolation import for_each_isolated
from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.core.locks import lock_in_turn, try_lock
from apps.core.reasons import as_reason
from apps.core.transitions import advance
from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids
from apps.messages.states import MessageState
from apps.proving.models import Deadline, Partition, Recovery
from apps.proving.reasons import CUTOFF_PASSED, DAMAGED, NOT_CHECKED, NOT_PROVED, SECTORS_GONE, UNREAD
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.declaration_messages import (
    declaration_may_have_landed,
    declaration_outcome_resolve,
    declaration_partition_find,
    declaration_push,
    declaration_withdraw,
)
from apps.proving.services.jobs import (
    BadProof,
    faults_read,
    job_cancel,
    job_create,
    job_is_lapsed,
    job_strip,
    onchain_sectors_read,
    proof_check,
    proof_window_build,
)
from apps.proving.services.offers import offer_find, offer_renew, recovery_failures_count
from apps.proving.states import RecoveryState
from apps.sectors.states import JobState
from poolsite.filecoin.actors import miner as miner_actor
from poolsite.filecoin.actors.miner_proving import DeclareFaultsRecoveredParams, PartitionSectors
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import to_cbor

PREFIX: Final = "recover"
"""Of its messages' ids."""


def _check(recovery: Recovery, *, numbers: list[int], context: ProvingContext) -> None:
    """Begin to read the sectors' files by a proof over all of them."""
    known = onchain_sectors_read(context.client, miner=recovery.miner, numbers=numbers, key=context.head.key)
    if set(known) != set(numbers):
        advance(recovery, "FAIL", error=SECTORS_GONE(), updated_at=context.now)
        return
    with transaction.atomic():
        job = job_create(
            recovery.miner,
            sectors=[known[number] for number in numbers],
            randomness=bytes(recovery.randomness),
            window=proof_window_build(
                recovery.deadline_index, close_epoch=recovery.cutoff_epoch, context=context
            ),
            time_sensitive=False,
            now=context.now,
            offered_to=offer_find(
                recovery.miner,
                numbers=numbers,
                failures=recovery_failures_count(recovery),
                context=context,
            ),
        )
        Recovery.objects.filter(pk=recovery.pk).update(job=job, good=numbers, updated_at=context.now)
    recovery.refresh_from_db()
    _publish(recovery)


def recovery_move(row: Recovery, *, message: Message | None, context: ProvingContext) -> None:
    """Advance one recovery by a step.  Raises NodeUnavailable, NodeRefused, LostRace."""
    if row.state == RecoveryState.LANDED:
        _landed_move(row, message, context)
        return
    if row.state == RecoveryState.SENT and message is not None and _follow(row, message, context):
        return
    if context.head.height >= row.cutoff_epoch:
        if declaration_may_have_landed(row, message=message, context=context):
            return
        job_cancel(row.job, now=context.now)
        job_strip(row.job)
        _step(
            row,
            "FAIL",
            context,
            error=row.error or CUTOFF_PASSED(),
        )
        return
    sender = _stuck_withdraw(row, message, context)
    if row.state == RecoveryState.CHECKING:
        _check_collect(row, context)
    if row.state == RecoveryState.GOOD:
        _declare(row, context, sender=sender)


def _landed_move(row: Recovery, message: Message | None, context: ProvingContext) -> None:
    if message is not None and not message.has_succeeded:
        _step(row, "REVERT", context)  # a reorganisation took it off the chain, or landed it to no effect
    elif context.head.height >= row.open_epoch + context.network.proving.window:
        # The window is over: if its proof has landed the sectors are good, else they are faulty again.
        if _is_recovered(row):
            _step(row, "DONE", context, error="")
        else:
            _step(row, "FAIL", context, error=NOT_PROVED())


def _stuck_withdraw(row: Recovery, message: Message | None, context: ProvingContext) -> str:
    """Withdraw a declaration that cannot land as it is; returns which other address sends the next one."""
    if row.state != RecoveryState.SENT or message is None or message.state != MessageState.UNFILLED:
        return ""  # before the debt is read, which asks for the messages of all the others
    reason, sender = declaration_withdraw(
        row, message=message, prefix=PREFIX, value=_debt_due(row), context=context
    )
    if reason:
        _step(row, "RESEND", context, error=reason)
    return sender


def _is_recovered(row: Recovery) -> bool:
    rows = Partition.objects.filter(deadline__miner=row.miner_id, deadline__index=row.deadline_index)
    faulty = list(rows.values_list("faulty", flat=True))
    return bool(faulty) and set(row.good).isdisjoint(number for numbers in faulty for number in numbers)


def _step(row: Recovery, event: str, context: ProvingContext, **data: Any) -> None:
    advance(row, event, updated_at=context.now, **data)
    _publish(row)


def _publish(row: Recovery) -> None:
    deadline = Deadline.objects.filter(miner=row.miner, index=row.deadline_index).first()
    if deadline is not None:
        publish(Change("deadline", deadline.pk, row.miner.tenant_id))


def _check_collect(row: Recovery, context: ProvingContext) -> None:
    """Look at the finished check: bad files are left out and the rest is checked again."""
    job = row.job
    if job is None:  # the row was created this moment, or before a kill
        _check(row, numbers=row.good, context=context)
        return
    if job.state == JobState.FAILED:
        job_strip(job)
        _step(row, "FAIL", context, error=job.error)
        return
    if job_is_lapsed(job, now=context.now):
        job_cancel(job, now=context.now)
        job_strip(job)
        _step(row, "FAIL", context, error=NOT_CHECKED())
        return
    if job.state != JobState.DONE:
        offer_renew(job, failures=partial(recovery_failures_count, row), context=context)
        return
    rest = sorted(set(row.good) - faults_read(job))
    if not rest:
        job_strip(job)
        _step(row, "FAIL", context, error=UNREAD())
        return
    if not job.proof and rest != sorted(row.good):  # a host that makes none where sectors are faulty
        job_strip(job)
        _check(row, numbers=rest, context=context)
        return
    try:
        proof_check(job)
    except BadProof as bad:
        _step(row, "FAIL", context, error=DAMAGED(bad=as_reason(str(bad))))
    else:
        _step(row, "PROVE", context, good=rest, error="")
    job_strip(job)


def _declare(row: Recovery, context: ProvingContext, *, sender: str) -> None:
    """Push DeclareFaultsRecovered; the first of a miner in debt has to bring the debt with it."""
    params = to_cbor(
        DeclareFaultsRecoveredParams(
            recoveries=(
                PartitionSectors(
                    deadline=row.deadline_index,
                    partition=declaration_partition_find(row, numbers=row.good),
                    sectors=bitfield_of(row.good),
                ),
            )
        )
    )
    message_id = declaration_push(
        row,
        prefix=PREFIX,
        kind="recover",
        method=miner_actor.Method.DECLARE_FAULTS_RECOVERED,
        params=params,
        value=_debt_due(row),
        sender=sender,
    )
    if message_id:
        _step(row, "SEND", context, message_id=message_id, messages_sent=row.messages_sent + 1)


def _debt_due(row: Recovery) -> int:
    """Return what a recovery's message must bring, in attoFIL: nothing if another one brings the debt."""
    sent = Recovery.objects.filter(miner=row.miner, state=RecoveryState.SENT).exclude(pk=row.pk)
    messages = messages_by_ids(sent.exclude(message_id="").values_list("message_id", flat=True))
    open_ = (MessageState.UNFILLED, MessageState.FILLED)
    is_sent = any(one.state in open_ and one.value > 0 for one in messages.values())
    return 0 if is_sent else max(int(row.miner.fee_debt), 0)


def _follow(row: Recovery, message: Message, context: ProvingContext) -> bool:
    """Move a recovery by the outcome of its declaration; return whether there is an outcome yet."""
    event, reason = declaration_outcome_resolve(row, message=message, context=context)
    if event:
        _step(row, event, context, error=reason)
    return bool(event)


RECOVERY_LOCK: Final = 0x5243
"""Lock class of one miner's recoveries."""
LOCK_WAIT_S: Final = 5.0
"""Longest wait for a pass that moves the same ones; the next head follows."""
OPEN: Final = (RecoveryState.CHECKING, RecoveryState.GOOD, RecoveryState.SENT, RecoveryState.LANDED)
IN_PROGRESS: Final[Compiled[Recovery]] = Compiled(
    "recoveries_under_way",
    lambda: Recovery.objects.filter(state__in=OPEN).order_by("pk").only("pk", "miner"),
)


def recovering_miners_list() -> list[int]:
    """Return the miners with a recovery that is under way."""
    return list(dict.fromkeys(row.miner_id for row in IN_PROGRESS.rows()))


def recoveries_advance(context: ProvingContext, *, miners: Collection[int] | None = None) -> None:
    """Move every recovery that is under way, or those of `miners`.

    Two passes meet here, as in `posts_advance`.  A miner's recoveries are moved by one of them at a time,
    since only one of its declarations brings the miner's debt; the other pass reads them again afterwards.
    """
    rows = [row for row in IN_PROGRESS.rows() if miners is None or row.miner_id in miners]
    at_work: list[Recovery] = []

    def move(row: Recovery) -> None:
        with try_lock(RECOVERY_LOCK, str(row.miner_id)) as is_mine:
            if is_mine:
                recovery_move_now(row, context=context)
            else:
                at_work.append(row)

    def move_in_turn(row: Recovery) -> None:
        wait_s = until - time.monotonic()
        with lock_in_turn(RECOVERY_LOCK, str(row.miner_id), wait_s=wait_s) as is_mine:
            if is_mine:
                recovery_move_now(row, context=context)

    for_each_isolated(rows, move, event="recovery_not_moved")
    until = time.monotonic() + LOCK_WAIT_S
    for_each_isolated(at_work, move_in_turn, event="recovery_not_moved")


ONE: Final[Compiled[Recovery]] = Compiled(
    "recovery_under_way",
    lambda key: Recovery.objects.filter(pk=key, state__in=OPEN).select_related("miner__tenant", "job__miner"),
    key="bigint",
)


def recovery_move_now(row: Recovery, *, context: ProvingContext) -> None:
    """Advance a recovery from where it is now: another pass may have moved it."""
    rows = ONE.rows(key=row.pk)
    for fresh in rows:
        message = messages_by_ids([fresh.message_id]).get(fresh.message_id) if fresh.message_id else None
        recovery_move(fresh, message=message, context=context)
