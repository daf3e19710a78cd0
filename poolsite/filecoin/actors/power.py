"""The storage power actor f04: creates miners, counts power.

Source: go-state-types builtin/v18/power/power_types.go, builtin/methods.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.actors.smoothing import FilterEstimate
from poolsite.filecoin.address import Address
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import (
    Int64,
    TokenAmount,
    Uint64,
    cbor_transparent,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CreateMinerParams:
    """Create a miner; the value must cover the creation deposit."""

    owner: Address
    """The owner, who controls everything."""
    worker: Address
    """The worker, who signs blocks and proofs; a BLS key."""
    window_post_proof_type: Int64
    """RegisteredPoStProof of its WindowPoSt."""
    peer: bytes
    """libp2p peer id."""
    multiaddrs: tuple[bytes, ...]
    """Network addresses, binary."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CreateMinerReturn:
    """The addresses of the created miner."""

    id_address: Address
    """The new actor's f0 address."""
    robust_address: Address
    """The new actor's f2 address."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class UpdateClaimedPowerParams:
    """A miner's power changed."""

    raw_byte_delta: TokenAmount
    """Change in bytes."""
    quality_adjusted_delta: TokenAmount
    """Change in quality-adjusted bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class EnrollCronEventParams:
    """A miner wants to be called back."""

    event_epoch: Int64
    """When to call back."""
    payload: bytes
    """Opaque bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class UpdatePledgeTotalParams:
    """A miner's pledge changed."""

    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CurrentTotalPowerReturn:
    """The network's power and pledge."""

    raw_byte_power: TokenAmount
    """Bytes."""
    quality_adj_power: TokenAmount
    """Quality-adjusted bytes."""
    pledge_collateral: TokenAmount
    """attoFIL."""
    quality_adj_power_smoothed: FilterEstimate
    """Smoothed network power."""
    ramp_start_epoch: Int64
    """First epoch of the pledge ramp."""
    ramp_duration_epochs: Uint64
    """Length of the pledge ramp."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class NetworkRawPowerReturn:
    """The network's raw power."""

    raw_byte_power: TokenAmount
    """Bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class MinerPowerParams:
    """Ask for one miner's power."""

    actor_id: Uint64
    """Number of the actor."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MinerRawPowerReturn:
    """One miner's raw power."""

    raw_byte_power: TokenAmount
    """Bytes."""
    meets_consensus_minimum: bool
    """Whether it may mine."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class MinerCountReturn:
    """A number of miners."""

    miner_count: Int64
    """Number of miners."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MinerPowerReturn:
    """One miner's power."""

    raw_byte_power: TokenAmount
    """Bytes."""
    quality_adj_power: TokenAmount
    """Quality-adjusted bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SealedSectorId:
    """A sector of the whole network."""

    miner: Uint64
    """Actor number of the miner."""
    number: Uint64
    """Number of the sector."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SealVerifyInfo:
    """A seal for the power actor to verify at the end of the epoch (only miners, before actors v14)."""

    seal_proof: Int64
    """RegisteredSealProof."""
    sector_id: SealedSectorId
    """Which sector."""
    deal_ids: tuple[Uint64, ...]
    """Deals inside."""
    randomness: bytes
    """The ticket."""
    interactive_randomness: bytes
    """The seed."""
    proof: bytes
    """The seal proof."""
    sealed_cid: Cid
    """CommR."""
    unsealed_cid: Cid
    """CommD."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    CREATE_MINER = 2
    UPDATE_CLAIMED_POWER = 3
    ENROLL_CRON_EVENT = 4
    CRON_TICK = 5
    UPDATE_PLEDGE_TOTAL = 6
    DEPRECATED1 = 7
    SUBMIT_PO_REP_FOR_BULK_VERIFY = 8
    CURRENT_TOTAL_POWER = 9
    MINER_POWER_EXPORTED = 36_284_446
    CURRENT_TOTAL_POWER_MINER_CONSENSUS_COUNT_EXPORTED = 196_739_875
    CURRENT_TOTAL_POWER_NETWORK_RAW_POWER_EXPORTED = 931_722_534
    CREATE_MINER_EXPORTED = 1_173_380_165
    CURRENT_TOTAL_POWER_MINER_COUNT_EXPORTED = 1_987_646_258
    CURRENT_TOTAL_POWER_MINER_RAW_POWER_EXPORTED = 3_753_401_894


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor"),
    MethodSpec(Method.CREATE_MINER, "CreateMiner", CreateMinerParams, CreateMinerReturn),
    MethodSpec(Method.UPDATE_CLAIMED_POWER, "UpdateClaimedPower", UpdateClaimedPowerParams),
    MethodSpec(Method.ENROLL_CRON_EVENT, "EnrollCronEvent", EnrollCronEventParams),
    MethodSpec(Method.CRON_TICK, "CronTick"),
    MethodSpec(Method.UPDATE_PLEDGE_TOTAL, "UpdatePledgeTotal", UpdatePledgeTotalParams),
    MethodSpec(Method.DEPRECATED1, "Deprecated1"),
    MethodSpec(Method.SUBMIT_PO_REP_FOR_BULK_VERIFY, "SubmitPoRepForBulkVerify", SealVerifyInfo),
    MethodSpec(Method.CURRENT_TOTAL_POWER, "CurrentTotalPower", None, CurrentTotalPowerReturn),
    MethodSpec(Method.MINER_POWER_EXPORTED, "MinerPowerExported", MinerPowerParams, MinerPowerReturn),
    MethodSpec(
        Method.CURRENT_TOTAL_POWER_MINER_CONSENSUS_COUNT_EXPORTED,
        "CurrentTotalPowerMinerConsensusCountExported",
        None,
        MinerCountReturn,
    ),
    MethodSpec(
        Method.CURRENT_TOTAL_POWER_NETWORK_RAW_POWER_EXPORTED,
        "CurrentTotalPowerNetworkRawPowerExported",
        None,
        NetworkRawPowerReturn,
    ),
    MethodSpec(Method.CREATE_MINER_EXPORTED, "CreateMinerExported", CreateMinerParams, CreateMinerReturn),
    MethodSpec(
        Method.CURRENT_TOTAL_POWER_MINER_COUNT_EXPORTED,
        "CurrentTotalPowerMinerCountExported",
        None,
        MinerCountReturn,
    ),
    MethodSpec(
        Method.CURRENT_TOTAL_POWER_MINER_RAW_POWER_EXPORTED,
        "CurrentTotalPowerMinerRawPowerExported",
        MinerPowerParams,
        MinerRawPowerReturn,
    ),
)
"""What each method takes and returns."""
