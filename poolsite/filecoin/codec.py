"""Tables that turn a dataclass into its CBOR array and its lotus/venus JSON object, and back.

A `Kind` knows one type of value, a `Struct` is the ordered table of a dataclass's fields with their JSON
names.  Every chain object is a CBOR array in field order (no maps).  JSON follows Go: a missing member or
null is the zero value, empty slices print as null, bytes are base64, big numbers are decimal strings.
Source: whyrusleeping/cbor-gen gen.go; encoding/json; go-state-types big/int.go, abi, bitfield.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from poolsite.filecoin import cbor
from poolsite.filecoin.address import UNDEF, Address, BadAddress, address_from_bytes, address_parse
from poolsite.filecoin.amounts import AttoFil, BadAmount, amount_from_bytes, amount_parse, amount_to_bytes
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import BadCid, Cid, cid_from_json, cid_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
Json = Any
"""A value as the json module gives and takes it."""


NIL_TEXT: Final = "<nil>"
"""How venus prints an amount that was never set."""


class _Required:
    """Marks kinds without a zero value."""


REQUIRED: Final = _Required()


class BadField(ValueError):
    """A member of a JSON object has the wrong form."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason

    def inside(self, outer: str) -> BadField:
        """The same complaint, seen from the enclosing object."""
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
    of: Kind | Struct[Any] | None = None
    """What a list, a nullable value or a struct is of."""

    def read_json(self, value: Json, field: str = "") -> Any:
        """JSON to value, null to the zero value.  Raises BadField naming `field`."""
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


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a struct's table."""

    attr: str
    """Name of the dataclass field."""
    json: str
    """Name of the JSON member, Go's casing."""
    kind: Kind
    in_json: bool = True
    """False for fields that Go leaves out of the JSON object."""
    in_cbor: bool = True
    """False for fields that only the JSON object has."""


_STRUCTS: dict[type, Struct[Any]] = {}
"""Default table of each dataclass; filled while modules are imported, never changed afterwards."""


class Struct(Generic[T]):
    """The codec of one dataclass."""

    def __init__(self, cls: type[T], *fields: Field, bare: bool = False, is_default: bool = True) -> None:
        """`bare`: the single field is written alone, not in an array (some actors' params).

        `is_default`: `struct_of(cls)` finds this table.
        """
        if is_default:
            _STRUCTS[cls] = self
        self.cls = cls
        self.fields = fields
        self.bare = bare
        self.stored = tuple(field for field in fields if field.in_cbor)
        names = [field.attr for field in self.stored]
        self._all_stored = len(self.stored) == len(fields)
        self._values: Callable[[T], Sequence[Any]]
        if len(names) == 1:
            only = attrgetter(names[0])
            self._values = lambda value: (only(value),)
        else:
            self._values = attrgetter(*names) if names else lambda _: ()
        self._encoders = tuple(field.kind.encode for field in self.stored)
        self._decoders = tuple(field.kind.decode for field in self.stored)
        self._head = b"" if bare else cbor.head_write(cbor.ARRAY, len(self.stored))

    def encode(self, value: T) -> bytes:
        """The CBOR form."""
        parts = [self._head]
        for encoder, item in zip(self._encoders, self._values(value), strict=True):
            parts.append(encoder(item))
        return b"".join(parts)

    def decode(self, data: bytes) -> T:
        """Read one object that fills `data`.  Raises BadCbor."""
        value, end = self.decode_at(data, 0)
        if end != len(data):
            raise BadCbor(f"{len(data) - end} trailing bytes")
        return value

    def decode_at(self, data: bytes, at: int) -> tuple[T, int]:
        """Read the object at a position."""
        if not self.bare:
            if data[at : at + 1] == self._head:
                at += 1
            else:
                self._refuse_head(data, at)
        values = []
        for decoder in self._decoders:
            item, at = decoder(data, at)
            values.append(item)
        if self._all_stored:
            return self.cls(*values), at
        return self.cls(**dict(zip((f.attr for f in self.stored), values, strict=True))), at

    def _refuse_head(self, data: bytes, at: int) -> None:
        length, _ = cbor.array_read(data, at)
        raise BadCbor(
            f"cbor input had wrong number of fields: {length}, {self.cls.__name__} has {len(self.stored)}"
        )

    def to_json(self, value: T) -> dict[str, Json]:
        """The JSON object with Go's member names (a bare struct: its only value)."""
        if self.bare:
            field = self.fields[0]
            return field.kind.to_json(getattr(value, field.attr))  # type: ignore[no-any-return]  # JSON
        return {f.json: f.kind.to_json(getattr(value, f.attr)) for f in self.fields if f.in_json}

    def from_json(self, value: Json) -> T:
        """Read the JSON object; unknown members are ignored as Go does.  Raises BadField."""
        if self.bare:
            value = {self.fields[0].json: value}
        if not isinstance(value, dict):
            raise BadField("", f"{self.cls.__name__} must be an object")
        members = {}
        for field in self.fields:
            given = value.get(field.json) if field.in_json else None
            members[field.attr] = field.kind.read_json(given, field.json)
        return self.cls(**members)

    def kind(self) -> Kind:
        """This struct as a field of another."""
        return Kind(self.cls.__name__, self.encode, self.decode_at, self.to_json, self.from_json, of=self)


def struct_of(cls: type[T]) -> Struct[T]:
    """The table of a dataclass.  Raises KeyError if it has none."""
    return _STRUCTS[cls]


def structs() -> tuple[Struct[Any], ...]:
    """All default tables of the modules imported so far."""
    return tuple(_STRUCTS.values())


def to_cbor(value: Any) -> bytes:
    """The CBOR form of any dataclass that has a table."""
    return _STRUCTS[type(value)].encode(value)


