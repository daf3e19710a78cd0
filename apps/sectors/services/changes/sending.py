"""Which terminations and extensions go to the chain in one message, and when."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.db import transaction

from apps.core.live import Change, publish
from apps.core.reasons import as_reason
from apps.messages.models import Message
from apps.messages.services.recovery.detect import restore_check
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.selectors.senders import sender_choose
from apps.sectors.models import Batch, SectorChange
from apps.sectors.onchain.sectors import messages_try, trial_message
from apps.sectors.reasons import DONE_ON_CHAIN, ENDED_ON_CHAIN, WOULD_REFUSE_IT
from apps.sectors.rules.batches import RETRYABLE_EXITS
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.change_prices import ChangeRequest, SectorPrice, changes_price
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.requests import requested_height_read
from apps.sectors.services.changes.messages import (
    MESSAGE_KINDS,
    METHODS,
    USES,
    batch_max_read,
    change_params_encode,
    changes_count_fit,
)
from apps.sectors.services.changes.push import change_batch_push
from apps.sectors.services.changes.steps import change_step
from apps.sectors.states import BatchState
from poolsite.wire.pipeline.changes import ChangeEvent, ChangeKind


def changes_send_due(
    miner: Miner, *, kind: ChangeKind, changes: Sequence[SectorChange], work: SealingContext
) -> None:
    """Send one miner's changes of a kind that are due, in as many messages as they need."""
    policy = batch_policy(miner, work.policy)
    wait = policy.terminate_wait_epochs if kind is ChangeKind.TERMINATE else policy.extend_wait_epochs
    most = batch_max_read(miner, kind=kind)
    requested = changes[0].queued_height <= requested_height_read(miner)
    requested = requested or (kind is ChangeKind.EXTEND and _end_soon(changes, policy=policy, work=work))
    if not requested and len(changes) < most and work.head.height - changes[0].queued_height < wait:
        return
    if not requested and policy.is_held(MESSAGE_KINDS[kind], int(work.head.base_fee)):
        return
    if _is_in_flight(miner, kind):
        return
    ready = _sendable(miner, kind, changes, work)
    while ready:
        most = changes_count_fit(miner, kind=kind, prices=[price for _, price in ready])
        part, ready = _accepted(miner, kind, ready[:most], work), ready[most:]
        restore_check(now=work.now)
        if part and miner.pk not in miners_unrecovered():
            _write(miner, kind, part, work)


def _end_soon(changes: Sequence[SectorChange], *, policy: SealingPolicy, work: SealingContext) -> bool:
    """Return whether one of these sectors ends before a message that waits longer would land for certain."""
    latest = work.head.height + work.network.proving.period + policy.precommit_slack_epochs
    ends = [change.old_expiration for change in changes if change.old_expiration is not None]
    return bool(ends) and min(ends) <= latest


def _is_in_flight(miner: Miner, kind: ChangeKind) -> bool:
    """Return whether a message is on its way of which no batch is followed as sent.

    A restored database has none of it, or it was given up and somebody has put it back on its way.
    """
    batches = Batch.objects.filter(miner=miner, kind=MESSAGE_KINDS[kind]).exclude(state=BatchState.FAILED)
    known = batches.values("message_id")
    messages = Message.objects.filter(to=miner.address, kind=MESSAGE_KINDS[kind])
    open_ = messages.filter(state__in=[MessageState.UNFILLED, MessageState.FILLED])
    return open_.exclude(pk__in=known).exists()


def _sendable(
    miner: Miner, kind: ChangeKind, changes: Sequence[SectorChange], work: SealingContext
) -> list[tuple[SectorChange, SectorPrice]]:
    """Return the changes that may be sent now; those that the chain has, or can never do, end here."""
    ready = []
    for change, price in queued_changes_price(miner, kind=kind, changes=changes, work=work):
        is_done = (
            ENDED_ON_CHAIN.made(price.refusal)
            if kind is ChangeKind.TERMINATE
            else _is_extended(change, price)
        )
        if is_done:
            change_step(change, event=ChangeEvent.LAND, now=work.now, note=DONE_ON_CHAIN())
        elif why := as_reason(price.refusal):
            change_step(change, event=ChangeEvent.FAIL, now=work.now, note=why, error=why)
        elif price.sends_at <= work.head.height:
            ready.append((change, price))
    return ready


