"""A method and its parameters as fields of a form, made from the actor's table of methods."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.heads import head_current
from apps.chain.selectors.upgrades import network_version_at
from apps.messages.errors import BadMessage
from poolsite.filecoin.actors.decode import (
    ACTOR_METHODS,
    fil_fields,
    method_name,
    method_spec,
    params_decode,
)
from poolsite.filecoin.actors.method import MethodSpec
from poolsite.filecoin.amounts import BadAmount, fil_parse
from poolsite.filecoin.bitfield import BITFIELD, bitfield_of, bitfield_to_json
from poolsite.filecoin.cbor import BadCbor, decode
from poolsite.filecoin.codec import from_json, struct_of, to_cbor
from poolsite.filecoin.kinds import ADDRESS, AMOUNT, BOOL, BYTES, CID, INT64, TEXT, UINT64, BadField, Kind
from poolsite.filecoin.message import METHOD_SEND

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

SEND: Final = method_name("", METHOD_SEND)
TRANSFERS: Final = ("", SEND, str(METHOD_SEND))
"""How a transfer is written as a method."""
CONSTRUCTOR: Final = 1
"""Called by the init actor alone."""
FIELD: Final = "p-"
"""Begins the names of the form's fields for parameters; the parameter's own name follows."""
RAW: Final = "params"
"""Field for the whole parameters as bytes."""
HEXADECIMAL: Final = re.compile(r"([0-9A-Fa-f]{2})+")
BITS_MAX: Final = 100_000
"""Numbers that one field may list; more than the sectors of any message."""
SIMPLE: Final = frozenset(kind.name for kind in (UINT64, INT64, BOOL, TEXT, ADDRESS, AMOUNT, BYTES, CID))


@dataclass(frozen=True, slots=True)
class Call:
    """A method that is to be called."""

    kind: str
    """Of the receiver's actor; empty where nobody knows it."""
    number: int
    spec: MethodSpec | None = None
    """None of a transfer, and where the actor's table does not have the number."""

    @property
    def is_raw(self) -> bool:
        """Return whether the parameters can only be given as bytes."""
        return self.spec is None and self.number != METHOD_SEND


@dataclass(frozen=True, slots=True)
class ParamField:
    """One parameter."""

    name: str
    """Of the form's field."""
    label: str
    """As the actor's table has it."""
    help: StrOrPromise
    unit: str = ""


def method_names(kind: str = "") -> list[str]:
    """Return the methods that a message may call, as `miner.WithdrawBalance`, of one kind of actor or all."""
    kinds = (kind,) if kind in ACTOR_METHODS else tuple(ACTOR_METHODS)
    found = (
        f"{one}.{spec.name}"
        for one in kinds
        for number, spec in sorted(ACTOR_METHODS[one].items())
        if number != CONSTRUCTOR and spec.until is None
    )
    return [SEND, *dict.fromkeys(found)]


def call_read(text: str, *, kind: str) -> Call:
    """Read a method: its number, its name, or its name with its actor's.  Raises BadMessage.

    `kind` is the receiver's, empty where that is not known.
    """
    if text in TRANSFERS:
        return Call(kind, METHOD_SEND)
    if text.isascii() and text.isdigit() and len(text) < 20:
        return _call(kind, int(text))
    actor, dot, name = text.rpartition(".")
    if dot and kind and actor != kind:
        raise BadMessage(
            gettext("the receiver is of kind {kind}, this is a method of {actor}").format(
                kind=kind, actor=actor
            ),
            field="method",
        )
    for number, spec in ACTOR_METHODS.get(actor or kind, {}).items():
        if spec.name == name:
            return _call(actor or kind, number)
    raise BadMessage(
        gettext("choose one of the methods, such as miner.WithdrawBalance, or enter a number"), field="method"
    )


def _call(kind: str, number: int) -> Call:
    head = head_current()
    version = None if head is None else network_version_at(head.height + 1)
    return Call(kind, number, method_spec(kind, number, version=version))


def param_fields(call: Call) -> list[ParamField]:
    """Return a field for each parameter of a method."""
    if call.spec is None or call.spec.params is None:
        return []
    amounts = fil_fields(call.kind, call.number)
    return [
        ParamField(
            FIELD + field.json,
            field.json,
            help=_help(field.kind, is_fil=field.json in amounts),
            unit="FIL" if field.json in amounts else "",
        )
        for field in struct_of(call.spec.params).fields
        if field.in_json
    ]


