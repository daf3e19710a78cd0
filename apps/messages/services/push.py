"""Taking a message in: checked for what can be known at once, idempotent by the caller's id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from celery import current_app
from django.db import IntegrityError, transaction
from kombu.exceptions import OperationalError as BrokerAway

from apps.chain.client import chain_client
from apps.chain.errors import NodeRefused
from apps.chain.selectors import head_current
from apps.core.live import Change, publish
from apps.messages.errors import BadMessage, MessageIdTaken, SenderStopped
from apps.messages.models import MESSAGE_ID_MAX, Message, Sender
from apps.messages.states import KIND_PRIORITIES, Priority, SenderState, Wait
from apps.wallets.errors import SenderNotGranted
from apps.wallets.selectors import sender_allowed
from poolsite.filecoin.address import ID, ZERO_ADDRESS, Address, BadAddress, address_format, address_parse
from poolsite.filecoin.amounts import TOTAL_FILECOIN
from poolsite.filecoin.message import BLOCK_GAS_LIMIT, MAX_MESSAGE_LEN, message_to_cbor

if TYPE_CHECKING:
    from apps.users.principals import Principal

log = structlog.get_logger(__name__)

SIGNATURE_ROOM: Final = 200
"""Bytes kept free for the signature when the size of a message is checked."""

METHOD_MAX: Final = (1 << 63) - 1
"""Largest method number that our column holds; FRC-42 numbers have 32 bits."""

METHOD_WINDOW_POST: Final = 5
"""SubmitWindowedPoSt of a miner actor; ours to recognise what comes from outside without a kind."""


@dataclass(frozen=True, slots=True)
class SendSpec:
    """Wishes that come with a message; zero leaves the choice to the rules below."""

    max_fee: int = 0
    gas_over_estimation: float = 0.0
    gas_over_premium: float = 0.0
    expire_epoch: int = 0


@dataclass(frozen=True, slots=True)
class Gas:
    """Gas values that the caller fixes; zero means estimate."""

    limit: int = 0
    fee_cap: int = 0
    premium: int = 0


def message_push(  # noqa: PLR0913  # a message has that many fields
    *,
    principal: Principal,
    id: str,  # the messager's word for it
    to: Address | str,
    from_: Address | str,
    value: int = 0,
    method: int,
    params: bytes = b"",
    kind: str = "",
    spec: SendSpec | None = None,
    gas: Gas | None = None,
    time_sensitive: bool = False,
    expire_epoch: int | None = None,
    urgent_epoch: int | None = None,
) -> Message:
    """Accept a message and give its row; the same content under the same id gives the same row again.

    A time-sensitive one is chosen at once, others on the next head.  Nothing is sent here.
    Raises BadMessage naming the field, SenderNotGranted, SenderStopped, MessageIdTaken; NodeUnavailable
    only where an ID address has to be resolved.
    """
    wishes = spec or SendSpec()
    row = Message(
        id=id_checked(id),
        tenant_id=principal.tenant_id,
        pushed_by=principal.actor[:200],
        kind=kind,
        priority=_priority(kind, method=method, is_urgent=time_sensitive),
        time_sensitive=time_sensitive,
        urgent_epoch=urgent_epoch,
        to=address_format(_receiver(to)),
        from_addr=address_format(_sender(from_)),
        value=_value(value),
        method=_method(method),
        params=bytes(params),
        gas_limit=gas.limit if gas else 0,
        gas_fee_cap=gas.fee_cap if gas else 0,
        gas_premium=gas.premium if gas else 0,
        max_fee=wishes.max_fee,
        gas_over_estimation=wishes.gas_over_estimation,
        gas_over_premium=wishes.gas_over_premium,
        expire_epoch=wishes.expire_epoch if expire_epoch is None else expire_epoch,
        wait=Wait.NEXT_HEAD,
    )
    _wishes_check(row)
    _size_check(row)
    if not sender_allowed(principal.tenant_id, row.from_addr):
        raise SenderNotGranted(row.from_addr)
    return _store(row, principal=principal)


def _store(row: Message, *, principal: Principal) -> Message:
    """Insert the row and its sender's if that is new."""
    with transaction.atomic():
        sender, _ = Sender.objects.get_or_create(address=row.from_addr)
        if sender.state == SenderState.FORBIDDEN:
            raise SenderStopped(f"address({row.from_addr}) is forbidden", field="from")
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            return _same_again(row, principal=principal)
        publish(Change("message", row.pk, row.tenant_id))
        if row.time_sensitive:
            transaction.on_commit(lambda: selection_ask(row.from_addr))
    return row


