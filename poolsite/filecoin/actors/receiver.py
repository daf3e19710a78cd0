"""What an actor is told when tokens arrive.  Source: FRC-0046; builtin-actors runtime frc46_token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.codec import TokenAmount, Uint64, cbor_tuple

FRC46_TOKEN_TYPE: Final = 0x8522_3BDF
"""Kind of the payload that tells of tokens: the FRC-42 hash of "FRC46"."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class UniversalReceiverParams:
    """Tokens arrive."""

    type: Uint64
    """Kind of the payload."""
    payload: bytes
    """Opaque bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TokensReceived:
    """The payload that tells of tokens."""

    from_: Uint64
    """Actor number of who had them."""
    to: Uint64
    """Actor number of who has them now."""
    operator: Uint64
    """Actor number of who moved them."""
    amount: TokenAmount
    """Units of the token."""
    operator_data: bytes
    """Opaque bytes of who moved them."""
    token_data: bytes
    """Opaque bytes of the token's actor."""
