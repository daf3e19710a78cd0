"""Giving messages up: one in flight may give its nonce to a transfer of nothing to oneself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.db.models import F
from msgspec import structs

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.gas_estimates import GasSpec
from apps.core.formatting import fee_text
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import as_reason
from apps.core.transitions import advance
from apps.messages.errors import BadMessage, FeeTooLow, SignerRefuses
from apps.messages.models import Message, Sender
from apps.messages.reasons import CANCELLED, NONCE_FREE, NONCE_REASSIGNED
from apps.messages.selectors.fees import fee_limit_compute
from apps.messages.selectors.replacement_fees import premium_floor_read
from apps.messages.services.audit import event_record, message_audit, messages_audit
from apps.messages.services.bulk_transitions import NOT_LANDED, message_changes_publish, messages_advance
from apps.messages.services.recovery.detect import recovery_require_over
from apps.messages.services.replace import in_flight_require, nonce_open_require, version_require
from apps.messages.services.selection import senders_lock
from apps.messages.services.sign import origin_build
from apps.messages.states import MessageState, Priority, Wait
from apps.users.rules.principals import Principal
from apps.wallets.services.sign import messages_sign
from poolsite.filecoin.amounts import AttoFil, fil_format
from poolsite.filecoin.ethereum import transfer_method
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import SignedMessage, signed_message_to_cbor


def message_cancel(
    *, message: Message, client: ChainClient, head: Head, now: datetime, by: Principal | None = None
) -> Message:
    """Fail a message in flight and give its nonce to a transfer of nothing; returns the transfer's row.

    The caller publishes it; `by` goes into the audit log.
    Refused before anything is signed: what is not in flight, what is on chain,
    a premium that the largest allowed fee does not buy.
    Raises AlreadyOnChain, BadMessage, FeeTooLow, SignerRefuses, NodeUnavailable, NodeRefused.
    """
    recovery_require_over(message.from_addr, now=now)
    in_flight_require(message)
    nonce_open_require(message, client=client, head=head)
    transfer = transfer_build(message, client=client, head=head)
    cancels = f"cancel:{message.from_addr}:{message.nonce}"
    origins = [structs.replace(origin_build(message), id=cancels, kind="cancel")]
    answer = messages_sign([transfer], tenant_id=message.tenant_id, origins=origins)[0]
    if not isinstance(answer, SignedMessage):
        raise SignerRefuses(f"sign message failed: {answer.reason}")
    return _store(message, answer, head=head, now=now, by=by)


def transfer_build(message: Message, *, client: ChainClient, head: Head) -> ChainMessage:
    """Make the transfer with fees that a pool takes in the message's place."""
    old = message.chain_message()
    blank = replace(
        old,
        to=old.from_,
        value=AttoFil(0),
        method=transfer_method(old.from_),
        params=b"",
        gas_limit=0,
        gas_fee_cap=AttoFil(0),
        gas_premium=AttoFil(0),
    )
    limit = fee_limit_compute(message, client=client, key=head.key)
    found = client.gas_estimate_message(blank, GasSpec(max_fee=limit, gas_over_estimation=1.25), head.key)
    floor = premium_floor_read(message, client=client)
    premium = max(found.gas_premium, floor)
    cap = max(found.gas_fee_cap, premium, old.gas_fee_cap)
    if limit and cap * found.gas_limit > limit:
        cap = limit // found.gas_limit
    if cap < (needed := max(premium, int(head.base_fee))):
        raise FeeTooLow(
            gettext("max fee {limit} allows a fee cap of {cap}, but {needed} is needed").format(
                limit=fil_format(limit), cap=fee_text(cap), needed=fee_text(needed)
            ),
            field="max_fee",
        )
    return replace(blank, gas_limit=found.gas_limit, gas_premium=AttoFil(premium), gas_fee_cap=AttoFil(cap))


@transaction.atomic
def _store(
    message: Message, signed: SignedMessage, *, head: Head, now: datetime, by: Principal | None
) -> Message:
    """Return the message up and make the transfer the holder of its nonce, both or neither."""
    senders_lock([message.from_addr])
    row = Message.objects.select_for_update().get(pk=message.pk)
    in_flight_require(row)
    version_require(row, cids=(message.cid,))
    advance(row, "MARK_BAD", updated_at=now, wait=Wait.NONE, error=CANCELLED())
    transfer = _in_flight(f"cancel:{row.from_addr}:{row.nonce}:{signed.cid}", row, signed, head=head, now=now)
    Sender.objects.filter(address=row.from_addr).update(version=F("version") + 1)
    event_record(
        row,
        event="cancelled",
        text=NONCE_REASSIGNED(nonce=row.nonce, transfer=transfer.pk),
        now=now,
    )
    event_record(transfer, event="cancels", text=row.pk, now=now)
    after = {"state": row.state, "nonce": row.nonce, "nonce_given_to": transfer.pk}
    message_audit(
        by, action="message.cancel", message=row, before={"state": str(MessageState.FILLED)}, after=after
    )
    publish(Change("message", row.pk, row.tenant_id))
    publish(Change("message", transfer.pk, row.tenant_id))
    transfer.refresh_from_db()
    return transfer


