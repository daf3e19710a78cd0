"""Payment channels: their calls, and the voucher that a sender signs.

Source: filecoin-project/go-state-types builtin/v18/paych/paych_types.go, methods.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.codec import ADDRESS, AMOUNT, BYTES, INT64, UINT64, Field, Struct, list_of, nullable
from poolsite.filecoin.signature import SIGNATURE_OR_NULL, Signature

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class ModVerifyParams:
    """A method that is asked before a voucher counts."""

    actor: Address
    """Whom to ask."""
    method: int
    """Which method."""
    data: bytes
    """Its parameters."""


MOD_VERIFY_PARAMS: Final = Struct(
    ModVerifyParams,
    Field("actor", "Actor", ADDRESS),
    Field("method", "Method", UINT64),
    Field("data", "Data", BYTES),
)


@dataclass(frozen=True, slots=True)
class Merge:
    """A lane that a voucher takes up."""

    lane: int
    """Which lane."""
    nonce: int
    """Of the lane, from then on."""


MERGE: Final = Struct(Merge, Field("lane", "Lane", UINT64), Field("nonce", "Nonce", UINT64))


@dataclass(frozen=True, slots=True)
class SignedVoucher:
    """What the receiver of a channel can redeem."""

    channel: Address
    """The payment channel's actor."""
    time_lock_min: int
    """First epoch in which it counts."""
    time_lock_max: int
    """Last epoch in which it counts; 0 is none."""
    secret_hash: bytes
    """What the receiver must know the origin of; empty: nothing."""
    extra: ModVerifyParams | None
    """Asked before it counts."""
    lane: int
    """Lane that it is merged into."""
    nonce: int
    """Grows within a lane, so that old vouchers are worth nothing."""
    amount: int
    """attoFIL of the lane in all."""
    min_settle_height: int
    """Epoch before which the channel cannot be settled."""
    merges: tuple[Merge, ...]
    """Lanes that it takes up."""
    signature: Signature | None
    """The sender's, over the same with null in this place."""


SIGNED_VOUCHER: Final = Struct(
    SignedVoucher,
    Field("channel", "ChannelAddr", ADDRESS),
    Field("time_lock_min", "TimeLockMin", INT64),
    Field("time_lock_max", "TimeLockMax", INT64),
    Field("secret_hash", "SecretHash", BYTES),
    Field("extra", "Extra", nullable(MOD_VERIFY_PARAMS.kind())),
    Field("lane", "Lane", UINT64),
    Field("nonce", "Nonce", UINT64),
    Field("amount", "Amount", AMOUNT),
    Field("min_settle_height", "MinSettleHeight", INT64),
    Field("merges", "Merges", list_of(MERGE.kind())),
    Field("signature", "Signature", SIGNATURE_OR_NULL),
)


@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Open a channel (only the init actor)."""

    from_: Address
    """Who pays."""
    to: Address
    """Who is paid."""


CONSTRUCTOR_PARAMS: Final = Struct(
    ConstructorParams, Field("from_", "From", ADDRESS), Field("to", "To", ADDRESS)
)


@dataclass(frozen=True, slots=True)
class UpdateChannelStateParams:
    """Redeem a voucher."""

    voucher: SignedVoucher
    """What the sender signed."""
    secret: bytes
    """The origin of the voucher's hash."""


UPDATE_CHANNEL_STATE_PARAMS: Final = Struct(
    UpdateChannelStateParams, Field("voucher", "Sv", SIGNED_VOUCHER.kind()), Field("secret", "Secret", BYTES)
)


class Method(enum.IntEnum):
    """Numbers of the actor's methods."""

    SEND = 0
    CONSTRUCTOR = 1
    UPDATE_CHANNEL_STATE = 2
    SETTLE = 3
    COLLECT = 4


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", CONSTRUCTOR_PARAMS),
    MethodSpec(Method.UPDATE_CHANNEL_STATE, "UpdateChannelState", UPDATE_CHANNEL_STATE_PARAMS),
    MethodSpec(Method.SETTLE, "Settle"),
    MethodSpec(Method.COLLECT, "Collect"),
)
"""What each method takes and returns."""
