"""What became of the messages of terminations and extensions."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q, QuerySet

from apps.chain.node.isolation import for_each_isolated
from apps.core.live import Change, publish
from apps.core.reason_fields import is_kept
from apps.core.reasons import MARKED, as_reason
from apps.core.transitions import advance
from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids, messages_moved
from apps.messages.states import MessageState, Wait
from apps.sectors.models import Batch
from apps.sectors.onchain.live_sectors import live_sectors_read
from apps.sectors.reasons import (
    BEFORE_THAT,
    DEADLINE_CLOSED,
    MESSAGE_ENDED,
    MESSAGE_WAS,
    REORGANISED,
    UNCHANGED,
)
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext, landing_is_deep
from apps.sectors.services.batches.messages import batch_mark_sent
from apps.sectors.services.changes.messages import MESSAGE_KINDS
from apps.sectors.services.changes.push import (
    change_batch_fail,
    change_batch_push,
    change_last_epoch_compute,
)
from apps.sectors.services.changes.steps import change_step
from apps.sectors.states import BatchState
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.wire.pipeline.changes import OPEN_CHANGES, ChangeEvent, ChangeKind


def changes_watch(work: SealingContext) -> None:
    """Push what was not pushed, and follow the messages that can still change something."""
    batches = Batch.objects.filter(kind__in=MESSAGE_KINDS.values()).exclude(miner__in=miners_unrecovered())
    batches = batches.select_related("miner__tenant")
    closed = list(batches.filter(state=BatchState.CLOSED).order_by("pk"))
    for_each_isolated(closed, lambda batch: _push_closed(batch, work), event="change_batch_not_pushed")
    changes_follow(batches, work=work)


def changes_follow(batches: QuerySet[Batch], *, work: SealingContext) -> None:
    """Follow the messages of those of these batches that can still change something."""
    young = work.head.height - work.network.chain_finality
    landed = batches.filter(state=BatchState.LANDED, landed_height__gte=young)
    moved = messages_moved(dict(landed.values_list("message_id", "landed_height")))
    failed = Q(state=BatchState.FAILED, closed_height__gte=young)
    watched = Q(state=BatchState.SENT) | Q(state=BatchState.LANDED, message_id__in=moved) | failed
    rows = list(batches.defer("params").filter(watched).order_by("pk"))
    messages = messages_by_ids([batch.message_id for batch in rows])
    known = [batch for batch in rows if batch.message_id in messages]
    for_each_isolated(
        known, lambda batch: _follow(batch, messages[batch.message_id], work), event="change_not_followed"
    )


def _push_closed(batch: Batch, work: SealingContext) -> None:
    last = change_last_epoch_compute(batch, work=work)
    if messages_by_ids([batch.message_id]):  # a kill came between push and note
        batch_mark_sent(batch)
    elif last is not None and last < work.head.height:
        _requeue(batch, error=DEADLINE_CLOSED(), work=work)
    else:
        change_batch_push(batch, work=work)


def _follow(batch: Batch, message: Message, work: SealingContext) -> None:
    if batch.state == BatchState.LANDED:
        if not message.has_succeeded:
            _reverted(batch, work)
        elif message.height != batch.landed_height:
            Batch.objects.filter(pk=batch.pk).update(landed_height=message.height, updated_at=work.now)
        return
    is_deep = landing_is_deep(message, work=work)
    if batch.state == BatchState.SENT and message.state == MessageState.UNFILLED:
        _wait_note(batch, message, work)
    elif batch.state == BatchState.SENT and message.state in (MessageState.FAILED, MessageState.REPLACED):
        text = as_reason(message.error) or MESSAGE_WAS(state=MARKED(text=message.state.lower()))
        if batch.error and batch.error != text:
            text = BEFORE_THAT(words=text, error=as_reason(batch.error))
        if _was_never_sent(message):
            _requeue(batch, error=text, work=work)
        else:
            change_batch_fail(batch, error=text, exit_code=None, work=work)
    elif is_deep and message.exit_code == 0:
        _landed(batch, message, work)
    elif is_deep and batch.state == BatchState.SENT:
        text = MESSAGE_ENDED(exit_code=as_reason(exit_code_text(message.exit_code)))
        change_batch_fail(batch, error=text, exit_code=message.exit_code, work=work)


def _wait_note(batch: Batch, message: Message, work: SealingContext) -> None:
    """Store why a message is not signed yet, such as its signer's refusal."""
    why = as_reason(message.error)
    if why and not is_kept(batch, "error", why):
        Batch.objects.filter(pk=batch.pk).update(error=why)
        changes = batch.changes.filter(state__in=OPEN_CHANGES)
        changes.update(error=why, updated_at=work.now)
        for change in changes.select_related("sector"):
            publish(Change("sector", str(change.sector.uuid), batch.miner.tenant_id))


def _landed(batch: Batch, message: Message, work: SealingContext) -> None:
    """End the changes of a batch as the chain has them."""
    changes = list(batch.changes.select_related("sector__miner").order_by("sector_id"))
    numbers = [change.sector.number for change in changes]
    size = batch.miner.sector_size
    live = live_sectors_read(work.client, batch.miner.address, numbers, size=size, key=work.head.key)
    for change in changes:
        onchain = live.get(change.sector.number)
        is_extended = onchain is not None and onchain.expiration == change.expiration
        if onchain is None if change.kind == ChangeKind.TERMINATE else is_extended:
            change_step(change, event=ChangeEvent.LAND, now=work.now, error="", exit_code=0)
        else:
            error = UNCHANGED()
            change_step(change, event=ChangeEvent.FAIL, now=work.now, note=error, error=error)
    advance(batch, "LAND", landed_height=message.height, exit_code=0, error="", updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def _was_never_sent(message: Message) -> bool:
    """Return whether a message expired without a nonce: nobody has ever signed it, and it cannot land."""
    is_expired = message.state == MessageState.FAILED and message.wait == Wait.EXPIRED
    return is_expired and message.nonce is None


@transaction.atomic
def _requeue(batch: Batch, *, error: str, work: SealingContext) -> None:
    """End a batch whose message was never sent: each of its changes goes with the next one."""
    for change in batch.changes.filter(state__in=OPEN_CHANGES).order_by("sector_id"):
        change_step(change, event=ChangeEvent.REQUEUE, now=work.now, note=error, error=error)
    advance(batch, "FAIL", error=error, exit_code=None, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def _reverted(batch: Batch, work: SealingContext) -> None:
    """Undo a landing that left the chain, or failed on another branch: the sectors are as before."""
    note = REORGANISED()
    for change in batch.changes.order_by("sector_id"):
        change_step(change, event=ChangeEvent.REVERT, now=work.now, note=note)
    advance(batch, "REVERT", landed_height=None, exit_code=None, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))
