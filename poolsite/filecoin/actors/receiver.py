"""What an actor is called with when tokens arrive.

A token actor calls the receiver's hook within the transfer; one that fails undoes the transfer.  The verified
registry makes allocations in its hook.

Source: FRC-0046; filecoin-project/actors-utils fvm_actor_utils/src/receiver, frc46_token/src/receiver.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.codec import TokenAmount, Uint64, cbor_tuple

FRC46_TOKEN_TYPE: Final = 0x8522_3BDF
"""Type of a payload that tells of FRC-0046 tokens: the FRC-42 hash of "FRC46"."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class UniversalReceiverParams:
    """Parameters of the receiver hook that a token actor calls; a failure undoes the transfer."""

    type: Uint64
    """FRC46_TOKEN_TYPE for tokens."""
    payload: bytes
    """TokensReceived in CBOR for that type."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TokensReceived:
    """The tokens that arrived."""

    from_: Uint64
    """Actor ID whose balance was reduced; for minted tokens, who minted them."""
    to: Uint64
    """Actor ID whose balance grew: the receiver."""
    operator: Uint64
    """Actor ID of who called the transfer or mint."""
    amount: TokenAmount
    """10^-18 of a whole token."""
    operator_data: bytes
    """From the caller of the transfer, for the receiver."""
    token_data: bytes
    """From the token's actor."""
