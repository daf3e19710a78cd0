"""Calls of the miner actor about who controls it and who is paid.

Source: go-state-types builtin/v18/miner/miner_types.go; FIP-0029 (beneficiary).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.codec import (
    ADDRESS,
    AMOUNT,
    BOOL,
    BYTES,
    INT64,
    UINT64,
    Field,
    Struct,
    list_of,
    nullable,
)

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Make a miner (only the power actor)."""

    owner_addr: Address
    """The owner."""
    worker_addr: Address
    """The worker."""
    control_addrs: tuple[Address, ...]
    """Further addresses that may act for the worker."""
    window_post_proof_type: int
    """RegisteredPoStProof of its WindowPoSt."""
    peer_id: bytes
    """libp2p peer id."""
    multi_addrs: tuple[bytes, ...]
    """Network addresses, binary."""


CONSTRUCTOR_PARAMS: Final = Struct(
    ConstructorParams,
    Field("owner_addr", "OwnerAddr", ADDRESS),
    Field("worker_addr", "WorkerAddr", ADDRESS),
    Field("control_addrs", "ControlAddrs", list_of(ADDRESS)),
    Field("window_post_proof_type", "WindowPoStProofType", INT64),
    Field("peer_id", "PeerId", BYTES),
    Field("multi_addrs", "MultiAddrs", list_of(BYTES)),
)


@dataclass(frozen=True, slots=True)
class ControlAddressesReturn:
    """Who controls the miner."""

    owner: Address
    """The owner, who controls everything."""
    worker: Address
    """The worker, who signs blocks and proofs; a BLS key."""
    control_addrs: tuple[Address, ...]
    """Further addresses that may act for the worker."""


CONTROL_ADDRESSES_RETURN: Final = Struct(
    ControlAddressesReturn,
    Field("owner", "Owner", ADDRESS),
    Field("worker", "Worker", ADDRESS),
    Field("control_addrs", "ControlAddrs", list_of(ADDRESS)),
)


@dataclass(frozen=True, slots=True)
class ChangeWorkerAddressParams:
    """Change worker and control addresses."""

    new_worker: Address
    """The worker from the effective epoch on."""
    new_control_addrs: tuple[Address, ...]
    """Control addresses, valid at once."""


CHANGE_WORKER_ADDRESS_PARAMS: Final = Struct(
    ChangeWorkerAddressParams,
    Field("new_worker", "NewWorker", ADDRESS),
    Field("new_control_addrs", "NewControlAddrs", list_of(ADDRESS)),
)


@dataclass(frozen=True, slots=True)
class ChangePeerIDParams:
    """Change the libp2p peer."""

    new_id: bytes
    """libp2p peer id."""


CHANGE_PEER_ID_PARAMS: Final = Struct(
    ChangePeerIDParams,
    Field("new_id", "NewID", BYTES),
)


@dataclass(frozen=True, slots=True)
class ChangeMultiaddrsParams:
    """Change the network addresses."""

    new_multiaddrs: tuple[bytes, ...]
    """Network addresses, binary."""


CHANGE_MULTIADDRS_PARAMS: Final = Struct(
    ChangeMultiaddrsParams,
    Field("new_multiaddrs", "NewMultiaddrs", list_of(BYTES)),
)


@dataclass(frozen=True, slots=True)
class ChangeOwnerAddressParams:
    """Propose or accept an owner (an f0 address)."""

    new_address: Address
    """Address."""


