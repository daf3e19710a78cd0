"""Calls of the miner actor about who controls it and who is paid.

Source: go-state-types builtin/v18/miner/miner_types.go; FIP-0029 (beneficiary).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import (
    Int64,
    JsonName,
    TokenAmount,
    Uint64,
    cbor_transparent,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Make a miner (only the power actor)."""

    owner_addr: Address
    """The owner."""
    worker_addr: Address
    """The worker."""
    control_addrs: tuple[Address, ...]
    """Further addresses that may act for the worker."""
    window_post_proof_type: Int64
    """RegisteredPoStProof of its WindowPoSt."""
    peer_id: Annotated[bytes, JsonName("PeerId")]
    """libp2p peer id."""
    multi_addrs: tuple[bytes, ...]
    """Network addresses, binary."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ControlAddressesReturn:
    """Who controls the miner."""

    owner: Address
    """The owner, who controls everything."""
    worker: Address
    """The worker, who signs blocks and proofs; a BLS key."""
    control_addrs: tuple[Address, ...]
    """Further addresses that may act for the worker."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ChangeWorkerAddressParams:
    """Change worker and control addresses."""

    new_worker: Address
    """The worker from the effective epoch on."""
    new_control_addrs: tuple[Address, ...]
    """Control addresses, valid at once."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ChangePeerIDParams:
    """Change the libp2p peer."""

    new_id: bytes
    """libp2p peer id."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ChangeMultiaddrsParams:
    """Change the network addresses."""

    new_multiaddrs: tuple[bytes, ...]
    """Network addresses, binary."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class ChangeOwnerAddressParams:
    """Propose or accept an owner (an f0 address)."""

    new_address: Address
    """Address."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class WithdrawBalanceParams:
    """Pay out to the beneficiary."""

    amount_requested: TokenAmount
    """Most that is to be paid out."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class WithdrawBalanceReturn:
    """What was paid out."""

    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ApplyRewardsParams:
    """A block's reward arrives."""

    reward: TokenAmount
    """attoFIL."""
    penalty: TokenAmount
    """attoFIL."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ChangeBeneficiaryParams:
    """Propose or accept who is paid."""

    new_beneficiary: Address
    """Who is to be paid."""
    new_quota: TokenAmount
    """Most that it may be paid, attoFIL."""
    new_expiration: Int64
    """Epoch of the new end."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BeneficiaryTerm:
    """How much and how long a beneficiary is paid."""

    quota: TokenAmount
    """Most that may be paid, attoFIL."""
    used_quota: TokenAmount
    """Already paid, attoFIL."""
    expiration: Int64
    """Epoch at which the sector ends."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ActiveBeneficiary:
    """Who is paid."""

    beneficiary: Address
    """Who is paid."""
    term: BeneficiaryTerm
    """Its terms."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PendingBeneficiaryChange:
    """Who shall be paid."""

    new_beneficiary: Address
    """Who is to be paid."""
    new_quota: TokenAmount
    """Most that it may be paid, attoFIL."""
    new_expiration: Int64
    """Epoch of the new end."""
    approved_by_beneficiary: bool
    """The current beneficiary agreed."""
    approved_by_nominee: bool
    """The new beneficiary agreed."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetBeneficiaryReturn:
    """Who is paid and who shall be."""

    active: ActiveBeneficiary
    """The terms in force."""
    proposed: PendingBeneficiaryChange | None
    """The terms proposed; null for none."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetOwnerReturn:
    """The owner and a proposed one."""

    owner: Address
    """The owner, who controls everything."""
    proposed: Address | None
    """The terms proposed; null for none."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class IsControllingAddressParams:
    """Ask whether an address may act for the miner."""

    address: Address
    """Who is notified."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class IsControllingAddressReturn:
    """Whether it may."""

    is_controlling: bool
    """Whether it may."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetSectorSizeReturn:
    """Bytes of the miner's sectors."""

    size: Uint64
    """Padded size in bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class AmountReturn:
    """An amount."""

    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class VestingFund:
    """Funds that become free."""

    epoch: Int64
    """The epoch."""
    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetVestingFundsReturn:
    """All that is locked by time."""

    vesting_funds: tuple[VestingFund, ...]
    """What becomes free when."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetPeerIDReturn:
    """The libp2p peer."""

    peer_id: Annotated[bytes, JsonName("PeerId")]
    """libp2p peer id."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetMultiaddrsReturn:
    """The network addresses."""

    multi_addrs: tuple[bytes, ...]
    """Network addresses, binary."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MaxTerminationFeeParams:
    """Ask for the most that termination can cost."""

    power: TokenAmount
    """Quality-adjusted bytes."""
    initial_pledge: TokenAmount
    """Pledge, attoFIL."""
