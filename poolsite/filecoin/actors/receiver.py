"""What an actor is told when tokens arrive.  Source: FRC-0046; builtin-actors runtime frc46_token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.codec import AMOUNT, BYTES, UINT64, Field, Struct

FRC46_TOKEN_TYPE: Final = 0x8522_3BDF
"""Kind of the payload that tells of tokens: the FRC-42 hash of "FRC46"."""


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


@dataclass(frozen=True, slots=True)
class TokensReceived:
    """The payload that tells of tokens."""

    from_: int
    """Actor number of who had them."""
    to: int
    """Actor number of who has them now."""
    operator: int
    """Actor number of who moved them."""
    amount: int
    """Units of the token."""
    operator_data: bytes
    """Opaque bytes of who moved them."""
    token_data: bytes
    """Opaque bytes of the token's actor."""


TOKENS_RECEIVED: Final = Struct(
    TokensReceived,
    Field("from_", "From", UINT64),
    Field("to", "To", UINT64),
    Field("operator", "Operator", UINT64),
    Field("amount", "Amount", AMOUNT),
    Field("operator_data", "OperatorData", BYTES),
    Field("token_data", "TokenData", BYTES),
)
