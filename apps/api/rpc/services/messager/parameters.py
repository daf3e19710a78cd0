"""The messager's JSON: how its parameters are read, member by member.

Source: filecoin-project/venus venus-shared/types/messager/{message,address,spec,actor_cfg,node}.go.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from apps.messages.services.replace import NewFees
from apps.messages.services.validate import Gas, SendSpec
from apps.messages.states import STATES_BY_CODE
from poolsite.filecoin.address import UNDEF, UNDEF_TEXT, Address
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import message_from_json
from poolsite.wire.jsonrpc.parameters import (
    BadParam,
    Param,
    address,
    cid,
    fields,
    identifier,
    number,
    text,
)

if TYPE_CHECKING:
    pass


def big(value: Any) -> int:
    """Read Go's big.Int: a decimal string, never null."""
    if value is None:
        raise BadParam("failed to parse big string: 'null'")
    if not isinstance(value, str) or not value.lstrip("-").isdigit() or len(value) > 80:
        raise BadParam(f"failed to parse big string: '{value}'")
    return int(value)


def factor(value: Any) -> float:
    """Read a float64."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadParam("json: cannot unmarshal into Go value of type float64")
    try:
        return float(value)
    except OverflowError:
        raise BadParam("json: cannot unmarshal number into Go value of type float64") from None


def moment(value: Any) -> datetime:
    """Read RFC 3339 time; Python keeps microseconds of Go's nanoseconds."""
    words = text(value)
    head, dot, tail = words.partition(".")
    if dot:
        digits = "".join(char for char in tail if char.isdigit())[:6]
        zone = tail.lstrip("0123456789")
        words = f"{head}.{digits}{zone}"
    try:
        found = datetime.fromisoformat(words.replace("Z", "+00:00"))
    except ValueError:
        raise BadParam(f"parsing time {value!r}: not RFC 3339") from None
    if found.tzinfo is None:
        raise BadParam(f"parsing time {value!r}: the time zone is missing")
    return found


def optional(value: Any, read: Any, default: Any) -> Any:
    """Read a member that may be absent."""
    return default if value is None else read(value)


_MESSAGE_MEMBERS: Final = {
    name.lower(): name
    for name in (
        "Version",
        "To",
        "From",
        "Nonce",
        "Value",
        "GasLimit",
        "GasFeeCap",
        "GasPremium",
        "Method",
        "Params",
    )
}


def chain_message(value: Any) -> ChainMessage:
    """Read a chain message, its keys in any case."""
    members = {_MESSAGE_MEMBERS[key]: item for key, item in fields(value).items() if key in _MESSAGE_MEMBERS}
    try:
        return message_from_json(members)
    except BadField as error:
        raise BadParam(str(error)) from None


def send_spec(value: Any) -> SendSpec:
    """Read SendSpec."""
    row = fields(value)
    return SendSpec(
        max_fee=big(row["maxfee"]) if "maxfee" in row else 0,
        gas_over_estimation=optional(row.get("gasoverestimation"), factor, 0.0),
        gas_over_premium=optional(row.get("gasoverpremium"), factor, 0.0),
        expire_epoch=optional(row.get("expireepoch"), number, 0),
    )


@dataclass(frozen=True, slots=True)
class Query:
    """MsgQueryParams."""

    states: tuple[str, ...]
    senders: tuple[Address, ...]
    since: datetime | None
    is_ascending: bool
    limit: int
    offset: int


OFFSET_MAX: Final = 2**31
"""More rows are in no list; PostgreSQL counts them in 64 bits."""


