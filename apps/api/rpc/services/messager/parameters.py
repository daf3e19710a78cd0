"""The messager's JSON: how its parameters are read, member by member.

Source: filecoin-project/venus venus-shared/types/messager/{message,address,spec,actor_cfg,node}.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from apps.api.rpc.services.messager.json_values import big, factor, items, moment, optional
from apps.messages.rules.push_items import Gas, SendSpec
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.states import STATES_BY_CODE
from poolsite.filecoin.address import UNDEF, UNDEF_TEXT, Address
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import message_from_json
from poolsite.wire.jsonrpc.parameters import BadParam, Param, address, fields, number, text

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
NODE: Final = Param("**messager.Node", node)


def address_or_none(value: Address) -> Address | None:
    """Return None for the undefined address, which stands for "any"."""
    return None if value.is_undef or str(value) == UNDEF_TEXT else value
