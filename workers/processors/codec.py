"""Tasks and outputs as the JSON of the processor protocol, by the wire's codec.

Byte strings are arrays of numbers, or base64 where a field says so; both are read everywhere.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

from poolsite.wire.codec import BadWire, Codec
from workers.processors.errors import BadInput

Kind = TypeVar("Kind")

PROTOCOL: Final = Codec(is_open=True, has_numbers=True)


def encode(value: Any) -> Any:
    """Return the JSON value of a task or output."""
    return PROTOCOL.encode(value)


def decode(kind: type[Kind], value: Any) -> Kind:
    """Read a task or output.  Raises BadInput with the field's name."""
    try:
        return PROTOCOL.decode(kind, value, "task")
    except BadWire as error:
        raise BadInput(str(error)) from None