def _is_extended(change: SectorChange, price: SectorPrice) -> bool:
    return price.live is not None and price.live.expiration == change.expiration


def queued_changes_price(
    miner: Miner, *, kind: ChangeKind, changes: Sequence[SectorChange], work: SealingContext
) -> list[tuple[SectorChange, SectorPrice]]:
    """Return what each change does at this head."""
    found = []
    by_request: dict[tuple[int | None, bool], list[SectorChange]] = {}
    for change in changes:
        by_request.setdefault((change.expiration, change.drops_claims), []).append(change)
    for (expiration, drops), group in by_request.items():
        request = ChangeRequest(kind=kind, expiration=expiration, drops_claims=drops)
        prices = changes_price(
            miner,
            sectors=[change.sector for change in group],
            request=request,
            client=work.client,
            head=work.head,
            network=work.network,
        )
        found += list(zip(group, prices, strict=True))
    return found


def _accepted(
    miner: Miner,
    kind: ChangeKind,
    ready: Sequence[tuple[SectorChange, SectorPrice]],
    work: SealingContext,
) -> list[tuple[SectorChange, SectorPrice]]:
    """Return those that the chain takes, all together or else each alone; what it refuses has failed."""
    sender = sender_choose(miner, USES[kind]).address

    def tried(parts: Sequence[Sequence[tuple[SectorChange, SectorPrice]]]) -> list[tuple[int, str]]:
        messages = [
            trial_message(
                to=miner.address,
                from_=sender,
                value=0,
                method=METHODS[kind],
                params=change_params_encode(kind, prices=[price for _, price in part]),
            )
            for part in parts
        ]
        trials = messages_try(work.client, messages, work.head.key)
        return [(trial.exit_code, trial.error) for trial in trials]

    if not ready or tried([ready])[0][0] == 0:
        return list(ready)
    good = []
    for one, (code, error) in zip(ready, tried([[one] for one in ready]), strict=True):
        if code == 0:
            good.append(one)
        elif code in RETRYABLE_EXITS:  # sender or node failed: the next head tries again
            SectorChange.objects.filter(pk=one[0].pk).update(error=as_reason(error), updated_at=work.now)
        else:
            why = as_reason(error)
            note = WOULD_REFUSE_IT(error=why)
            change_step(one[0], event=ChangeEvent.FAIL, now=work.now, note=note, error=why, exit_code=code)
    return good


def _write(
    miner: Miner,
    kind: ChangeKind,
    part: Sequence[tuple[SectorChange, SectorPrice]],
    work: SealingContext,
) -> None:
    """Write the batch with its message and move its changes in one transaction; then push it."""
    name = uuid.uuid4()
    with transaction.atomic():
        batch = Batch.objects.create(
            uuid=name,
            miner=miner,
            kind=MESSAGE_KINDS[kind],
            message_id=f"{MESSAGE_KINDS[kind]}:{name}",
            closed_height=work.head.height,
            reason="timeout" if len(part) < batch_max_read(miner, kind=kind) else "full",
            sender=sender_choose(miner, USES[kind]).address,
            method=METHODS[kind],
            params=change_params_encode(kind, prices=[price for _, price in part]),
        )
        ordered = sorted(part, key=lambda one: one[0].sector_id)
        moved = [
            change_step(one, event=ChangeEvent.SEND, now=work.now, batch=batch, error="")
            for one, _ in ordered
        ]
        if not all(moved):  # somebody cancelled one meanwhile: the others go with the next head
            transaction.set_rollback(True)
            return
        publish(Change("batch", batch.pk, miner.tenant_id))
    change_batch_push(batch, work=work)
