"""What can be known of a message before it is stored: every field that no node would take is named."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from django.utils.translation import gettext

from apps.chain.client import chain_client
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.selectors import network_version
from apps.messages.errors import BadMessage
from apps.messages.models import MESSAGE_ID_MAX, Message, Receiver
from apps.messages.selectors.receivers import kind_from_address
from apps.messages.states import KIND_PRIORITIES, Priority, Wait
from poolsite.filecoin.actors.decode import actor_kind, method_name, method_spec, params_decode
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.address import (
    ID,
    UNDEF,
    ZERO_ADDRESS,
    Address,
    BadAddress,
    address_format,
    address_parse,
)
from poolsite.filecoin.amounts import TOTAL_FILECOIN, fil_format
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.message import BLOCK_GAS_LIMIT, MAX_MESSAGE_LEN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from apps.chain.client import ChainClient
    from apps.users.principals import Principal

OVERHEAD_BYTES: Final = 700
"""Most that a signed message has beside its parameters: two addresses, numbers, the signature."""

MINER_PRIORITIES: Final[dict[int, Priority]] = {
    Method.SUBMIT_WINDOWED_POST: Priority.PROOF,
    Method.DECLARE_FAULTS: Priority.PROOF,
    Method.DECLARE_FAULTS_RECOVERED: Priority.PROOF,
    Method.PRE_COMMIT_SECTOR: Priority.PRE_COMMIT,
    Method.PRE_COMMIT_SECTOR_BATCH: Priority.PRE_COMMIT,
    Method.PRE_COMMIT_SECTOR_BATCH2: Priority.PRE_COMMIT,
}
"""What a miner's methods are for, where their caller does not say it: damocles and droplet never do."""

METHOD_MAX: Final = (1 << 63) - 1
"""Largest method number that our column holds; FRC-42 numbers have 32 bits."""

METHOD_WINDOW_POST: Final = 5
"""SubmitWindowedPoSt of a miner actor; ours to recognise what comes from outside without a kind."""

FACTOR_MAX: Final = 1000
"""Largest factor on gas or premium that makes any sense."""

GAS_FEE_CAP_MIN: Final = 100
"""attoFIL: below it no pool takes a message.  Source: lotus chain/messagepool minimumBaseFee."""

log = structlog.get_logger(__name__)

ASK_S: Final = 2.0
"""A push waits no longer than this for a node to say what its receiver is."""

CHANGING: Final = frozenset({"placeholder", "ethaccount"})
"""Bundle names of actors that may still become something else: they are not remembered."""


@dataclass(frozen=True, slots=True)
class SendSpec:
    """Wishes that come with a message; zero leaves the choice to the rules below."""

    max_fee: int = 0
    gas_over_estimation: float = 0.0
    gas_over_premium: float = 0.0
    expire_epoch: int = 0
    hold_base_fee: int = 0
    """Wait while the base fee is above this."""
    hold_until: int = 0
    """Epoch at which it goes whatever the base fee is."""


@dataclass(frozen=True, slots=True)
class Gas:
    """Gas values that the caller fixes; zero means estimate."""

    limit: int = 0
    fee_cap: int = 0
    premium: int = 0


@dataclass(frozen=True, slots=True)
class PushItem:
    """A message as its caller gives it, unchecked."""

    id: str
    to: Address | str
    from_: Address | str
    method: int
    value: int = 0
    params: bytes = b""
    kind: str = ""
    spec: SendSpec = SendSpec()
    gas: Gas = Gas()
    time_sensitive: bool = False
    urgent_epoch: int | None = None


