"""Terminations and extensions on their way: which go to the chain together, when, and what became of them.

As with batches of new sectors, a message's id is its batch's, so pushing it twice makes one message; what
the chain has decides, not what became of a message.  What may still land is not sent a second time by itself:
a change whose message failed is FAILED with the actor's exit code, and somebody asks for it again.  Only one
whose message expired before it got a nonce, and so cannot land, goes with the next message.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext

from apps.chain.isolation import for_each_isolated
from apps.core.errors import DomainError
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.messages.models import Message
from apps.messages.selectors import messages_by_ids, messages_not_landed
from apps.messages.services.push import message_push
from apps.messages.services.recovery.detect import restore_check
from apps.messages.states import MessageState, Wait
from apps.miners.selectors import miner_principal, sender_choose
from apps.miners.states import MinerState
from apps.sectors.live_sectors import Windows, live_sectors_read
from apps.sectors.models import Batch, SectorChange
from apps.sectors.onchain import messages_try, trial_message
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sectors import batch_policy
from apps.sectors.services.batches.asks import asked_height
from apps.sectors.services.batches.context import RETRYABLE_EXITS
from apps.sectors.services.batches.messages import batch_sent
from apps.sectors.services.changes.plans import (
    GONE,
    MESSAGE_KINDS,
    METHODS,
    USES,
    ChangeRequest,
    batch_max,
    change_params,
    changes_priced,
)
from apps.sectors.services.changes.steps import change_step
from apps.sectors.states import BatchState
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.wire.pipeline.changes import OPEN_CHANGES, QUEUED, ChangeEvent, ChangeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from apps.miners.models import Miner
    from apps.sectors.policy import SealingPolicy
    from apps.sectors.services.batches.context import SealingContext
    from apps.sectors.services.changes.plans import SectorPrice

log = structlog.get_logger(__name__)
ON_CHAIN_ALREADY: Final = "already done on chain by an earlier message"


def changes_advance(work: SealingContext) -> None:
    """Follow the messages of changes, and send those that are due at the newest head."""
    changes_watch(work)
    queued = SectorChange.objects.filter(state__in=QUEUED, sector__miner__state=MinerState.ACTIVE)
    queued = queued.exclude(sector__miner__in=miners_unrecovered())
    groups: dict[tuple[Miner, str], list[SectorChange]] = {}
    for change in queued.select_related("sector__miner__tenant").order_by("pk"):
        groups.setdefault((change.sector.miner, change.kind), []).append(change)
    for_each_isolated(
        groups.items(),
        lambda item: _send_due(item[0][0], ChangeKind(item[0][1]), item[1], work),
        event="sector_changes_not_sent",
    )


# Sending


def _send_due(miner: Miner, kind: ChangeKind, changes: Sequence[SectorChange], work: SealingContext) -> None:
    """Send one miner's changes of a kind that are due, in as many messages as they need."""
    policy = batch_policy(miner, work.policy)
    wait = policy.terminate_wait_epochs if kind is ChangeKind.TERMINATE else policy.extend_wait_epochs
    most = batch_max(miner, kind)
    asked = changes[0].queued_height <= asked_height(miner)
    asked = asked or (kind is ChangeKind.EXTEND and _end_soon(changes, policy=policy, work=work))
    if not asked and len(changes) < most and work.head.height - changes[0].queued_height < wait:
        return
    if not asked and policy.is_held(MESSAGE_KINDS[kind], int(work.head.base_fee)):
        return
    if _is_in_flight(miner, kind):
        return
    ready = _sendable(miner, kind, changes, work)
    for at in range(0, len(ready), most):
        part = _accepted(miner, kind, ready[at : at + most], work)
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
    for change, price in _priced(miner, kind, changes, work):
        is_done = price.refusal == GONE if kind is ChangeKind.TERMINATE else _is_extended(change, price)
        if is_done:
            change_step(change, ChangeEvent.LAND, now=work.now, note=ON_CHAIN_ALREADY)
        elif price.refusal:
            change_step(change, ChangeEvent.FAIL, now=work.now, note=price.refusal, error=price.refusal)
        elif price.sends_at <= work.head.height:
            ready.append((change, price))
    return ready


def _is_extended(change: SectorChange, price: SectorPrice) -> bool:
    return price.live is not None and price.live.expiration == change.expiration


