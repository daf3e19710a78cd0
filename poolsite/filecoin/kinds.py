"""Kinds of values: how one value is written in CBOR and in the JSON of lotus and venus, and read back.

JSON follows Go: null is the zero value, empty slices print as null, bytes are base64, big numbers are
decimal strings.  Source: whyrusleeping/cbor-gen gen.go; encoding/json; go-state-types big/int.go, abi.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from poolsite.filecoin import cbor
from poolsite.filecoin.address import UNDEF, Address, BadAddress, address_from_bytes, address_parse
from poolsite.filecoin.amounts import AttoFil, BadAmount, amount_from_bytes, amount_parse, amount_to_bytes
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import BadCid, Cid, cid_from_json, cid_to_json

Json = Any
"""A value as the json module gives and takes it."""


NIL_TEXT: Final = "<nil>"
"""How venus prints an amount that was never set."""


class _Required:
    """Marks kinds without a zero value."""


REQUIRED: Final = _Required()
"""In the place of a zero value: a JSON object without the member is refused."""


class BadField(ValueError):
    """A member of a JSON object has the wrong form."""

    def __init__(self, field: str, reason: str) -> None:
        """Keep which member is wrong (empty: the value itself) and why."""
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason

    def inside(self, outer: str) -> BadField:
        """Return the same error, named from the enclosing object."""
        joint = "" if self.field.startswith("[") or not self.field else "."
        return BadField(f"{outer}{joint}{self.field}", self.reason)


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type of value is written and read in both forms."""

    name: str
    """Shown in errors and schemas."""
    encode: Callable[[Any], bytes]
    """Value to CBOR."""
    decode: Callable[[bytes, int], tuple[Any, int]]
    """CBOR at a position to value and the position behind it."""
    to_json: Callable[[Any], Json]
    """Value to JSON."""
    from_json: Callable[[Json], Any]
    """JSON (never null) to value; raises BadField."""
    zero: Any = REQUIRED
    """What a missing member or null stands for; REQUIRED if there is nothing."""
    of: Any = None
    """The kind of a list's or nullable value's items, or the table of a dataclass."""

    def read_json(self, value: Json, field: str = "") -> Any:
        """Return the value of JSON, the zero value for null.  Raises BadField naming `field`."""
        if value is None:
            if self.zero is REQUIRED:
                raise BadField(field, f"{self.name} is required")
            return self.zero
        try:
            return self.from_json(value)
        except BadField as error:
            raise error.inside(field) from None
        except (BadAddress, BadAmount, BadCid) as error:
            raise BadField(field, str(error)) from None


def _int_from_json(value: Json, *, low: int, high: int, name: str) -> int:
    """Return a whole number within `low` and `high`.  Raises BadField; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadField("", f"must be a whole number, got {type(value).__name__}")
    if not low <= value <= high:
        raise BadField("", f"{value} does not fit {name}")
    return value


def _uint64_from_json(value: Json) -> int:
    """Return a number of 0 to 2^64 - 1.  Raises BadField."""
    return _int_from_json(value, low=0, high=(1 << 64) - 1, name="uint64")


def _int64_from_json(value: Json) -> int:
    """Return a number of -2^63 to 2^63 - 1.  Raises BadField."""
    return _int_from_json(value, low=-(1 << 63), high=(1 << 63) - 1, name="int64")


def _bool_from_json(value: Json) -> bool:
    """Return true or false.  Raises BadField."""
    if not isinstance(value, bool):
        raise BadField("", "must be true or false")
    return value


def _text_from_json(value: Json) -> str:
    """Return a string.  Raises BadField."""
    if not isinstance(value, str):
        raise BadField("", "must be a string")
    return value


def bytes_from_json(value: Json) -> bytes:
    """Return the bytes of base64 text; null is empty.  Raises BadField."""
    if value is None:
        return b""
    text = _text_from_json(value)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadField("", "must be base64") from None


def bytes_to_json(data: bytes) -> str | None:
    """Return base64 text; empty is null, as Go prints a slice that was read from CBOR."""
    return base64.b64encode(data).decode() if data else None


def _address_encode(address: Address) -> bytes:
    """Return a byte string of protocol and payload; of UNDEF an empty one."""
    payload = address.payload
    if address.protocol < 0:
        return b"\x40"
    length = len(payload) + 1
    head = (
        bytes((0x40 | length, address.protocol)) if length < 24 else bytes((0x58, length, address.protocol))
    )
    return head + payload


def _address_decode(data: bytes, at: int) -> tuple[Address, int]:
    """Read a byte string of protocol and payload.  Raises BadCbor with go-address' text."""
    body, end = cbor.bytes_read(data, at)
    try:
        return address_from_bytes(body), end
    except BadAddress as error:
        raise BadCbor(str(error)) from None