def message_validate(item: PushItem, *, principal: Principal) -> Message:
    """Return the row that stores `item`; what takes a look at rows is not asked here.

    Raises BadMessage naming the field; NodeUnavailable only where an ID address has to be resolved.
    """
    push_id = id_validate(item.id)
    row = Message(
        # The apps of the pool, which name a purpose, choose ids that no other row has.
        id=push_id if item.kind else str(uuid.uuid4()),
        push_id=push_id,
        tenant_id=principal.tenant_id,
        pushed_by=principal.actor[:200],
        kind=item.kind,
        priority=_priority(item.kind, method=item.method, is_urgent=item.time_sensitive),
        time_sensitive=item.time_sensitive,
        urgent_epoch=item.urgent_epoch,
        to=address_format(_receiver(item.to)),
        from_addr=address_format(_sender(item.from_)),
        value=_value(item.value),
        method=_method(item.method),
        params=bytes(item.params),
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
    _wishes_check(row)
    size = len(row.params) + OVERHEAD_BYTES
    if size > MAX_MESSAGE_LEN:
        raise BadMessage(f"mpool message too large ({size}B): message too big", field="params")
    return row


def id_validate(text: str) -> str:
    """Return a caller's id if a row can have it.  Raises BadMessage."""
    if not text:
        raise BadMessage("empty uid", field="id")
    if len(text) > MESSAGE_ID_MAX:
        raise BadMessage(gettext("must be at most {most} characters").format(most=MESSAGE_ID_MAX), field="id")
    if any(ord(character) < 32 for character in text):
        raise BadMessage(gettext("must not contain control characters"), field="id")
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
        raise BadMessage(gettext("the address is empty"), field=field)
    return address


def _receiver(value: Address | str) -> Address:
    address = _address(value, field="to")
    if address == ZERO_ADDRESS:
        raise BadMessage("invalid 'To' address", field="to")
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


def _value(value: int) -> int:
    if value < 0:
        raise BadMessage("'Value' field cannot be negative", field="value")
    if value > TOTAL_FILECOIN:
        raise BadMessage("'Value' field cannot be greater than total filecoin supply", field="value")
    return value


def _method(method: int) -> int:
    if not 0 <= method <= METHOD_MAX:
        raise BadMessage(gettext("not a valid method number"), field="method")
    return method


def outside_priority(row: Message, *, kind: str) -> int:
    """Return the class of a message that says nothing of its purpose, once its receiver's kind is known."""
    if row.kind or row.time_sensitive or kind != "miner":
        return row.priority
    return MINER_PRIORITIES.get(row.method, Priority.REST)


def params_check(row: Message, *, kind: str) -> None:
    """Refuse parameters that the receiver's method cannot read; `kind` is empty where it is not known.

    Methods that nobody knows, and those without parameters, are left to the node's trial.
    """
    spec = method_spec(kind, row.method)
    if spec is None or spec.params is None:
        return
    try:
        params_decode(kind, row.method, bytes(row.params))
    except BadCbor as error:
        name = method_name(kind, row.method)
        raise BadMessage(
            gettext("not the parameters of {name}: {error}").format(name=name, error=error), field="params"
        ) from None


def _wishes_check(row: Message) -> None:
    """Check gas values and wishes against what any block could carry."""
    if not 0 <= row.gas_limit <= BLOCK_GAS_LIMIT:
        raise BadMessage(
            gettext("the gas limit must be between 0 and {block_gas_limit}").format(
                block_gas_limit=BLOCK_GAS_LIMIT
            ),
            field="gas_limit",
        )
    for name in ("gas_fee_cap", "gas_premium", "max_fee", "hold_base_fee"):
        if not 0 <= getattr(row, name) <= TOTAL_FILECOIN:
            raise BadMessage(gettext("the amount must be from 0 to the total FIL supply"), field=name)
    if row.gas_fee_cap and row.gas_premium > row.gas_fee_cap:
        raise BadMessage("'GasFeeCap' less than 'GasPremium'", field="gas_premium")
    fee_cap_check(row.gas_fee_cap)
    for name in ("gas_over_estimation", "gas_over_premium"):
        if not 0 <= getattr(row, name) <= FACTOR_MAX:
            raise BadMessage(
                gettext("the factor must be between 0 and {most}").format(most=FACTOR_MAX), field=name
            )
    for name in ("expire_epoch", "hold_until"):
        if not 0 <= getattr(row, name) < 1 << 62:
            raise BadMessage(gettext("not a valid epoch"), field=name)


def fee_cap_check(cap: int) -> None:
    """Refuse a fee cap with which no node takes a message; 0 stands for none.  Raises BadMessage."""
    if 0 < cap < GAS_FEE_CAP_MIN:
        reason = gettext("must be at least {least} attoFIL: the base fee is never lower").format(
            least=GAS_FEE_CAP_MIN
        )
        raise BadMessage(reason, field="gas_fee_cap")


def shortfall_text(need: int, balance: int) -> str:
    """Return what a sender lacks."""
    return gettext("needs {need}, has {balance}").format(
        need=fil_format(need), balance=fil_format(max(balance, 0))
    )


def expiry_check(row: Message, *, height: int) -> None:
    """Refuse what would have to be chosen before the newest head.  Raises BadMessage."""
    if row.expire_epoch and row.expire_epoch < height:
        reason = gettext("epoch {expire_epoch} has passed: the chain is at {height}").format(
            expire_epoch=row.expire_epoch, height=height
        )
        raise BadMessage(reason, field="expire_epoch")


def receiver_kinds_resolve(addresses: Collection[str], *, known: Mapping[str, str]) -> dict[str, str]:
    """Return the kinds of receivers, asking a node for those that are not known yet.

    `known` is what rows say.  What no node tells stays empty: the trial of the message will say what is
    wrong with it.
    """
    kinds = {address: known.get(address) or kind_from_address(address) for address in addresses}
    unknown = [
        address
        for address, kind in kinds.items()
        if not kind and address not in known and address[1:2] in ("0", "2")
    ]
    return {**kinds, **_resolve(unknown, client=chain_client())} if unknown else kinds


def _resolve(addresses: list[str], *, client: ChainClient) -> dict[str, str]:
    """Query a node and remember the answer."""
    version = network_version()
    if version is None:
        return {}
    found: dict[str, tuple[str, str]] = {}
    try:
        table = client.call("StateActorCodeCIDs", version, timeout_s=ASK_S)
        names = {str(cid["/"]): str(name) for name, cid in table.items()}
        for address in addresses:
            try:
                code = str(client.call("StateGetActor", address, [], timeout_s=ASK_S)["Code"]["/"])
            except NodeRefused:  # no such actor yet
                continue
            if code in names and names[code] not in CHANGING:
                found[address] = (actor_kind(UNDEF, code_name=names[code]), code)
    except (NodeUnavailable, NodeRefused, AttributeError, KeyError, TypeError) as error:
        log.info("receivers_not_known", many=len(addresses), reason=str(error)[:200])
    Receiver.objects.bulk_create(
        [Receiver(address=address, kind=kind, code=code) for address, (kind, code) in found.items()],
        ignore_conflicts=True,
    )
    return {address: kind for address, (kind, _) in found.items()}
