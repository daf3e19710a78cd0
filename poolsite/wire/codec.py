"""The JSON form of what console and workers tell each other: frozen dataclasses, versioned, checked.

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
from typing import Any, TypeVar

WIRE_VERSION = 1
"""Raised when a field changes its meaning; a new field with a default does not raise it."""

VERSION_FIELD = "v"
"""Where a document says which version wrote it."""

NUMBER_MAX = 2**63 - 1
"""Largest whole number either side stores."""

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
    return {VERSION_FIELD: WIRE_VERSION, **value_encode(value)}


def document_decode(kind: type[T], data: object) -> T:
    """Read a versioned JSON object.  Raises BadWire naming the field."""
    if not isinstance(data, dict):
        raise BadWire("", "must be an object")
    version = data.get(VERSION_FIELD)
    if version != WIRE_VERSION or isinstance(version, bool):
        raise BadWire(VERSION_FIELD, f"must be {WIRE_VERSION}")
    decoded: T = _object_decode(kind, {key: item for key, item in data.items() if key != VERSION_FIELD}, "")
    return decoded


def value_encode(value: Any) -> Any:
    """Return the JSON value of a field."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: value_encode(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [value_encode(item) for item in value]
    if isinstance(value, dict):
        return {key: value_encode(item) for key, item in value.items()}
    return value


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _object_decode(kind: Any, data: object, path: str) -> Any:
    if not isinstance(data, dict):
        raise BadWire(path, "must be an object")
    prefix = f"{path}." if path else ""
    fields = {item.name: item for item in dataclasses.fields(kind)}
    for key in data:
        if key not in fields:
            raise BadWire(f"{prefix}{key}", "unknown field")
    values: dict[str, Any] = {}
    for name, item in fields.items():
        if name in data:
            values[name] = _value_decode(_hints(kind)[name], data[name], f"{prefix}{name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise BadWire(f"{prefix}{name}", "missing")
    try:
        return kind(**values)
    except BadWire as error:
        raise BadWire(f"{prefix}{error.field}" if error.field else path, error.reason) from None


def _value_decode(hint: Any, data: object, path: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (arm for arm in typing.get_args(hint) if arm is not type(None))
        return None if data is None else _value_decode(inner, data, path)
    if origin is tuple:
        if not isinstance(data, list):
            raise BadWire(path, "must be an array")
        inner = typing.get_args(hint)[0]
        return tuple(_value_decode(inner, item, f"{path}.{index}") for index, item in enumerate(data))
    if origin is dict:
        return _mapping_decode(typing.get_args(hint)[1], data, path)
    if dataclasses.is_dataclass(hint):
        return _object_decode(hint, data, path)
    return _scalar_decode(hint, data, path)


def _mapping_decode(inner: Any, data: object, path: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise BadWire(path, "must be an object")
    return {str(key): _value_decode(inner, item, f"{path}.{key}") for key, item in data.items()}


def _scalar_decode(hint: Any, data: object, path: str) -> Any:
    if hint is bytes:
        return _bytes_decode(data, path)
    if hint is bool:
        if not isinstance(data, bool):
            raise BadWire(path, "must be true or false")
        return data
    if hint is int:
        return _number_decode(data, path)
    return _text_decode(hint, data, path)


def _number_decode(data: object, path: str) -> int:
    if not isinstance(data, int) or isinstance(data, bool):
        raise BadWire(path, "must be a whole number")
    if not -NUMBER_MAX <= data <= NUMBER_MAX:
        raise BadWire(path, "out of range")
    return data


def _text_decode(hint: Any, data: object, path: str) -> str:
    if not isinstance(data, str):
        raise BadWire(path, "must be text")
    if hint is str:
        if "\x00" in data:
            raise BadWire(path, "must not hold a zero byte")
        try:
            data.encode()
        except UnicodeEncodeError:
            raise BadWire(path, "must not hold half a character") from None
        return data
    if not (isinstance(hint, type) and issubclass(hint, enum.StrEnum)):
        raise TypeError(f"{hint!r} has no wire form")
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
