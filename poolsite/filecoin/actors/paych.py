"""Payment channels: their calls, and the voucher that one party signs for the other.

Source: go-state-types builtin/v18/paych/{paych_types,paych_state,methods}.go; builtin-actors
actors/paych/src/lib.rs.
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
    """A call that must succeed for a voucher to count."""

    actor: Address
    """Receiver of the call."""
    method: Uint64
    """Method number of that call."""
    data: bytes
    """Parameters in CBOR."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Merge:
    """A lane that a voucher merges into its own, so that what it redeemed counts there."""

    lane: Uint64
    """Not the voucher's own."""
    nonce: Uint64
    """The merged lane's nonce from then on; above its present one."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SignedVoucher:
    """A promise of payment outside the chain that the payee can redeem on it."""

    channel: Annotated[Address, JsonName("ChannelAddr")]
    """Address of the payment channel's actor."""
    time_lock_min: Int64
    """First epoch in which it can be redeemed."""
    time_lock_max: Int64
    """Last epoch in which it can be redeemed; 0 for no end."""
    secret_hash: bytes
    """blake2b-256 of the secret that redeeming needs; empty for none."""
    extra: ModVerifyParams | None
    """Null for no further condition."""
    lane: Uint64
    """Lane whose redeemed total it replaces, at most 2^63 - 1; made on first use."""
    nonce: Uint64
    """Above that of the lane's last voucher, which makes older ones worthless."""
    amount: TokenAmount
    """attoFIL of the lane in total, earlier and merged payments included."""
    min_settle_height: Int64
    """Epoch before which the channel cannot be collected; 0 for no change."""
    merges: tuple[Merge, ...]
    """Other lanes whose redeemed totals count as paid within `amount`."""
    signature: Signature | None
    """Over the voucher's CBOR with null here, by the party that does not send it to the chain."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Set up a channel; the init actor's Exec passes it on, with the funds as value."""

    from_: Address
    """Payer; gets back what is left."""
    to: Address
    """Payee."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class UpdateChannelStateParams:
    """Redeem a voucher; payer and payee may send it."""

    voucher: Annotated[SignedVoucher, JsonName("Sv")]
    """Signed by the party that does not send it."""
    secret: bytes
    """What `secret_hash` is the hash of, at most 256 bytes; empty for none."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each."""

    SEND = 0
    """A plain transfer: more for the channel."""
    CONSTRUCTOR = 1
    """By the init actor."""
    UPDATE_CHANNEL_STATE = 2
    """By either side, with a voucher that the other has signed."""
    SETTLE = 3
    """By either side: the channel may be closed after twelve hours, or a later epoch of a voucher."""
    COLLECT = 4
    """By either side, after that: both are paid, and the actor is gone."""


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", ConstructorParams),
    MethodSpec(Method.UPDATE_CHANNEL_STATE, "UpdateChannelState", UpdateChannelStateParams),
    MethodSpec(Method.SETTLE, "Settle"),
    MethodSpec(Method.COLLECT, "Collect"),
)
"""What each method takes and returns."""