def _amount_encode(amount: int) -> bytes:
    """Return the byte string of an amount's sign and magnitude."""
    return cbor.bytes_write(amount_to_bytes(amount))


def _amount_decode(data: bytes, at: int) -> tuple[AttoFil, int]:
    """Read a big integer: no bytes for 0, else a sign byte and the magnitude.  Raises BadCbor."""
    body, end = cbor.bytes_read(data, at)
    try:
        amount = amount_from_bytes(body)
    except BadAmount as error:
        raise BadCbor(str(error)) from None
    if (len(body) > 1 and body[1] == 0) or len(body) == 1:
        raise BadCbor("big int is not in its shortest form")
    return amount, end


def _amount_from_json(value: Json) -> AttoFil:
    """Return the amount of decimal digits in a string; `<nil>` is 0.  Raises BadField, BadAmount."""
    if not isinstance(value, str):
        raise BadField("", "must be a string of decimal digits")
    return AttoFil(0) if value == NIL_TEXT else amount_parse(value)


def _cid_from_json(value: Json) -> Cid | None:
    """Return the CID of `{"/": "baf..."}`.  Raises BadCid."""
    return cid_from_json(value)


UINT64: Final = Kind("uint64", cbor.int_write, cbor.uint_read, int, _uint64_from_json, 0)
"""Go's uint64: a whole number of 0 to 2^64 - 1 in both forms."""
INT64: Final = Kind("int64", cbor.int_write, cbor.int_read, int, _int64_from_json, 0)
"""Go's int64: a whole number of -2^63 to 2^63 - 1 in both forms."""
BOOL: Final = Kind("bool", cbor.bool_write, cbor.bool_read, bool, _bool_from_json, False)
"""Go's bool."""
TEXT: Final = Kind("text", cbor.text_write, cbor.text_read, str, _text_from_json, "")
"""Go's string: UTF-8."""
BYTES: Final = Kind("bytes", cbor.bytes_write, cbor.bytes_read, bytes_to_json, bytes_from_json, b"")
"""Go's []byte: a byte string; base64 in JSON."""
ADDRESS: Final = Kind(
    "address", _address_encode, _address_decode, str, lambda v: address_parse(_text_from_json(v)), UNDEF
)
"""Go's address.Address: a byte string of protocol and payload; its text in a JSON string."""
AMOUNT: Final = Kind("amount", _amount_encode, _amount_decode, str, _amount_from_json, AttoFil(0))
"""Go's big.Int: a byte string of sign and magnitude; decimal digits in a JSON string."""
CID: Final = Kind("cid", cbor.cid_write, cbor.cid_read, cid_to_json, _cid_from_json)
"""Go's cid.Cid: a link, tag 42; `{"/": "baf..."}` in JSON.  It has no zero value."""


def nullable(kind: Kind) -> Kind:
    """Return a kind of the same values or None, which is written as null."""

    def encode(value: Any) -> bytes:
        """Return null, one byte, for None; else the value's own form."""
        return cbor.NULL if value is None else kind.encode(value)

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        """Read null as None, else the value; return it and the position behind it.  Raises BadCbor."""
        return (None, at + 1) if cbor.is_null(data, at) else kind.decode(data, at)

    def to_json(value: Any) -> Json:
        """Return None for None, else the value's JSON."""
        return None if value is None else kind.to_json(value)

    return Kind(f"{kind.name} or null", encode, decode, to_json, kind.from_json, None, kind)


def list_of(kind: Kind, *, limit: int = cbor.MAX_ARRAY_LEN) -> Kind:
    """Return a kind of lists, kept as tuples; of at most `limit` items where they are read.

    JSON null and [] are both empty, and an empty one prints as null, as a Go slice that was read from CBOR
    does.
    """

    def encode(values: Sequence[Any]) -> bytes:
        """Return the head with the number of items, then each item."""
        return cbor.head_write(cbor.ARRAY, len(values)) + b"".join(map(kind.encode, values))

    def decode(data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        """Read such a list; return its items and the position behind it.  Raises BadCbor above the limit."""
        length, at = cbor.array_read(data, at)
        if length > limit:
            raise BadCbor(f"array too large ({length})")
        values = []
        for _ in range(length):
            value, at = kind.decode(data, at)
            values.append(value)
        return tuple(values), at

    def to_json(values: Sequence[Any]) -> Json:
        """Return the items' JSON, null for none."""
        return [kind.to_json(value) for value in values] or None

    def from_json(value: Json) -> tuple[Any, ...]:
        """Return the values of a JSON list.  Raises BadField naming the item, as `[2]`."""
        if not isinstance(value, list):
            raise BadField("", "must be a list")
        return tuple(kind.read_json(item, f"[{place}]") for place, item in enumerate(value))

    return Kind(f"list of {kind.name}", encode, decode, to_json, from_json, (), kind)