def _same_again(row: Message, *, principal: Principal) -> Message:
    """Give the stored row if it is the same message of the same account.  Raises MessageIdTaken."""
    stored = Message.objects.filter(pk=row.pk).first()
    content = ("to", "from_addr", "value", "method")
    if (
        stored is not None
        and (stored.tenant_id == row.tenant_id or principal.is_operator)
        and all(getattr(stored, name) == getattr(row, name) for name in content)
        and bytes(stored.params) == bytes(row.params)
    ):
        return stored
    raise MessageIdTaken(f"message id {row.pk} already exists with other content", field="id")


def selection_ask(address: str) -> None:
    """Have this sender's messages chosen now; without a broker the next head does it."""
    try:
        current_app.send_task(
            "messages.select_sender", kwargs={"address": address}, queue="messages", retry=False
        )
    except (BrokerAway, OSError) as error:
        log.warning("selection_not_asked", sender=address, reason=str(error)[:200])


def id_checked(text: str) -> str:
    """Give a caller's id if a row can have it.  Raises BadMessage."""
    if not text:
        raise BadMessage("empty uid", field="id")
    if len(text) > MESSAGE_ID_MAX:
        raise BadMessage(f"an id has at most {MESSAGE_ID_MAX} characters", field="id")
    if any(ord(character) < 32 for character in text):
        raise BadMessage("an id has no control characters", field="id")
    return text


def _priority(kind: str, *, method: int, is_urgent: bool) -> int:
    if kind in KIND_PRIORITIES:
        return KIND_PRIORITIES[kind]
    return Priority.PROOF if is_urgent or (not kind and method == METHOD_WINDOW_POST) else Priority.REST


def _address(value: Address | str, *, field: str) -> Address:
    if isinstance(value, Address):
        address = value
    else:
        try:
            address = address_parse(value)
        except (BadAddress, TypeError) as error:
            raise BadMessage(str(error), field=field) from None
    if address.is_undef:
        raise BadMessage("the address is empty", field=field)
    return address


def _receiver(value: Address | str) -> Address:
    address = _address(value, field="to")
    if address == ZERO_ADDRESS:
        raise BadMessage("invalid 'To' address", field="to")
    return address


def _sender(value: Address | str) -> Address:
    """Give the key address of the sender; an ID address is looked up on chain."""
    address = _address(value, field="from")
    if address.protocol != ID:
        if not address.is_key:
            raise BadMessage(f"{address} has no key: it cannot send", field="from")
        return address
    try:
        found = chain_client().state_account_key(address_format(address))
    except NodeRefused as error:
        reason = f"getting key address {address} failed: {error.reason}"
        raise BadMessage(reason, field="from") from None
    return _address(found, field="from")


def _value(value: int) -> int:
    if value < 0:
        raise BadMessage("'Value' field cannot be negative", field="value")
    if value > TOTAL_FILECOIN:
        raise BadMessage("'Value' field cannot be greater than total filecoin supply", field="value")
    return value


def _method(method: int) -> int:
    if not 0 <= method <= METHOD_MAX:
        raise BadMessage("not a method number", field="method")
    return method


def _wishes_check(row: Message) -> None:
    """Check gas values and wishes against what any block could carry."""
    if not 0 <= row.gas_limit <= BLOCK_GAS_LIMIT:
        raise BadMessage(f"the gas limit must be between 0 and {BLOCK_GAS_LIMIT}", field="gas_limit")
    for name in ("gas_fee_cap", "gas_premium", "max_fee"):
        if not 0 <= getattr(row, name) <= TOTAL_FILECOIN:
            raise BadMessage("not an amount that a message can pay", field=name)
    if row.gas_fee_cap and row.gas_premium > row.gas_fee_cap:
        raise BadMessage("'GasFeeCap' less than 'GasPremium'", field="gas_premium")
    for name in ("gas_over_estimation", "gas_over_premium"):
        if not 0 <= getattr(row, name) <= 1000:
            raise BadMessage("a factor is between 0 and 1000", field=name)
    if not 0 <= row.expire_epoch < 1 << 62:
        raise BadMessage("not an epoch", field="expire_epoch")
    if row.expire_epoch:
        head = head_current()
        if head is not None and row.expire_epoch < head.height:
            reason = f"epoch {row.expire_epoch} has passed: the chain is at {head.height}"
            raise BadMessage(reason, field="expire_epoch")


def _size_check(row: Message) -> None:
    size = len(message_to_cbor(row.chain_message())) + SIGNATURE_ROOM
    if size > MAX_MESSAGE_LEN:
        raise BadMessage(f"mpool message too large ({size}B): message too big", field="params")
