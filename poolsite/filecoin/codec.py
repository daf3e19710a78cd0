"""How a dataclass becomes its CBOR array and its lotus/venus JSON object, and back.

`@cbor_tuple` above a dataclass derives both from the annotations of its fields: a `Kind` knows one type of
value, a `Struct` is the ordered table of the fields with their JSON names.  Every chain object is a CBOR
array in field order (no maps).  JSON follows Go: a missing member or null is the zero value, empty slices
print as null, bytes are base64, big numbers are decimal strings.
Source: whyrusleeping/cbor-gen gen.go; encoding/json; go-state-types big/int.go, abi, bitfield.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from types import NoneType
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from poolsite.filecoin import cbor
from poolsite.filecoin.address import Address
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.kinds import (
    ADDRESS,
    AMOUNT,
    BOOL,
    BYTES,
    CID,
    INT64,
    TEXT,
    UINT64,
    BadField,
    Json,
    Kind,
    list_of,
    nullable,
)

T = TypeVar("T")
"""A dataclass that a table is of."""


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a struct's table."""

    attr: str
    """Name of the dataclass field."""
    json: str
    """Name of the JSON member, Go's casing."""
    kind: Kind
    """How its value is written and read."""
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
        # attrgetter of one name returns the value itself, not a tuple of it.
        if len(names) == 1:
            only = attrgetter(names[0])
            self._values = lambda value: (only(value),)
        else:
            self._values = attrgetter(*names) if names else lambda _: ()
        self._encoders = tuple(field.kind.encode for field in self.stored)
        self._decoders = tuple(field.kind.decode for field in self.stored)
        self._head = b"" if bare else cbor.head_write(cbor.ARRAY, len(self.stored))

    def encode(self, value: T) -> bytes:
        """Return the CBOR form: the head of an array, then each stored field in order.

        A bare struct has no head: its single field stands for it.
        """
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
        """Read the object at a position; return it and the position behind it.

        Raises BadCbor on an array of another length: cbor-gen has no optional fields, so a struct that grew
        is another struct.
        """
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
        """Raise BadCbor: the bytes hold no list, or one of another number of fields than the struct has."""
        length, _ = cbor.array_read(data, at)
        raise BadCbor(
            f"cbor input had wrong number of fields: {length}, {self.cls.__name__} has {len(self.stored)}"
        )

    def to_json(self, value: T) -> dict[str, Json]:
        """Return the JSON object with Go's member names (a bare struct: its only value)."""
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
            member = value.get(field.json) if field.in_json else None
            members[field.attr] = field.kind.read_json(member, field.json)
        return self.cls(**members)

    def kind(self) -> Kind:
        """Return how this struct is read and written as a field of another."""
        return Kind(self.cls.__name__, self.encode, self.decode_at, self.to_json, self.from_json, of=self)


def struct_of(cls: type[T]) -> Struct[T]:
    """Return the table of a dataclass.  Raises KeyError if it has none."""
    return _STRUCTS[cls]


def structs() -> tuple[Struct[Any], ...]:
    """Return all default tables of the modules imported so far."""
    return tuple(_STRUCTS.values())


def to_cbor(value: Any) -> bytes:
    """Return the CBOR form of any dataclass that has a table."""
    return _STRUCTS[type(value)].encode(value)


def from_cbor(cls: type[T], data: bytes) -> T:
    """Read one object of class `cls` that fills `data`.  Raises BadCbor."""
    return struct_of(cls).decode(data)


def to_json(value: Any) -> Json:
    """Return the JSON form of any dataclass that has a table."""
    return _STRUCTS[type(value)].to_json(value)


def from_json(cls: type[T], value: Json) -> T:
    """Read the JSON form of class `cls`.  Raises BadField."""
    return struct_of(cls).from_json(value)


Uint64: TypeAlias = Annotated[int, UINT64]
"""0 to 2^64 - 1."""
Int64: TypeAlias = Annotated[int, INT64]
"""-2^63 to 2^63 - 1."""
TokenAmount: TypeAlias = Annotated[int, AMOUNT]
"""A big integer: attoFIL, or units of a token or of data cap with 18 decimals."""


@dataclass(frozen=True, slots=True)
class JsonName:
    """The name of a JSON member that does not follow from the name of its field."""

    name: str
    """The member's name in Go's JSON object."""


@dataclass(frozen=True, slots=True)
class _NotInJson:
    """Marks a field that Go leaves out of the JSON object."""


NOT_IN_JSON: Final = _NotInJson()
"""Annotation of such a field."""

_INITIALS: Final = {
    "bls": "BLS",
    "cid": "CID",
    "cids": "CIDs",
    "id": "ID",
    "ids": "IDs",
    "post": "PoSt",
    "vrf": "VRF",
}
"""Words that Go does not write with one capital."""
_KINDS: Final[dict[Any, Kind]] = {
    bool: BOOL,
    bytes: BYTES,
    str: TEXT,
    Address: ADDRESS,
    AttoFil: AMOUNT,
    Cid: CID,
}
"""How values of a class are written; filled while modules are imported, never changed afterwards."""


def kind_register(cls: Any, kind: Kind) -> None:
    """Register `kind` as the form of fields that are annotated with a class or a union."""
    _KINDS[cls] = kind


def cbor_tuple(cls: type[T]) -> type[T]:
    """Register a dataclass to be written as the array of its fields, as cbor-gen's tuple encoding does.

    The annotations say how each field is written; a class that a field holds must be registered before.  JSON
    names are the attributes' in Go's casing (`_INITIALS`), or what JsonName says.
    """
    Struct(cls, *_fields_of(cls))
    return cls


def cbor_transparent(cls: type[T]) -> type[T]:
    """Register a dataclass of one field to be written as that field's value, as some parameters are."""
    Struct(cls, *_fields_of(cls), bare=True)
    return cls


def _fields_of(cls: type[Any]) -> tuple[Field, ...]:
    """Return the rows of a dataclass, in the order of its fields.

    Fields that the constructor does not take are left out: they hold what was computed from the others.
    """
    hints = get_type_hints(cls, include_extras=True)
    return tuple(_field_of(field.name, hints[field.name]) for field in dataclasses.fields(cls) if field.init)


def _field_of(name: str, annotation: Any) -> Field:
    """Return the row of a field: its JSON name from JsonName, or the attribute's in Go's casing."""
    marks = annotation.__metadata__ if get_origin(annotation) is Annotated else ()
    names = [mark.name for mark in marks if isinstance(mark, JsonName)]
    json = names[0] if names else "".join(_INITIALS.get(word, word.capitalize()) for word in name.split("_"))
    return Field(name, json, _kind_of(annotation), in_json=NOT_IN_JSON not in marks)


def _kind_of(annotation: Any) -> Kind:
    """Return how an annotation's values are written.  Raises TypeError for a type that has no form."""
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        kinds = [mark for mark in annotation.__metadata__ if isinstance(mark, Kind)]
        return kinds[0] if kinds else _kind_of(arguments[0])
    if origin is tuple:
        return list_of(_kind_of(arguments[0]))
    if NoneType in arguments:
        return nullable(_kind_of(next(one for one in arguments if one is not NoneType)))
    if annotation in _KINDS:
        return _KINDS[annotation]
    if annotation in _STRUCTS:
        return _STRUCTS[annotation].kind()
    raise TypeError(f"no CBOR form is known for {annotation!r}")