CHANGE_OWNER_ADDRESS_PARAMS: Final = Struct(
    ChangeOwnerAddressParams,
    Field("new_address", "NewAddress", ADDRESS),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class WithdrawBalanceParams:
    """Pay out to the beneficiary."""

    amount_requested: int
    """Most that is to be paid out."""


WITHDRAW_BALANCE_PARAMS: Final = Struct(
    WithdrawBalanceParams,
    Field("amount_requested", "AmountRequested", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class WithdrawBalanceReturn:
    """What was paid out."""

    amount: int
    """attoFIL, or units of the token."""


WITHDRAW_BALANCE_RETURN: Final = Struct(
    WithdrawBalanceReturn,
    Field("amount", "Amount", AMOUNT),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class ApplyRewardsParams:
    """A block's reward arrives."""

    reward: int
    """attoFIL."""
    penalty: int
    """attoFIL."""


APPLY_REWARDS_PARAMS: Final = Struct(
    ApplyRewardsParams,
    Field("reward", "Reward", AMOUNT),
    Field("penalty", "Penalty", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class ChangeBeneficiaryParams:
    """Propose or accept who is paid."""

    new_beneficiary: Address
    """Who is to be paid."""
    new_quota: int
    """Most that it may be paid, attoFIL."""
    new_expiration: int
    """Epoch of the new end."""


CHANGE_BENEFICIARY_PARAMS: Final = Struct(
    ChangeBeneficiaryParams,
    Field("new_beneficiary", "NewBeneficiary", ADDRESS),
    Field("new_quota", "NewQuota", AMOUNT),
    Field("new_expiration", "NewExpiration", INT64),
)


@dataclass(frozen=True, slots=True)
class BeneficiaryTerm:
    """How much and how long a beneficiary is paid."""

    quota: int
    """Most that may be paid, attoFIL."""
    used_quota: int
    """Already paid, attoFIL."""
    expiration: int
    """Epoch at which the sector ends."""


BENEFICIARY_TERM: Final = Struct(
    BeneficiaryTerm,
    Field("quota", "Quota", AMOUNT),
    Field("used_quota", "UsedQuota", AMOUNT),
    Field("expiration", "Expiration", INT64),
)


@dataclass(frozen=True, slots=True)
class ActiveBeneficiary:
    """Who is paid."""

    beneficiary: Address
    """Who is paid."""
    term: BeneficiaryTerm
    """Its terms."""


ACTIVE_BENEFICIARY: Final = Struct(
    ActiveBeneficiary,
    Field("beneficiary", "Beneficiary", ADDRESS),
    Field("term", "Term", BENEFICIARY_TERM.kind()),
)


@dataclass(frozen=True, slots=True)
class PendingBeneficiaryChange:
    """Who shall be paid."""

    new_beneficiary: Address
    """Who is to be paid."""
    new_quota: int
    """Most that it may be paid, attoFIL."""
    new_expiration: int
    """Epoch of the new end."""
    approved_by_beneficiary: bool
    """The current beneficiary agreed."""
    approved_by_nominee: bool
    """The new beneficiary agreed."""


PENDING_BENEFICIARY_CHANGE: Final = Struct(
    PendingBeneficiaryChange,
    Field("new_beneficiary", "NewBeneficiary", ADDRESS),
    Field("new_quota", "NewQuota", AMOUNT),
    Field("new_expiration", "NewExpiration", INT64),
    Field("approved_by_beneficiary", "ApprovedByBeneficiary", BOOL),
    Field("approved_by_nominee", "ApprovedByNominee", BOOL),
)


@dataclass(frozen=True, slots=True)
class GetBeneficiaryReturn:
    """Who is paid and who shall be."""

    active: ActiveBeneficiary
    """The terms in force."""
    proposed: PendingBeneficiaryChange | None
    """The terms proposed; null for none."""


GET_BENEFICIARY_RETURN: Final = Struct(
    GetBeneficiaryReturn,
    Field("active", "Active", ACTIVE_BENEFICIARY.kind()),
    Field("proposed", "Proposed", nullable(PENDING_BENEFICIARY_CHANGE.kind())),
)


@dataclass(frozen=True, slots=True)
class GetOwnerReturn:
    """The owner and a proposed one."""

    owner: Address
    """The owner, who controls everything."""
    proposed: Address | None
    """The terms proposed; null for none."""


GET_OWNER_RETURN: Final = Struct(
    GetOwnerReturn,
    Field("owner", "Owner", ADDRESS),
    Field("proposed", "Proposed", nullable(ADDRESS)),
)


@dataclass(frozen=True, slots=True)
class IsControllingAddressParams:
    """Ask whether an address may act for the miner."""

    address: Address
    """Who is notified."""


IS_CONTROLLING_ADDRESS_PARAMS: Final = Struct(
    IsControllingAddressParams,
    Field("address", "Address", ADDRESS),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class IsControllingAddressReturn:
    """Whether it may."""

    is_controlling: bool
    """Whether it may."""


IS_CONTROLLING_ADDRESS_RETURN: Final = Struct(
    IsControllingAddressReturn,
    Field("is_controlling", "IsControlling", BOOL),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class GetSectorSizeReturn:
    """Bytes of the miner's sectors."""

    size: int
    """Padded size in bytes."""


GET_SECTOR_SIZE_RETURN: Final = Struct(
    GetSectorSizeReturn,
    Field("size", "Size", UINT64),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class AmountReturn:
    """An amount."""

    amount: int
    """attoFIL, or units of the token."""


AMOUNT_RETURN: Final = Struct(
    AmountReturn,
    Field("amount", "Amount", AMOUNT),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class VestingFund:
    """Funds that become free."""

    epoch: int
    """The epoch."""
    amount: int
    """attoFIL, or units of the token."""


VESTING_FUND: Final = Struct(
    VestingFund,
    Field("epoch", "Epoch", INT64),
    Field("amount", "Amount", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class GetVestingFundsReturn:
    """All that is locked by time."""

    vesting_funds: tuple[VestingFund, ...]
    """What becomes free when."""


GET_VESTING_FUNDS_RETURN: Final = Struct(
    GetVestingFundsReturn,
    Field("vesting_funds", "VestingFunds", list_of(VESTING_FUND.kind())),
)


@dataclass(frozen=True, slots=True)
class GetPeerIDReturn:
    """The libp2p peer."""

    peer_id: bytes
    """libp2p peer id."""


GET_PEER_ID_RETURN: Final = Struct(
    GetPeerIDReturn,
    Field("peer_id", "PeerId", BYTES),
)


@dataclass(frozen=True, slots=True)
class GetMultiaddrsReturn:
    """The network addresses."""

    multi_addrs: tuple[bytes, ...]
    """Network addresses, binary."""


GET_MULTIADDRS_RETURN: Final = Struct(
    GetMultiaddrsReturn,
    Field("multi_addrs", "MultiAddrs", list_of(BYTES)),
)


@dataclass(frozen=True, slots=True)
class MaxTerminationFeeParams:
    """Ask for the most that termination can cost."""

    power: int
    """Quality-adjusted bytes."""
    initial_pledge: int
    """Pledge, attoFIL."""


MAX_TERMINATION_FEE_PARAMS: Final = Struct(
    MaxTerminationFeeParams,
    Field("power", "Power", AMOUNT),
    Field("initial_pledge", "InitialPledge", AMOUNT),
)
