"""Tasks and outputs as the JSON of the processor protocol.

Byte strings are arrays of numbers, or base64 where a field says so; both are read everywhere.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import types
import typing
from typing import Any, TypeVar

from workers.processors.errors import BadInput

BASE64 = {"form": "base64"}
"""Metadata of a field whose byte strings are base64 text on the wire."""

Kind = TypeVar("Kind")


def encode(value: Any, *, as_base64: bool = False) -> Any:
    """Return the JSON value of a task or output."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: encode(getattr(value, item.name), as_base64=item.metadata == BASE64)
            for item in dataclasses.fields(value)
        }
    if isinstance(value, bytes):
        return base64.b64encode(value).decode() if as_base64 else list(value)
    if isinstance(value, tuple):
        return [encode(item, as_base64=as_base64) for item in value]
    return value


def decode(kind: type[Kind], value: Any) -> Kind:
    """Read a task or output.  Raises BadInput with the field's name."""
    result: Kind = _decode(kind, value, "task")
    return result


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode(hint: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _object(hint, value, name)
    origin = typing.get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise BadInput(f"{name} is not a list")
        item = typing.get_args(hint)[0]
        return tuple(_decode(item, part, f"{name}[{at}]") for at, part in enumerate(value))
    if origin is types.UnionType:
        if value is None:
            return None
        return _decode(next(arg for arg in typing.get_args(hint) if arg is not type(None)), value, name)
    if hint is bytes:
        return _bytes(value, name)
    if hint is Any:
        return value
    if type(value) is not hint:
        raise BadInput(f"{name} is not of type {hint.__name__}")
    return value


def _object(kind: type, value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        raise BadInput(f"{name} is not an object")
    hints, arguments = _hints(kind), {}
    for item in dataclasses.fields(kind):
        if item.name in value:
            arguments[item.name] = _decode(hints[item.name], value[item.name], f"{name}.{item.name}")
        elif item.default is dataclasses.MISSING:
            raise BadInput(f"{name}.{item.name} is missing")
    return kind(**arguments)


def _bytes(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise BadInput(f"{name} is not base64") from None
    if isinstance(value, list) and all(type(item) is int and 0 <= item < 256 for item in value):
        return bytes(value)
    raise BadInput(f"{name} is neither byte values nor base64")
