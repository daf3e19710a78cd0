"""What an actor is told when tokens arrive.  Source: FRC-0046; builtin-actors runtime frc46_token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.codec import BYTES, UINT64, Field, Struct


@dataclass(frozen=True, slots=True)
class UniversalReceiverParams:
    """Tokens arrive."""

    type: int
    """Kind of the payload."""
    payload: bytes
    """Opaque bytes."""


UNIVERSAL_RECEIVER_PARAMS: Final = Struct(
    UniversalReceiverParams,
    Field("type", "Type", UINT64),
    Field("payload", "Payload", BYTES),
)