def _in_flight(id: str, row: Message, signed: SignedMessage, *, head: Head, now: datetime) -> Message:
    """Return the transfer's row, in flight.

    The very same transfer may be there, displaced or given up: the message was cancelled before, and came
    back by a reorganisation or by hand.
    """
    known = Message.objects.select_for_update().filter(pk=id).first()
    if known is None:
        body = signed.message
        known = Message.objects.create(
            pk=id,
            push_id=id,
            kind="cancel",
            pushed_by=row.pushed_by,
            tenant_id=row.tenant_id,
            priority=Priority.GAP,
            to=row.from_addr,
            from_addr=row.from_addr,
            method=body.method,
            pushed_height=head.height,
        )
        columns: dict[str, object] = {
            "nonce": body.nonce,
            "gas_limit": body.gas_limit,
            "gas_fee_cap": body.gas_fee_cap,
            "gas_premium": body.gas_premium,
            "signed": signed_message_to_cbor(signed),
            "cid": str(signed.cid),
            "unsigned_cid": str(body.cid),
            "filled_at": now,
            "wait": str(Wait.IN_POOL),
            "error": "",
        }
        messages_advance("FILL", rows={id: columns}, now=now)
    else:
        event = "REVERT" if known.state == MessageState.REPLACED else "RECOVER"
        messages_advance(event, rows={id: NOT_LANDED}, now=now)
    return known


@transaction.atomic
def message_mark_bad(
    *, message: Message, now: datetime, by: Principal | None = None, is_withdrawal: bool = False
) -> Message:
    """Fail a message.  If it was already signed it may still land; if no pool has it, its nonce is
    a gap, which the next selections close.

    Raises WrongState if it is final, BadMessage if it was signed or replaced since `message` was read, or
    was exported to be signed offline and the caller does not know (`is_withdrawal`).
    """
    senders_lock([message.from_addr])
    row = Message.objects.select_for_update().get(pk=message.pk)
    if row.is_exported != is_withdrawal:
        reason = gettext("it was exported to be signed offline: withdraw the export instead")
        if is_withdrawal:
            reason = gettext("its signature was imported in the meantime")
        raise BadMessage(reason, field="state")
    version_require(row, cids=(message.cid,))
    before = {"state": row.state}
    is_used = row.state == MessageState.REPLACED
    advance(row, "MARK_BAD", updated_at=now, wait=Wait.NONE)
    if row.nonce is not None:
        Sender.objects.filter(address=row.from_addr).update(version=F("version") + 1)
    event_record(
        row,
        event="marked bad",
        text="" if row.nonce is None or is_used else NONCE_FREE(nonce=row.nonce),
        now=now,
    )
    message_audit(by, action="message.mark-bad", message=row, before=before, after={"state": row.state})
    publish(Change("message", row.pk, row.tenant_id))
    return row


@transaction.atomic
def messages_clear(
    *, address: str, now: datetime, tenant_id: int | None = None, by: Principal | None = None
) -> int:
    """Fail everything of a sender that has no nonce yet; returns the number."""
    rows = Message.objects.select_for_update().filter(from_addr=address, state=MessageState.UNFILLED)
    if tenant_id is not None:
        rows = rows.filter(tenant_id=tenant_id)
    waiting = {row.pk: row for row in rows.defer("params", "signed").order_by("pk")}
    data = {pk: {"wait": str(Wait.NONE)} for pk in waiting}
    moved = messages_advance("MARK_BAD", rows=data, now=now)
    message_changes_publish(moved)
    states = ({"state": str(MessageState.UNFILLED)}, {"state": str(MessageState.FAILED)})
    messages_audit(by, action="message.clear", rows=[(waiting[pk], *states) for pk in moved])
    return len(moved)


@transaction.atomic
def message_withdraw(message: Message, *, reason: str, now: datetime) -> None:
    """Fail a message that was not signed yet, so that nothing of it can reach the chain.

    Raises WrongState if it has a nonce, LostRace if it got one this moment.
    """
    advance(message, "EXPIRE", wait=Wait.EXPIRED, error=as_reason(reason), updated_at=now)
    publish(Change("message", message.pk, message.tenant_id))