def _priced(
    miner: Miner, kind: ChangeKind, changes: Sequence[SectorChange], work: SealingContext
) -> list[tuple[SectorChange, SectorPrice]]:
    """Return what each change does at this head."""
    found = []
    by_wish: dict[tuple[int | None, bool], list[SectorChange]] = {}
    for change in changes:
        by_wish.setdefault((change.expiration, change.drops_claims), []).append(change)
    for (expiration, drops), theirs in by_wish.items():
        request = ChangeRequest(kind=kind, expiration=expiration, drops_claims=drops)
        prices = changes_priced(
            miner,
            [change.sector for change in theirs],
            request=request,
            client=work.client,
            head=work.head,
            network=work.network,
        )
        found += list(zip(theirs, prices, strict=True))
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
                params=change_params(kind, [price for _, price in part]),
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
        elif code in RETRYABLE_EXITS:  # the sender or the node: tried again with the next head
            SectorChange.objects.filter(pk=one[0].pk).update(error=error, updated_at=work.now)
        else:
            note = gettext("the chain would refuse it: {error}").format(error=error)
            change_step(one[0], ChangeEvent.FAIL, now=work.now, note=note, error=error, exit_code=code)
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
            reason="timeout" if len(part) < batch_max(miner, kind) else "full",
            sender=sender_choose(miner, USES[kind]).address,
            method=METHODS[kind],
            params=change_params(kind, [price for _, price in part]),
        )
        ordered = sorted(part, key=lambda one: one[0].sector_id)  # one order for all: no deadlock
        moved = [
            change_step(one, ChangeEvent.SEND, now=work.now, batch=batch, error="") for one, _ in ordered
        ]
        if not all(moved):  # somebody cancelled one meanwhile: the others go with the next head
            transaction.set_rollback(True)
            return
        publish(Change("batch", batch.pk, miner.tenant_id))
    change_batch_push(batch, work)


def change_batch_push(batch: Batch, work: SealingContext) -> None:
    """Push a batch's message; harmless to repeat.

    A termination that gets no nonce while its deadlines take it is given up by the messager.
    """
    try:
        message_push(
            principal=miner_principal(batch.miner),
            id=batch.message_id,
            to=batch.miner.address,
            from_=batch.sender,
            method=batch.method,
            params=bytes(batch.params),
            kind=batch.kind,
            expire_epoch=_last_epoch(batch, work),
        )
    except DomainError as error:
        log.warning("change_batch_not_pushed", batch=str(batch.uuid), reason=error.reason)
        Batch.objects.filter(pk=batch.pk).update(error=error.reason)
        return
    batch_sent(batch)


def _last_epoch(batch: Batch, work: SealingContext) -> int | None:
    """Return the last epoch at which the chain takes a batch's message; None: any.

    An extension's is that of the sector that ends first.  What has ended already sets none: the chain
    says what becomes of it.
    """
    if batch.kind == MESSAGE_KINDS[ChangeKind.EXTEND]:
        ends = batch.changes.filter(old_expiration__gte=work.head.height)
        first = ends.order_by("old_expiration").first()
        return None if first is None else first.old_expiration
    windows = Windows.read(work.client, batch.miner.address, key=work.head.key, height=work.head.height)
    rows = batch.changes.exclude(sector__deadline=None)
    deadlines = rows.order_by().values_list("sector__deadline", flat=True).distinct()
    return min((windows.closes_at(index) for index in deadlines if index is not None), default=None)


# Following


def changes_watch(work: SealingContext) -> None:
    """Push what was not pushed, and follow the messages that can still change something."""
    batches = Batch.objects.filter(kind__in=MESSAGE_KINDS.values()).exclude(miner__in=miners_unrecovered())
    batches = batches.select_related("miner__tenant")
    closed = list(batches.filter(state=BatchState.CLOSED).order_by("pk"))
    for_each_isolated(closed, lambda batch: _push_closed(batch, work), event="change_batch_not_pushed")
    changes_follow(batches, work)


def changes_follow(batches: QuerySet[Batch], work: SealingContext) -> None:
    """Follow the messages of those of these batches that can still change something."""
    young = work.head.height - work.network.chain_finality
    landed = batches.filter(state=BatchState.LANDED, landed_height__gte=young)
    gone = messages_not_landed(landed.values_list("message_id", flat=True))
    given_up = Q(state=BatchState.FAILED, exit_code=None, closed_height__gte=young)
    watched = Q(state=BatchState.SENT) | Q(state=BatchState.LANDED, message_id__in=gone) | given_up
    rows = list(batches.defer("params").filter(watched).order_by("pk"))
    messages = messages_by_ids([batch.message_id for batch in rows])
    there = [batch for batch in rows if batch.message_id in messages]
    for_each_isolated(
        there, lambda batch: _follow(batch, messages[batch.message_id], work), event="change_not_followed"
    )


