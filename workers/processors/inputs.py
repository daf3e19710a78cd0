"""Checks of inputs that several stages share."""

from __future__ import annotations

from poolsite.filecoin.scalars import NODE_BYTES, BadScalar, scalar_from_bytes
from workers.processors.errors import BadInput


def digests_check(**values: bytes) -> None:
    """Raise BadInput unless every value has 32 bytes."""
    for name, value in values.items():
        if len(value) != NODE_BYTES:
            raise BadInput(f"{name} has {len(value)} bytes instead of {NODE_BYTES}")


def scalars_check(**values: bytes) -> None:
    """Raise BadInput unless every value is the canonical form of a field element."""
    for name, value in values.items():
        try:
            scalar_from_bytes(value)
        except BadScalar:
            raise BadInput(f"{name} is not a field element: {value.hex()}") from None
