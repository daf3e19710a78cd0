"""Messages of the miner actor about its addresses, its beneficiary and its funds.

Source: go-state-types builtin/v18/miner/miner_types.go, miner_state.go; builtin-actors
actors/miner/src/{types,beneficiary,lib}.rs; FIP-0029 (beneficiary).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import Int64, JsonName, TokenAmount, Uint64, cbor_transparent, cbor_tuple


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Set up a new miner actor; only the init actor calls it, for the power actor's CreateMiner."""

    owner_addr: Address
    """The actor stores its f0 address."""
    worker_addr: Address
    """An account with a BLS key; the actor stores its f0 address."""
    control_addrs: tuple[Address, ...]
    """At most 10 addresses that may send for the miner beside owner and worker; CreateMiner gives none."""
    window_post_proof_type: Int64
    """RegisteredPoStProof code of its WindowPoSt; sets the miner's sector size for good."""
    peer_id: Annotated[bytes, JsonName("PeerId")]
    """libp2p peer id, at most 128 bytes; empty for none."""
    multi_addrs: tuple[bytes, ...]
    """libp2p multiaddresses in binary form, none empty, at most 1024 bytes together."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ControlAddressesReturn:
    """The addresses that may send messages for the miner, all as f0."""

    owner: Address
    """May change the worker, propose an owner or beneficiary, and withdraw."""
    worker: Address
    """Its BLS key signs blocks; it may also send the miner's messages."""
    control_addrs: tuple[Address, ...]
    """At most 10; may send what the worker may send, but sign no blocks."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ChangeWorkerAddressParams:
    """Replace the control addresses at once and schedule a worker change; only the owner may send it."""

    new_worker: Address
    """An account with a BLS key; if it differs from the worker it can be confirmed 900 epochs later, by
    ConfirmChangeWorkerAddress.  Ignored while another change is pending."""
    new_control_addrs: tuple[Address, ...]
    """The whole new list, at most 10 addresses; empty removes all."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ChangePeerIDParams:
    """Set the libp2p peer id; owner, worker and control addresses may send it."""

    new_id: bytes
    """At most 128 bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ChangeMultiaddrsParams:
    """Set the libp2p multiaddresses; owner, worker and control addresses may send it."""

    new_multiaddrs: tuple[bytes, ...]
    """The whole new list in binary form, none empty, at most 1024 bytes together."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class ChangeOwnerAddressParams:
    """Propose a new owner (sent by the owner) or accept the proposal (sent by the proposed owner)."""

    new_address: Address
    """An f0 address.  The owner's own address withdraws the proposal; an acceptance must name the proposed
    one.  On acceptance a beneficiary that was the old owner becomes the new one, and a pending change of
    beneficiary is dropped."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class WithdrawBalanceParams:
    """Pay available balance to the beneficiary; owner or beneficiary may send it."""

    amount_requested: TokenAmount
    """Upper limit in attoFIL; less is paid if less is available or the beneficiary's quota is smaller."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class WithdrawBalanceReturn:
    """The amount that WithdrawBalance paid."""

    amount: TokenAmount
    """attoFIL."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ApplyRewardsParams:
    """Credit a block reward, three quarters of it vesting over 180 days; only the reward actor calls it."""

    reward: TokenAmount
    """Block reward and tips, attoFIL; arrives as the message's value."""
    penalty: TokenAmount
    """attoFIL for bad messages in the block, already tripled; becomes fee debt, paid from the miner's
    balance."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetOwnerReturn:
    """The owner and a proposed owner, both f0."""

    owner: Address
    """In force until the proposed one confirms."""
    proposed: Address | None
    """Null without a proposal."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class IsControllingAddressParams:
    """Query whether an address may send the miner's messages."""

    address: Address
    """Any form; one that does not resolve to an actor is not controlling."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class IsControllingAddressReturn:
    """Whether the address is the owner, the worker or a control address."""

    is_controlling: bool
    """False also for an address without an actor."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetSectorSizeReturn:
    """Size of the miner's sectors."""

    size: Uint64
    """Bytes; follows from the miner's WindowPoSt proof type."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class AmountReturn:
    """One amount: available balance, total initial pledge or highest termination fee, by method."""

    amount: TokenAmount
    """attoFIL; an available balance is negative while the miner owes more than it has free."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class VestingFund:
    """Part of the locked rewards that vests at one time."""

    epoch: Int64
    """Vests in the first epoch after it."""
    amount: TokenAmount
    """attoFIL."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetVestingFundsReturn:
    """The whole vesting table."""

    vesting_funds: tuple[VestingFund, ...]
    """By epoch, earliest first; may hold vested parts that no message has unlocked yet."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetPeerIDReturn:
    """The libp2p peer id."""

    peer_id: Annotated[bytes, JsonName("PeerId")]
    """Empty for none."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetMultiaddrsReturn:
    """The libp2p multiaddresses."""

    multi_addrs: tuple[bytes, ...]
    """Binary form."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MaxTerminationFeeParams:
    """Query the highest termination fee of a sector of this power and pledge (FIP-0098)."""

    power: TokenAmount
    """Quality-adjusted bytes."""
    initial_pledge: TokenAmount
    """attoFIL."""
