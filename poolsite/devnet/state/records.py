"""Rows of the chain's state as bytes: frozen dataclasses become canonical CBOR arrays in field order.

The codec of a class is built once from its annotations, so a row's bytes depend on nothing but its
values: equal states have equal bytes, and equal roots.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final, Protocol, TypeVar

from poolsite.filecoin.address import Address, address_from_bytes, address_to_bytes
from poolsite.filecoin.amounts import amount_from_bytes, amount_to_bytes
from poolsite.filecoin.cbor import ARRAY, Encoded, decode, encode, head_write
from poolsite.filecoin.cids import Cid

_BIG: Final = "big"
ITEMS_CACHED: Final = 1 << 14
"""Items of long columns whose bytes are remembered."""

Big = Annotated[int, _BIG]
"""A whole number of any size (attoFIL, power, Q.128); its CBOR form is a signed byte string."""


class Record(Protocol):
    """Any frozen dataclass of the kinds that `_codec_of` knows."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


RecordT = TypeVar("RecordT", bound=Record)
Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""Writer to plain CBOR values, reader from them."""


def _same(value: Any) -> Any:
    return value


def record_to_bytes(record: Record) -> bytes:
    """Return the canonical bytes of a row."""
    cls: Any = type(record)
    return encode(_record_codec(cls)[0](record))


def record_from_bytes(cls: type[RecordT], data: bytes) -> RecordT:
    """Read a row of class `cls`.  Raises BadCbor, or ValueError and TypeError on other columns."""
    record: RecordT = _record_codec(cls)[1](decode(data))
    return record


@functools.cache
def _record_codec(cls: Any) -> Codec:
    hints = typing.get_type_hints(cls, include_extras=True)
    names = tuple(field.name for field in dataclasses.fields(cls))
    codecs = tuple(_codec_of(hints[name]) for name in names)
    columns = tuple(
        (name, None if codec[0] is _same else codec[0]) for name, codec in zip(names, codecs, strict=True)
    )
    readers = tuple(codec[1] for codec in codecs)

    def write(record: Any) -> list[Any]:
        return [
            getattr(record, name) if writer is None else writer(getattr(record, name))
            for name, writer in columns
        ]

    def read(values: Any) -> Any:
        return cls(*(reader(value) for reader, value in zip(readers, values, strict=True)))

    return write, read


def _codec_of(hint: Any) -> Codec:
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return amount_to_bytes, amount_from_bytes
    if origin in (typing.Union, types.UnionType):
        return _optional(typing.get_args(hint))
    if origin is tuple:
        return _tuple(typing.get_args(hint))
    if hint is Address:
        return address_to_bytes, address_from_bytes
    if hint in (int, bytes, str, bool, Cid):
        return _same, _same
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _record_codec(hint)
    raise TypeError(f"no row form for {hint}")


def _optional(kinds: tuple[Any, ...]) -> Codec:
    (kind,) = (kind for kind in kinds if kind is not type(None))
    write, read = _codec_of(kind)
    return (
        lambda value: None if value is None else write(value),
        lambda value: None if value is None else read(value),
    )


def _tuple(kinds: tuple[Any, ...]) -> Codec:
    if kinds[-1] is Ellipsis:
        write, read = _codec_of(kinds[0])
        return (
            _numbers_writer(write)
            if _is_numbers(kinds[0])
            else lambda items: [write(item) for item in items],
            lambda items: tuple(read(item) for item in items),
        )
    codecs = [_codec_of(kind) for kind in kinds]
    return (
        lambda items: [codec[0](item) for codec, item in zip(codecs, items, strict=True)],
        lambda items: tuple(codec[1](item) for codec, item in zip(codecs, items, strict=True)),
    )


def _is_numbers(hint: Any) -> bool:
    """Return whether an item is a tuple of whole numbers, which are equal only if their bytes are."""
    kinds = typing.get_args(hint) if typing.get_origin(hint) is tuple else ()
    return bool(kinds) and all(kind is int or typing.get_origin(kind) is Annotated for kind in kinds)


def _numbers_writer(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a writer for a long column of which few items change: vesting has thousands at each head."""

    @functools.lru_cache(maxsize=ITEMS_CACHED)
    def written(item: tuple[int, ...]) -> bytes:
        return encode(write(item))

    return lambda items: Encoded(head_write(ARRAY, len(items)) + b"".join(map(written, items)))