HELPS: Final[dict[str, StrOrPromise]] = {
    UINT64.name: _("a whole number"),
    INT64.name: _("a whole number"),
    BOOL.name: _("true or false"),
    TEXT.name: "",
    ADDRESS.name: _("an address"),
    AMOUNT.name: _("a whole number, in the smallest unit"),
    BYTES.name: _("bytes, as 0x… or base64"),
    CID.name: _("a CID"),
    BITFIELD.name: _("numbers and ranges, such as 1-5, 9"),
}
"""How values are written, by kind."""


def _help(kind: Kind, *, is_fil: bool) -> StrOrPromise:
    if is_fil:
        return _("an amount in FIL")
    if (text := HELPS.get(kind.name)) is not None:
        return text
    of = kind.of.name if isinstance(kind.of, Kind) else ""
    if of in HELPS and kind.zero == ():
        return _("several, with commas between them")
    return _("as JSON; empty: none")


def params_build(call: Call, typed: Mapping[str, str]) -> bytes:
    """Return the parameters out of their fields, or of the bytes.  Raises BadMessage naming the field."""
    raw = typed.get(RAW, "")
    if raw or call.is_raw:
        return raw_read(raw, call=call)
    if call.spec is None or call.spec.params is None:
        return b""
    amounts = fil_fields(call.kind, call.number)
    values = {}
    for field in struct_of(call.spec.params).fields:
        if field.in_json:
            name = FIELD + field.json
            try:
                values[field.json] = _value(field.kind, typed.get(name, ""), is_fil=field.json in amounts)
            except BadField as error:
                raise BadMessage(error.reason, field=name) from None
    cls = call.spec.params
    value = next(iter(values.values()), None) if struct_of(cls).bare else values
    try:
        return to_cbor(from_json(cls, value))
    except BadField as error:
        member = error.field.partition(".")[0].partition("[")[0] or next(iter(values), "")
        raise BadMessage(str(error), field=FIELD + member) from None


def _value(kind: Kind, text: str, *, is_fil: bool) -> Any:
    """Return as JSON what was typed for one parameter; None for nothing.  Raises BadField."""
    if not text:
        return None
    if is_fil:
        try:
            return str(int(fil_parse(text)))
        except BadAmount:
            raise BadField("", gettext("enter an amount in FIL, such as 1.5")) from None
    if kind.name in SIMPLE:
        return _simple(kind, text)
    if kind.name == BITFIELD.name:
        return bitfield_to_json(bitfield_of(_numbers(text)))
    of = kind.of
    if isinstance(of, Kind) and of.name in SIMPLE:
        if kind.zero == ():
            return [_simple(of, part) for one in text.split(",") if (part := one.strip())]
        return _simple(of, text)
    try:
        return json.loads(text)
    except ValueError:
        raise BadField("", gettext("this is no JSON")) from None


def _simple(kind: Kind, text: str) -> Any:
    if kind.name in (UINT64.name, INT64.name):
        try:
            return int(text)
        except ValueError:
            raise BadField("", gettext("enter a whole number")) from None
    if kind.name == BOOL.name:
        if text not in ("true", "false"):
            raise BadField("", gettext("enter true or false"))
        return text == "true"
    if kind.name == BYTES.name:
        return base64.b64encode(bytes_read(text)).decode()
    return {"/": text} if kind.name == CID.name else text


def _numbers(text: str) -> list[int]:
    """Read numbers and ranges, both ends included.  Raises BadField."""
    found: list[int] = []
    for part in text.replace(",", " ").split():
        first, _dash, last = part.partition("-")
        try:
            low, high = int(first), int(last or first)
        except ValueError:
            raise BadField("", gettext("enter numbers and ranges, such as 1-5, 9")) from None
        if not 0 <= low <= high or high - low + len(found) >= BITS_MAX:
            raise BadField("", gettext("enter numbers and ranges, such as 1-5, 9"))
        found += range(low, high + 1)
    return found


def bytes_read(text: str) -> bytes:
    """Read bytes as people write them, 0x… or base64.  Raises BadField, also for what might be either."""
    compact = "".join(text.split())
    try:
        if compact[:2] in ("0x", "0X"):
            return bytes.fromhex(compact[2:])
        if HEXADECIMAL.fullmatch(compact):
            raise ValueError
        return base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError):
        raise BadField("", gettext("enter bytes, as 0x… or base64")) from None


def raw_read(text: str, *, call: Call) -> bytes:
    """Read whole parameters.  Raises BadMessage for what is no CBOR, or not the method's."""
    if not text:
        return b""
    try:
        found = bytes_read(text)
        if call.spec is not None and call.spec.params is not None:
            params_decode(call.kind, call.number, found)
        else:
            decode(found)
    except BadField as error:
        raise BadMessage(error.reason, field=RAW) from None
    except BadCbor as error:
        reason = gettext("these bytes cannot be read: {error}").format(error=error)
        raise BadMessage(reason, field=RAW) from None
    return found
