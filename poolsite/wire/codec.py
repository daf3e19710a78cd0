"""Dataclasses as JSON, checked: between console and workers, and in the processor protocol.

A field's name is its name on the wire.  Bytes are base64, tuples are arrays, enums are their values;
a field with a default may be left out.  What is not understood is refused by field and reason, so
that two versions that do not fit notice it at the first request and not in the middle of a sector.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import functools
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

WIRE_VERSION = 1
"""Raised when a field changes its meaning; a new field with a default does not raise it."""

VERSION_FIELD = "v"
"""Where a document says which version wrote it."""

NUMBER_MAX = 2**63 - 1
"""Largest whole number either side stores."""

BASE64: Final = {"form": "base64"}
"""Metadata of a field whose byte strings are base64 text where those of others are numbers."""

T = TypeVar("T")


class BadWire(ValueError):
    """A document that is not what it should be; says where and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        """Dotted path, as `leases.0.token`; empty for the document itself."""
        self.reason = reason


def document_encode(value: Any) -> dict[str, Any]:
    """Return the JSON object of a dataclass, with the version."""
    return {VERSION_FIELD: WIRE_VERSION, **WIRE.encode(value)}


def document_decode(kind: type[T], data: object) -> T:
    """Read a versioned JSON object.  Raises BadWire naming the field."""
    if not isinstance(data, dict):
        raise BadWire("", "must be an object")
    version = data.get(VERSION_FIELD)
    if version != WIRE_VERSION or isinstance(version, bool):
        raise BadWire(VERSION_FIELD, f"must be {WIRE_VERSION}")
    return WIRE.decode(kind, {key: item for key, item in data.items() if key != VERSION_FIELD})


@functools.cache
def _fields(kind: Any) -> tuple[tuple[str, Any, bool, bool], ...]:
    """Return name, type, whether it is needed and whether it is base64 of each field."""
    hints = typing.get_type_hints(kind)
    return tuple(
        (
            item.name,
            hints[item.name],
            item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING,
            item.metadata == BASE64,
        )
        for item in dataclasses.fields(kind)
    )


@dataclass(frozen=True, slots=True)
class Codec:
    """How dataclasses cross one protocol as JSON."""

    is_open: bool = False
    """Members that the dataclass does not have are passed over; otherwise they are refused."""
    has_numbers: bool = False
    """Byte strings are arrays of numbers, but in fields marked BASE64; both forms are read everywhere."""

    def encode(self, value: Any, *, as_base64: bool = False) -> Any:
        """Return the JSON value of a dataclass or of a field."""
        if isinstance(value, bytes):
            return list(value) if self.has_numbers and not as_base64 else base64.b64encode(value).decode()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {
                name: self.encode(getattr(value, name), as_base64=is_base64)
                for name, _, _, is_base64 in _fields(type(value))
            }
        if isinstance(value, enum.Enum):
            return value.value
        if isinstance(value, tuple | list):
            return [self.encode(item, as_base64=as_base64) for item in value]
        if isinstance(value, dict):
            return {key: self.encode(item) for key, item in value.items()}
        return value

    def decode(self, kind: type[T], data: object, path: str = "") -> T:
        """Read a dataclass.  Raises BadWire naming the field below `path`."""
        decoded: T = self._object(kind, data, path)
        return decoded

    def _object(self, kind: Any, data: object, path: str) -> Any:
        if not isinstance(data, dict):
            raise BadWire(path, "must be an object")
        prefix = f"{path}." if path else ""
        fields = _fields(kind)
        if not self.is_open:
            unknown = data.keys() - {name for name, *_ in fields}
            if unknown:
                raise BadWire(f"{prefix}{min(unknown)}", "unknown field")
        values: dict[str, Any] = {}
        for name, hint, is_needed, _ in fields:
            if name in data:
                values[name] = self._value(hint, data[name], f"{prefix}{name}")
            elif is_needed:
                raise BadWire(f"{prefix}{name}", "missing")
        try:
            return kind(**values)
        except BadWire as error:
            raise BadWire(f"{prefix}{error.field}" if error.field else path, error.reason) from None

    def _value(self, hint: Any, data: object, path: str) -> Any:
        if hint is bytes:
            return _numbers_decode(data, path) if self.has_numbers else _bytes_decode(data, path)
        reader = SCALARS.get(hint)
        if reader is not None:
            return reader(data, path)
        origin = typing.get_origin(hint)
        if origin in (types.UnionType, typing.Union):
            (inner,) = (arm for arm in typing.get_args(hint) if arm is not type(None))
            return None if data is None else self._value(inner, data, path)
        if origin is tuple:
            if not isinstance(data, list):
                raise BadWire(path, "must be an array")
            inner = typing.get_args(hint)[0]
            return tuple(self._value(inner, item, f"{path}.{index}") for index, item in enumerate(data))
        if origin is dict:
            return self._mapping(typing.get_args(hint)[1], data, path)
        if dataclasses.is_dataclass(hint):
            return self._object(hint, data, path)
        return _choice_decode(hint, data, path)

    def _mapping(self, inner: Any, data: object, path: str) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise BadWire(path, "must be an object")
        return {str(key): self._value(inner, item, f"{path}.{key}") for key, item in data.items()}


WIRE: Final = Codec()
"""Between console and workers."""


def _bool_decode(data: object, path: str) -> bool:
    if not isinstance(data, bool):
        raise BadWire(path, "must be true or false")
    return data


def _number_decode(data: object, path: str) -> int:
    if not isinstance(data, int) or isinstance(data, bool):
        raise BadWire(path, "must be a whole number")
    if not -NUMBER_MAX <= data <= NUMBER_MAX:
        raise BadWire(path, "out of range")
    return data


def _text_decode(data: object, path: str) -> str:
    if not isinstance(data, str):
        raise BadWire(path, "must be text")
    if "\x00" in data:
        raise BadWire(path, "must not hold a zero byte")
    try:
        data.encode()
    except UnicodeEncodeError:
        raise BadWire(path, "must not hold half a character") from None
    return data


def _choice_decode(hint: Any, data: object, path: str) -> str:
    if not (isinstance(hint, type) and issubclass(hint, enum.StrEnum)):
        raise TypeError(f"{hint!r} has no wire form")
    if not isinstance(data, str):
        raise BadWire(path, "must be text")
    try:
        return hint(data)
    except ValueError:
        words = ", ".join(str(member.value) for member in hint)
        raise BadWire(path, f"must be one of {words}") from None


def _bytes_decode(data: object, path: str) -> bytes:
    if not isinstance(data, str):
        raise BadWire(path, "must be base64 text")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise BadWire(path, "must be base64 text") from None


def _numbers_decode(data: object, path: str) -> bytes:
    if isinstance(data, str):
        return _bytes_decode(data, path)
    if isinstance(data, list) and all(type(item) is int and 0 <= item < 256 for item in data):
        return bytes(data)
    raise BadWire(path, "must be byte values or base64 text")


SCALARS: Final[dict[Any, Callable[[object, str], Any]]] = {
    bool: _bool_decode,
    int: _number_decode,
    str: _text_decode,
}