def _push_closed(batch: Batch, work: SealingContext) -> None:
    last = _last_epoch(batch, work)
    if messages_by_ids([batch.message_id]):  # a kill came between push and note
        batch_sent(batch)
    elif last is not None and last < work.head.height:
        _requeue(batch, error=gettext("its deadline stopped accepting changes before it was sent"), work=work)
    else:
        change_batch_push(batch, work)


def _follow(batch: Batch, message: Message, work: SealingContext) -> None:
    is_landed = message.state == MessageState.LANDED
    if batch.state == BatchState.LANDED:
        if not is_landed:
            _reverted(batch, work)
        return
    is_deep = is_landed and message.height + 1 + work.network.confidences.message <= work.head.height
    if batch.state == BatchState.SENT and message.state == MessageState.UNFILLED:
        _wait_note(batch, message, work)
    elif batch.state == BatchState.SENT and message.state in (MessageState.FAILED, MessageState.REPLACED):
        words = message.error or gettext("the message was {state}").format(state=message.state.lower())
        if batch.error and batch.error != words:
            words = gettext("{words}; before that: {error}").format(words=words, error=batch.error)
        if _was_never_sent(message):
            _requeue(batch, error=words, work=work)
        else:
            _fail(batch, error=words, exit_code=None, work=work)
    elif is_deep and message.exit_code == 0:
        _landed(batch, message, work)
    elif is_deep and batch.state == BatchState.SENT:
        words = gettext("the message ended with {exit_code}").format(
            exit_code=exit_code_text(message.exit_code)
        )
        _fail(batch, error=words, exit_code=message.exit_code, work=work)


def _wait_note(batch: Batch, message: Message, work: SealingContext) -> None:
    """Store why a message is not signed yet, such as its signer's refusal."""
    if message.error and message.error != batch.error:
        Batch.objects.filter(pk=batch.pk).update(error=message.error)
        changes = batch.changes.filter(state__in=OPEN_CHANGES)
        changes.update(error=message.error, updated_at=work.now)
        for change in changes.select_related("sector"):
            publish(Change("sector", str(change.sector.uuid), batch.miner.tenant_id))


def _landed(batch: Batch, message: Message, work: SealingContext) -> None:
    """End the changes of a batch as the chain has them."""
    changes = list(batch.changes.select_related("sector__miner").order_by("sector_id"))
    numbers = [change.sector.number for change in changes]
    size = batch.miner.sector_size
    live = live_sectors_read(work.client, batch.miner.address, numbers, size=size, key=work.head.key)
    for change in changes:
        there = live.get(change.sector.number)
        is_extended = there is not None and there.expiration == change.expiration
        if there is None if change.kind == ChangeKind.TERMINATE else is_extended:
            change_step(change, ChangeEvent.LAND, now=work.now, error="", exit_code=0)
        else:
            error = gettext("the message landed, but the sector is unchanged on chain")
            change_step(change, ChangeEvent.FAIL, now=work.now, note=error, error=error)
    advance(batch, "LAND", landed_height=message.height, exit_code=0, error="", updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def _fail(batch: Batch, *, error: str, exit_code: int | None, work: SealingContext) -> None:
    """End a batch whose message did nothing: each of its changes has failed."""
    for change in batch.changes.filter(state__in=OPEN_CHANGES).order_by("sector_id"):
        change_step(change, ChangeEvent.FAIL, now=work.now, note=error, error=error, exit_code=exit_code)
    advance(batch, "FAIL", error=error, exit_code=exit_code, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def _was_never_sent(message: Message) -> bool:
    """Return whether a message expired without a nonce: nobody has ever signed it, and it cannot land."""
    is_expired = message.state == MessageState.FAILED and message.wait == Wait.EXPIRED
    return is_expired and message.nonce is None


@transaction.atomic
def _requeue(batch: Batch, *, error: str, work: SealingContext) -> None:
    """End a batch whose message was never sent: each of its changes goes with the next one."""
    for change in batch.changes.filter(state__in=OPEN_CHANGES).order_by("sector_id"):
        change_step(change, ChangeEvent.REQUEUE, now=work.now, note=error, error=error)
    advance(batch, "FAIL", error=error, exit_code=None, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def _reverted(batch: Batch, work: SealingContext) -> None:
    """Undo a landing that left the chain: the sectors are as before until it lands again."""
    note = gettext("the message left the chain in a reorganisation")
    for change in batch.changes.order_by("sector_id"):
        change_step(change, ChangeEvent.REVERT, now=work.now, note=note)
    advance(batch, "REVERT", landed_height=None, exit_code=None, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))