def items(value: Any) -> list[Any]:
    """Read a list; null is an empty one.  Raises BadParam."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadParam("must be a list")
    return value


def query(value: Any) -> Query:
    """Read MsgQueryParams."""
    row = fields(value)
    codes = [number(code) for code in items(row.get("state"))]
    return Query(
        states=tuple(STATES_BY_CODE[code] for code in codes if code in STATES_BY_CODE)
        or (("none",) if codes else ()),
        senders=tuple(address(one) for one in items(row.get("from"))),
        since=optional(row.get("byupdateat"), moment, None),
        is_ascending=row.get("asc") is True,
        limit=max(optional(row.get("limit"), number, 0), 0),
        offset=min(max(optional(row.get("offset"), number, 0), 0), OFFSET_MAX),
    )


@dataclass(frozen=True, slots=True)
class Replacement:
    """ReplacMessageParams."""

    id: str
    fees: NewFees


def replacement(value: Any) -> Replacement:
    """Read ReplacMessageParams; the wire writes GasFeecap so."""
    row = fields(value)
    fees = NewFees(
        is_auto=row.get("auto") is True,
        max_fee=optional(row.get("maxfee"), big, 0),
        gas_limit=optional(row.get("gaslimit"), number, 0),
        premium=optional(row.get("gaspremium"), big, 0),
        fee_cap=optional(row.get("gasfeecap"), big, 0),
        over_premium=optional(row.get("gasoverpremium"), factor, 0.0),
    )
    return Replacement(optional(row.get("id"), text, ""), fees)


@dataclass(frozen=True, slots=True)
class QuickSend:
    """QuickSendParams."""

    to: Address
    from_: Address
    value: int
    gas: Gas
    method: int
    params: str
    params_type: str


def quick_send(value: Any) -> QuickSend:
    """Read QuickSendParams."""
    row = fields(value)
    return QuickSend(
        to=optional(row.get("to"), address, UNDEF),
        from_=optional(row.get("from"), address, UNDEF),
        value=optional(row.get("val"), big, 0),
        gas=Gas(
            limit=optional(row.get("gaslimit"), number, 0),
            fee_cap=optional(row.get("gasfeecap"), big, 0),
            premium=optional(row.get("gaspremium"), big, 0),
        ),
        method=optional(row.get("method"), number, 0),
        params=optional(row.get("params"), text, ""),
        params_type=optional(row.get("paramstype"), text, ""),
    )


@dataclass(frozen=True, slots=True)
class Fees:
    """A fee rule of the wire; None leaves a setting as it is."""

    values: dict[str, Any]
    quota: int | None = None
    id: str = ""
    address: Address = UNDEF
    code: str = ""
    method: int = 0
    version: int = 0


_FEE_MEMBERS: Final = {
    "gas_over_estimation": ("gasoverestimation", factor),
    "max_fee": ("maxfee", big),
    "gas_fee_cap": ("gasfeecap", big),
    "gas_over_premium": ("gasoverpremium", factor),
    "base_fee": ("basefee", big),
}


def _fees_of(row: dict[str, Any]) -> dict[str, Any]:
    """Read the five settings that are there; a null number is refused as Go does, a null factor unset."""
    found = {}
    for name, (member, read) in _FEE_MEMBERS.items():
        if member in row and not (row[member] is None and read is factor):
            found[name] = read(row[member])
    return found


def shared_spec(value: Any) -> Fees:
    """Read SharedSpec."""
    row = fields(value)
    return Fees(_fees_of(row), quota=optional(row.get("selmsgnum"), number, None))


def fee_changes(value: Any) -> Fees:
    """Read ChangeGasSpecParams.  Go clients send "0" for what they leave unset: it means unchanged."""
    found = _fees_of(fields(value))
    return Fees({name: item for name, item in found.items() if item})


def actor_cfg(value: Any) -> Fees:
    """Read ActorCfg."""
    row = fields(value)
    return Fees(
        _fees_of(row),
        id=optional(row.get("id"), identifier, "") or str(uuid.uuid4()),
        code=str(cid(row.get("code"))),
        method=optional(row.get("method"), number, 0),
        version=optional(row.get("version"), number, 0),
    )


def address_spec(value: Any) -> Fees:
    """Read AddressSpec; empty and zero mean unchanged, except for fees written as "0"."""
    row = fields(value)
    found: dict[str, Any] = {}
    for name in ("gasoverestimation", "gasoverpremium"):
        ratio = optional(row.get(name), factor, 0.0)
        if ratio:
            found["gas_over_" + name.removeprefix("gasover")] = ratio
    parts = (("max_fee", "maxfeestr", "maxfee"), ("gas_fee_cap", "gasfeecapstr", "gas-feecap"))
    for name, member, word in (*parts, ("base_fee", "basefeestr", "basefee")):
        words = optional(row.get(member), text, "")
        if words:
            if not words.isascii() or not words.isdigit() or len(words) > 60:
                raise BadParam(f"parsing {word} failed {words!r} is not a decimal number")
            found[name] = int(words)
    return Fees(found, address=optional(row.get("address"), address, UNDEF))


@dataclass(frozen=True, slots=True)
class NodeParam:
    """Node."""

    name: str
    url: str
    token: str
    node_type: int


def node(value: Any) -> NodeParam:
    """Read Node."""
    row = fields(value)
    return NodeParam(
        name=optional(row.get("name"), text, ""),
        url=optional(row.get("url"), text, ""),
        token=optional(row.get("token"), text, ""),
        node_type=optional(row.get("type"), number, 0),
    )


MESSAGE: Final = Param("**types.Message", chain_message)
SPEC: Final = Param("**messager.SendSpec", lambda value: None if value is None else send_spec(value))
QUERY: Final = Param("**messager.MsgQueryParams", query)
REPLACEMENT: Final = Param("**messager.ReplacMessageParams", replacement)
QUICK_SEND: Final = Param("*messager.QuickSendParams", quick_send)
SHARED: Final = Param("**messager.SharedSpec", shared_spec)
CHANGES: Final = Param("**messager.ChangeGasSpecParams", fee_changes)
ACTOR_CFG: Final = Param("**messager.ActorCfg", actor_cfg)
ADDRESS_SPEC: Final = Param("**messager.AddressSpec", address_spec)
NODE: Final = Param("**messager.Node", node)


def address_or_none(value: Address) -> Address | None:
    """Return None for the undefined address, which stands for "any"."""
    return None if value.is_undef or str(value) == UNDEF_TEXT else value
