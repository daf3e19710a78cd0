"""Payment channels: their calls, and the voucher that a sender signs.

Source: filecoin-project/go-state-types builtin/v18/paych/paych_types.go, methods.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import (
    Int64,
    JsonName,
    TokenAmount,
    Uint64,
    cbor_tuple,
)
from poolsite.filecoin.signature import Signature


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ModVerifyParams:
    """A method that is asked before a voucher counts."""

    actor: Address
    """Whom to ask."""
    method: Uint64
    """Which method."""
    data: bytes
    """Its parameters."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Merge:
    """A lane that a voucher takes up."""

    lane: Uint64
    """Which lane."""
    nonce: Uint64
    """Of the lane, from then on."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SignedVoucher:
    """What the receiver of a channel can redeem."""

    channel: Annotated[Address, JsonName("ChannelAddr")]
    """The payment channel's actor."""
    time_lock_min: Int64
    """First epoch in which it counts."""
    time_lock_max: Int64
    """Last epoch in which it counts; 0 is none."""
    secret_hash: bytes
    """What the receiver must know the origin of; empty: nothing."""
    extra: ModVerifyParams | None
    """Asked before it counts."""
    lane: Uint64
    """Lane that it is merged into."""
    nonce: Uint64
    """Grows within a lane, so that old vouchers are worth nothing."""
    amount: TokenAmount
    """attoFIL of the lane in all."""
    min_settle_height: Int64
    """Epoch before which the channel cannot be settled."""
    merges: tuple[Merge, ...]
    """Lanes that it takes up."""
    signature: Signature | None
    """The sender's, over the same with null in this place."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Open a channel (only the init actor)."""

    from_: Address
    """Who pays."""
    to: Address
    """Who is paid."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class UpdateChannelStateParams:
    """Redeem a voucher."""

    voucher: Annotated[SignedVoucher, JsonName("Sv")]
    """What the sender signed."""
    secret: bytes
    """The origin of the voucher's hash."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods."""

    SEND = 0
    CONSTRUCTOR = 1
    UPDATE_CHANNEL_STATE = 2
    SETTLE = 3
    COLLECT = 4


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", ConstructorParams),
    MethodSpec(Method.UPDATE_CHANNEL_STATE, "UpdateChannelState", UpdateChannelStateParams),
    MethodSpec(Method.SETTLE, "Settle"),
    MethodSpec(Method.COLLECT, "Collect"),
)
"""What each method takes and returns."""