def from_cbor(cls: type[T], data: bytes) -> T:
    """Read one object of class `cls` that fills `data`.  Raises BadCbor."""
    return struct_of(cls).decode(data)


def to_json(value: Any) -> Json:
    """The JSON form of any dataclass that has a table."""
    return _STRUCTS[type(value)].to_json(value)


def from_json(cls: type[T], value: Json) -> T:
    """Read the JSON form of class `cls`.  Raises BadField."""
    return struct_of(cls).from_json(value)


def _int_from_json(value: Json, *, low: int, high: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadField("", f"must be a whole number, got {type(value).__name__}")
    if not low <= value <= high:
        raise BadField("", f"{value} does not fit {name}")
    return value


def _uint64_from_json(value: Json) -> int:
    return _int_from_json(value, low=0, high=(1 << 64) - 1, name="uint64")


def _int64_from_json(value: Json) -> int:
    return _int_from_json(value, low=-(1 << 63), high=(1 << 63) - 1, name="int64")


def _bool_from_json(value: Json) -> bool:
    if not isinstance(value, bool):
        raise BadField("", "must be true or false")
    return value


def _text_from_json(value: Json) -> str:
    if not isinstance(value, str):
        raise BadField("", "must be a string")
    return value


def bytes_from_json(value: Json) -> bytes:
    """Base64 text to bytes; null is empty.  Raises BadField."""
    if value is None:
        return b""
    text = _text_from_json(value)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadField("", "must be base64") from None


def bytes_to_json(data: bytes) -> str | None:
    """Bytes to base64 text; empty is null, as Go prints a slice that was read from CBOR."""
    return base64.b64encode(data).decode() if data else None


def bytes_to_json_text(data: bytes) -> str:
    """Bytes to base64 text, empty bytes to empty text, as Go prints a made but empty slice."""
    return base64.b64encode(data).decode()


def _address_encode(address: Address) -> bytes:
    payload = address.payload
    if address.protocol < 0:
        return b"\x40"
    length = len(payload) + 1
    head = (
        bytes((0x40 | length, address.protocol)) if length < 24 else bytes((0x58, length, address.protocol))
    )
    return head + payload


def _address_decode(data: bytes, at: int) -> tuple[Address, int]:
    body, end = cbor.bytes_read(data, at)
    try:
        return address_from_bytes(body), end
    except BadAddress as error:
        raise BadCbor(str(error)) from None


def _amount_encode(amount: int) -> bytes:
    return cbor.bytes_write(amount_to_bytes(amount))


def _amount_decode(data: bytes, at: int) -> tuple[AttoFil, int]:
    body, end = cbor.bytes_read(data, at)
    try:
        amount = amount_from_bytes(body)
    except BadAmount as error:
        raise BadCbor(str(error)) from None
    if (len(body) > 1 and body[1] == 0) or len(body) == 1:
        raise BadCbor("big int is not in its shortest form")
    return amount, end


def _amount_from_json(value: Json) -> AttoFil:
    if not isinstance(value, str):
        raise BadField("", "must be a string of decimal digits")
    return AttoFil(0) if value == NIL_TEXT else amount_parse(value)


def _cid_from_json(value: Json) -> Cid | None:
    return cid_from_json(value)


UINT64: Final = Kind("uint64", cbor.int_write, cbor.uint_read, int, _uint64_from_json, 0)
INT64: Final = Kind("int64", cbor.int_write, cbor.int_read, int, _int64_from_json, 0)
BOOL: Final = Kind("bool", cbor.bool_write, cbor.bool_read, bool, _bool_from_json, False)
TEXT: Final = Kind("text", cbor.text_write, cbor.text_read, str, _text_from_json, "")
BYTES: Final = Kind("bytes", cbor.bytes_write, cbor.bytes_read, bytes_to_json, bytes_from_json, b"")
ADDRESS: Final = Kind(
    "address", _address_encode, _address_decode, str, lambda v: address_parse(_text_from_json(v)), UNDEF
)
AMOUNT: Final = Kind("amount", _amount_encode, _amount_decode, str, _amount_from_json, AttoFil(0))
CID: Final = Kind("cid", cbor.cid_write, cbor.cid_read, cid_to_json, _cid_from_json)


def nullable(kind: Kind) -> Kind:
    """The same kind, or None written as null."""

    def encode(value: Any) -> bytes:
        return cbor.NULL if value is None else kind.encode(value)

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        return (None, at + 1) if cbor.is_null(data, at) else kind.decode(data, at)

    def to_json(value: Any) -> Json:
        return None if value is None else kind.to_json(value)

    return Kind(f"{kind.name} or null", encode, decode, to_json, kind.from_json, None, kind)


def list_of(kind: Kind, *, limit: int = cbor.MAX_ARRAY_LEN) -> Kind:
    """A list, kept as a tuple; JSON null and [] are both empty, and an empty one prints as null."""

    def encode(values: Sequence[Any]) -> bytes:
        return cbor.head_write(cbor.ARRAY, len(values)) + b"".join(map(kind.encode, values))

    def decode(data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        length, at = cbor.array_read(data, at)
        if length > limit:
            raise BadCbor(f"array too large ({length})")
        values = []
        for _ in range(length):
            value, at = kind.decode(data, at)
            values.append(value)
        return tuple(values), at

    def to_json(values: Sequence[Any]) -> Json:
        return [kind.to_json(value) for value in values] or None

    def from_json(value: Json) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise BadField("", "must be a list")
        return tuple(kind.read_json(item, f"[{place}]") for place, item in enumerate(value))

    return Kind(f"list of {kind.name}", encode, decode, to_json, from_json, (), kind)
