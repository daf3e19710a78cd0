"""Tasks and outputs as the JSON of the processor protocol.

Byte strings are arrays of numbers, or base64 where the type says so; both are read everywhere, and
members that a task does not have are passed over.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from poolsite.wire import codec
from poolsite.wire.codec import BadWire
from workers.processors.errors import BadInput

Kind = TypeVar("Kind")


class Message(msgspec.Struct, frozen=True):
    """A task, an output or a part of them."""


class Base64(bytes):
    """A byte string that is base64 text in the protocol."""


if TYPE_CHECKING:
    Octets = bytes
else:

    class _Bytes(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, bytes)

    class Octets(metaclass=_Bytes):
        """A plain byte string, as a type of its own: msgspec would read base64 only."""


def encode(value: Any) -> Any:
    """Return the JSON value of a task or output."""
    return _numbers(msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=_text))


def decode(kind: type[Kind], value: Any) -> Kind:
    """Read a task or output.  Raises BadInput with the field's name."""
    try:
        return codec.decode(kind, value, hook=_bytes)
    except BadWire as error:
        raise BadInput(f"task.{error}" if error.field else f"task: {error}") from None


def _numbers(value: Any) -> Any:
    """Return a value with its byte strings as arrays of numbers."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_numbers(item) for item in value]
    return list(value) if isinstance(value, bytes) else value


def _text(value: Base64) -> str:
    return base64.b64encode(value).decode()


def _bytes(kind: type, value: Any) -> bytes:
    """Read a byte string in either form.  Raises BadWire."""
    try:
        found = base64.b64decode(value, validate=True) if isinstance(value, str) else bytes(_checked(value))
    except ValueError:
        raise BadWire("", "must be byte values or base64 text") from None
    return Base64(found) if kind is Base64 else found


def _checked(value: Any) -> list[int]:
    """Return an array if it holds whole numbers only.  Raises ValueError."""
    if isinstance(value, list) and all(type(item) is int for item in value):
        return value
    raise ValueError
