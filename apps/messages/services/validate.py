"""What can be known of a message before it is stored: every field that no node would take is named."""

from __future__ import annotations

import uuid
from typing import Final

from apps.chain.errors import NodeRefused
from apps.chain.node.client import chain_client
from apps.chain.selectors.landing_forms import landing_params
from apps.core.marked_texts import gettext
from apps.core.sanitize import has_marks
from apps.messages.errors import BadMessage, BadMessageAddress, ReceiverNotGranted, SenderStopped
from apps.messages.models import MESSAGE_ID_MAX, Message
from apps.messages.rules.gas_checks import gas_check
from apps.messages.rules.priorities import priority_choose
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.push_facts import PushFacts
from apps.messages.states import SenderState, Wait
from apps.users.rules.principals import Principal
from apps.wallets.errors import SenderNotGranted
from poolsite.filecoin.actors.decode import method_name, method_spec, params_decode
from poolsite.filecoin.address import (
    DELEGATED,
    EAM_ACTOR,
    ID,
    ZERO_ADDRESS,
    Address,
    BadAddress,
    address_format,
)
from poolsite.filecoin.amounts import TOTAL_FILECOIN
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.eth_text import any_address_parse
from poolsite.filecoin.ethereum import (
    METHOD_CREATE_EXTERNAL,
    METHOD_INVOKE_EVM,
    eth_name,
    is_transfer,
    signing_bytes,
)
from poolsite.filecoin.ethereum_transaction import BadTransaction
from poolsite.filecoin.message import MAX_MESSAGE_LEN, METHOD_MAX, METHOD_SEND

OVERHEAD_BYTES: Final = 700
"""Most that a signed message has beside its parameters: two addresses, numbers, the signature."""
PARAMS_BYTES_MAX: Final = MAX_MESSAGE_LEN - OVERHEAD_BYTES
"""Most parameters of one message."""


def message_validate(item: PushItem, *, principal: Principal) -> Message:
    """Return the row that stores `item`; what needs rows is not checked here.

    Raises BadMessage naming the field; NodeUnavailable only where an ID address has to be resolved.
    """
    push_id = id_validate(item.id)
    receiver, sender, method = _receiver(item.to), _sender(item.from_), _method(item.method)
    params = bytes(item.params)
    if sender.protocol == DELEGATED:
        receiver, method = _ethereum_call(receiver, method=method, has_params=bool(item.params))
    row = Message(
        # The apps of the pool, which name a purpose, choose ids that no other row has.
        id=push_id if item.kind else str(uuid.uuid4()),
        push_id=push_id,
        tenant_id=principal.tenant_id,
        pushed_by=principal.actor[:200],
        people="\n".join(principal.people),
        kind=item.kind,
        priority=priority_choose(item.kind, method=item.method, is_urgent=item.time_sensitive),
        time_sensitive=item.time_sensitive,
        urgent_epoch=item.urgent_epoch,
        to=address_format(receiver),
        from_addr=address_format(sender),
        value=_value(item.value),
        method=method,
        # What others push is theirs, byte by byte.
        params=landing_params(receiver, method, params) if item.kind else params,
        gas_limit=item.gas.limit,
        gas_fee_cap=item.gas.fee_cap,
        gas_premium=item.gas.premium,
        max_fee=item.spec.max_fee,
        gas_over_estimation=item.spec.gas_over_estimation,
        gas_over_premium=item.spec.gas_over_premium,
        expire_epoch=item.spec.expire_epoch,
        hold_base_fee=item.spec.hold_base_fee,
        hold_until=item.spec.hold_until,
        wait=Wait.NEXT_HEAD,
    )
    gas_check(row)
    if sender.protocol == DELEGATED:
        _call_data_check(row)
    if len(row.params) > PARAMS_BYTES_MAX:
        size = len(row.params) + OVERHEAD_BYTES
        raise BadMessage(
            gettext("message too large: {size} bytes, nodes accept {most} at most").format(
                size=size, most=PARAMS_BYTES_MAX + OVERHEAD_BYTES
            ),
            field="params",
            wire=f"mpool message too large ({size}B): message too big",
        )
    return row


def id_validate(text: str) -> str:
    """Return a caller's id if a row can have it.  Raises BadMessage."""
    if not text:
        raise BadMessage(gettext("an id is required"), field="id", wire="empty uid")
    if len(text) > MESSAGE_ID_MAX:
        raise BadMessage(gettext("must be at most {most} characters").format(most=MESSAGE_ID_MAX), field="id")
    if any(ord(character) < 32 for character in text) or has_marks(text):
        raise BadMessage(gettext("must not contain control characters"), field="id")
    return text


def _address(value: Address | str, *, field: str) -> Address:
    if isinstance(value, Address):
        address = value
    else:
        try:
            address = any_address_parse(str(value))
        except BadAddress as error:
            raise BadMessageAddress(error, field=field) from None
    if address.is_undef:
        raise BadMessage(gettext("the address is empty"), field=field)
    return address


