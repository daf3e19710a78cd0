"""Replacing a message: the same nonce with higher fees; before it is signed, other fee limits."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import F

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.core.units import values_with_units
from apps.messages.errors import AlreadyOnChain, BadMessage, CapBelowPremium, FeeTooLow, SignerRefuses
from apps.messages.models import Message, Sender, SignedVersion
from apps.messages.reasons import FEE_CAP_RAISED, FEES_SET, REPLACED
from apps.messages.rules.gas_checks import fee_cap_check, gas_shortfall_describe
from apps.messages.rules.message_states import wrong_state
from apps.messages.selectors.replacement_fees import NewFees, auto_fees_estimate, manual_fees_apply
from apps.messages.services.audit import event_record, fees_describe, message_audit
from apps.messages.services.budgets import Budgets, replacement_plan
from apps.messages.services.recovery.detect import recovery_require_over
from apps.messages.services.selection import SenderChainState, sender_chain_state_read
from apps.messages.services.selection_queue import selection_enqueue
from apps.messages.services.sign import origin_build
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import Principal
from apps.wallets.services.sign import messages_sign
from poolsite.filecoin.amounts import TOTAL_FILECOIN, fil_format
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import SignedMessage, signed_message_to_cbor


def message_replace(
    *,
    message: Message,
    fees: NewFees,
    client: ChainClient,
    head: Head,
    now: datetime,
    by: Principal | None = None,
) -> Message:
    """Sign the message again with the same nonce and other fees; the old version is kept, it may still land.

    The caller publishes.  `by` goes into the audit log; None where the pool does it by itself.
    Refused before anything is signed: what is not in flight or already on chain,
    fees that no pool would take in the old ones' place, more than the largest allowed fee.
    Raises AlreadyOnChain, BadMessage, FeeTooLow, SignerRefuses, NodeUnavailable, NodeRefused.
    """
    recovery_require_over(message.from_addr, now=now)
    # What the pool raises by itself has a deadline, or lands before a proof.
    budgets = None if by is None else Budgets(base_fee=int(head.base_fee), now=now)
    new = replacement_preview(message, fees=fees, client=client, head=head, budgets=budgets)
    origins = [origin_build(message)]
    answer = messages_sign([new], tenant_id=message.tenant_id, origins=origins)[0]
    if not isinstance(answer, SignedMessage):
        raise SignerRefuses(f"sign message failed: {answer.reason}")
    return _store_version(message, answer, budgets=budgets, now=now, by=by)


def replacement_preview(
    message: Message, *, fees: NewFees, client: ChainClient, head: Head, budgets: Budgets | None = None
) -> ChainMessage:
    """Return what `message_replace` would have signed; the same refusals, and nothing is changed.

    The days of gas guards are looked at, and planned for, in `budgets` if these are given.
    """
    in_flight_require(message)
    chain_state = nonce_open_require(message, client=client, head=head)
    if fees.is_auto:
        funds = chain_state.free_balance + message.gas_limit * int(message.gas_fee_cap)
        new = auto_fees_estimate(message, fees=fees, funds=funds, client=client, head=head)
    else:
        new = manual_fees_apply(message, fees=fees, funds=chain_state.balance - int(message.value))
    if new.gas_limit > BLOCK_GAS_LIMIT:
        reason = gettext("the gas limit must be between 0 and {block_gas_limit}")
        raise FeeTooLow(reason.format(block_gas_limit=BLOCK_GAS_LIMIT), field="gas_limit")
    if lack := gas_shortfall_describe(new):
        raise FeeTooLow(lack, field="gas_limit")
    if budgets is not None:
        replacement_plan(message, new=new, budgets=budgets)
    return new


def nonce_open_require(message: Message, *, client: ChainClient, head: Head) -> SenderChainState:
    """Return the sender's state; refuse a nonce that the chain has used.  Raises AlreadyOnChain."""
    chain_state = sender_chain_state_read(message.from_addr, client=client, key=head.key)
    if (message.nonce or 0) < chain_state.chain_nonce:
        raise AlreadyOnChain
    return chain_state


def in_flight_require(message: Message) -> None:
    """Refuse what is not in flight.  Raises AlreadyOnChain, BadMessage."""
    if message.state == MessageState.LANDED:
        raise AlreadyOnChain
    if message.state != MessageState.FILLED:
        raise wrong_state(message.state, needed=MessageState.FILLED)
    if message.is_exported:
        raise BadMessage(
            gettext("it was exported to be signed offline: import its signature, or withdraw the export"),
            field="state",
        )