def _receiver(value: Address | str) -> Address:
    address = _address(value, field="to")
    if address == ZERO_ADDRESS:
        raise BadMessage(
            gettext("nobody has the key of the zero address"), field="to", wire="invalid 'To' address"
        )
    return address


def _sender(value: Address | str) -> Address:
    """Return the key address of the sender; an ID address is looked up on chain."""
    address = _address(value, field="from")
    if address.protocol != ID:
        if not address.is_key:
            raise BadMessage(
                gettext("{address} has no key: it cannot send").format(address=address), field="from"
            )
        return address
    try:
        found = chain_client().state_account_key(address_format(address))
    except NodeRefused as error:
        reason = f"getting key address {address} failed: {error.reason}"
        raise BadMessage(reason, field="from") from None
    return _address(found, field="from")


def _ethereum_call(receiver: Address, *, method: int, has_params: bool) -> tuple[Address, int]:
    """Return receiver and method as an Ethereum account can sign them; a transfer is a call without data.

    Its receivers are f410 and f0 addresses: others are looked up on chain.  Source: lotus cli/send.go.
    """
    if method == METHOD_SEND and not has_params:
        method = METHOD_INVOKE_EVM
    if (receiver, method) == (EAM_ACTOR, METHOD_CREATE_EXTERNAL):
        return receiver, method
    if method != METHOD_INVOKE_EVM:
        reason = gettext(
            "an Ethereum wallet (f410) signs transfers, calls of contracts (InvokeContract) and their "
            "creation only: use a wallet of type secp256k1 or BLS"
        )
        raise BadMessage(reason, field="method")
    if receiver == EAM_ACTOR:
        raise BadMessage(
            gettext("an Ethereum wallet can only create contracts there"),
            field="to",
            wire="invalid 'To' address",
        )
    if eth_name(receiver) is not None:
        return receiver, method
    try:
        found = chain_client().state_lookup_id(address_format(receiver))
    except NodeRefused:
        reason = gettext(
            "an Ethereum wallet (f410) can send only to f410 addresses and to those that are on chain: "
            "{receiver} is not there yet, send it FIL from another wallet first"
        ).format(receiver=receiver)
        raise BadMessage(reason, field="to") from None
    return _address(found, field="to"), method


def _call_data_check(row: Message) -> None:
    """Refuse parameters that are no call data: no transaction could be signed.  Raises BadMessage."""
    try:
        signing_bytes(row.chain_message(), chain_id=0)
    except BadTransaction as error:
        raise BadMessage(str(error), field="params") from None


def _value(value: int) -> int:
    if value < 0:
        raise BadMessage(
            gettext("the amount must not be negative"),
            field="value",
            wire="'Value' field cannot be negative",
        )
    if value > TOTAL_FILECOIN:
        raise BadMessage(
            gettext("the amount must be from 0 to the total FIL supply"),
            field="value",
            wire="'Value' field cannot be greater than total filecoin supply",
        )
    return value


def _method(method: int) -> int:
    if not 0 <= method <= METHOD_MAX:
        raise BadMessage(gettext("not a valid method number"), field="method")
    return method


def params_check(row: Message, *, kind: str) -> None:
    """Refuse parameters that the receiver's method cannot read; `kind` is empty where it is not known.

    Methods that nobody knows, and those without parameters, are left to the node's trial.
    """
    spec = method_spec(kind, row.method)
    if spec is None or spec.params is None or is_transfer(row.chain_message()):
        return
    try:
        params_decode(kind, row.method, bytes(row.params))
    except BadCbor as error:
        name = method_name(kind, row.method)
        raise BadMessage(
            gettext("not the parameters of {name}: {error}").format(name=name, error=error), field="params"
        ) from None


def expiry_check(row: Message, *, height: int) -> None:
    """Refuse what would have to be chosen before the newest head.  Raises BadMessage."""
    if row.expire_epoch and row.expire_epoch < height:
        reason = gettext("epoch {expire_epoch} has passed: the chain is at {height}").format(
            expire_epoch=row.expire_epoch, height=height
        )
        raise BadMessage(reason, field="expire_epoch")


def use_check(row: Message, *, facts: PushFacts, principal: Principal) -> None:
    """Refuse a message that is too late, that the caller may not send so, or whose sender is stopped."""
    expiry_check(row, height=facts.height)
    if not principal.may_address(row.to):
        raise ReceiverNotGranted(row.to)
    if not (principal.may_sign_with(row.from_addr) and facts.is_granted(principal.tenant_id, row.from_addr)):
        raise SenderNotGranted(row.from_addr)
    if facts.senders.get(row.from_addr) == SenderState.FORBIDDEN:
        raise SenderStopped(f"address({row.from_addr}) is forbidden", field="from")