def version_require(message: Message, *, cids: Collection[str]) -> None:
    """Refuse a message of which the caller knows another version.  Raises BadMessage."""
    if message.cid not in cids:
        raise BadMessage(
            gettext("the message was signed or replaced in the meantime: check it and try again"), field="id"
        )


@transaction.atomic
def _store_version(
    message: Message, signed: SignedMessage, *, budgets: Budgets | None, now: datetime, by: Principal | None
) -> Message:
    """Keep the old version and make the new one the row's; refused if the row moved since it was read."""
    if budgets is not None and not budgets.still_fit():
        raise FeeTooLow(
            gettext("another message has used up the daily budget of a gas guard meanwhile"), field="max_fee"
        )
    row = Message.objects.select_for_update().get(pk=message.pk)
    in_flight_require(row)
    version_require(row, cids=(message.cid,))
    version_store(row, now=now)
    new, before = signed.message, fees_describe(row)
    advance(
        row,
        "REPLACE",
        gas_limit=new.gas_limit,
        gas_fee_cap=new.gas_fee_cap,
        gas_premium=new.gas_premium,
        signed=signed_message_to_cbor(signed),
        cid=str(signed.cid),
        unsigned_cid=str(new.cid),
        published_at=None,
        wait=Wait.IN_POOL,
        error="",
        updated_at=now,
    )
    caps = FEE_CAP_RAISED(gas_fee_cap=int(message.gas_fee_cap), gas_fee_cap_gas_fee_cap=int(new.gas_fee_cap))
    event_record(
        row,
        event="replaced",
        text=REPLACED(
            gas_premium=int(message.gas_premium), gas_premium_gas_premium=int(new.gas_premium), caps=caps
        ),
        now=now,
    )
    message_audit(by, action="message.replace", message=row, before=before, after=fees_describe(row))
    publish(Change("message", row.pk, row.tenant_id))
    return row


def version_store(row: Message, *, now: datetime) -> None:
    """Keep the signed version that a row is about to lose: it was published and may still land.

    An exported message whose signature never came here has none.
    """
    if not row.cid:
        return
    SignedVersion.objects.get_or_create(
        cid=row.cid,
        defaults={
            "message": row,
            "unsigned_cid": row.unsigned_cid,
            "signed": bytes(row.signed),
            "gas_limit": row.gas_limit,
            "gas_fee_cap": row.gas_fee_cap,
            "gas_premium": row.gas_premium,
            "made_at": row.filled_at or now,
        },
    )


@transaction.atomic
def fee_limits_set(
    *, message: Message, max_fee: int, gas_fee_cap: int, now: datetime, by: Principal | None = None
) -> Message:
    """Set for a message without a nonce its own largest fee and fee cap, and have it tried at once.

    They go before those of its sender, its method and the pool; the gas guard's cap still holds.  0 leaves
    the rules to decide.  `by` goes into the audit log.

    Raises BadMessage if it is signed already or a value cannot be paid.
    """
    # A selection that has it signed meanwhile went by the old limits, and is done again.
    Sender.objects.filter(address=message.from_addr).update(version=F("version") + 1)
    row = Message.objects.select_for_update().get(pk=message.pk)
    if row.state != MessageState.UNFILLED:
        raise wrong_state(row.state, needed=MessageState.UNFILLED)
    for name, value in (("max_fee", max_fee), ("gas_fee_cap", gas_fee_cap)):
        if not 0 <= value <= TOTAL_FILECOIN:
            raise BadMessage(gettext("the amount must be from 0 to the total FIL supply"), field=name)
    fee_cap_check(gas_fee_cap)
    if gas_fee_cap and row.gas_premium > gas_fee_cap:
        raise CapBelowPremium(field="gas_fee_cap")
    text = FEES_SET(max_fee=fil_format(max_fee), gas_fee_cap=gas_fee_cap)
    Message.objects.filter(pk=row.pk).update(
        max_fee=max_fee, gas_fee_cap=gas_fee_cap, retry_height=0, attempts=0, updated_at=now
    )
    event_record(row, event="fee raised", text=text, now=now)
    before = values_with_units({"max_fee": row.max_fee, "gas_fee_cap": row.gas_fee_cap})
    after = values_with_units({"max_fee": max_fee, "gas_fee_cap": gas_fee_cap})
    message_audit(by, action="message.replace", message=row, before=before, after=after)
    publish(Change("message", row.pk, row.tenant_id))
    transaction.on_commit(partial(selection_enqueue, row.from_addr))
    row.refresh_from_db()
    return row
