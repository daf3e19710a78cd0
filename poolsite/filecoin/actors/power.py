"""The storage power actor f04: creates miners, counts power.

Source: go-state-types builtin/v18/power/power_types.go, builtin/methods.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.actors.smoothing import FILTER_ESTIMATE, FilterEstimate
from poolsite.filecoin.codec import ADDRESS, AMOUNT, BOOL, BYTES, CID, INT64, UINT64, Field, Struct, list_of

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid


@dataclass(frozen=True, slots=True)
class CreateMinerParams:
    """Create a miner; the value must cover the creation deposit."""

    owner: Address
    """The owner, who controls everything."""
    worker: Address
    """The worker, who signs blocks and proofs; a BLS key."""
    window_post_proof_type: int
    """RegisteredPoStProof of its WindowPoSt."""
    peer: bytes
    """libp2p peer id."""
    multiaddrs: tuple[bytes, ...]
    """Network addresses, binary."""


CREATE_MINER_PARAMS: Final = Struct(
    CreateMinerParams,
    Field("owner", "Owner", ADDRESS),
    Field("worker", "Worker", ADDRESS),
    Field("window_post_proof_type", "WindowPoStProofType", INT64),
    Field("peer", "Peer", BYTES),
    Field("multiaddrs", "Multiaddrs", list_of(BYTES)),
)


@dataclass(frozen=True, slots=True)
class CreateMinerReturn:
    """The addresses of the created miner."""

    id_address: Address
    """The new actor's f0 address."""
    robust_address: Address
    """The new actor's f2 address."""


CREATE_MINER_RETURN: Final = Struct(
    CreateMinerReturn,
    Field("id_address", "IDAddress", ADDRESS),
    Field("robust_address", "RobustAddress", ADDRESS),
)


@dataclass(frozen=True, slots=True)
class UpdateClaimedPowerParams:
    """A miner's power changed."""

    raw_byte_delta: int
    """Change in bytes."""
    quality_adjusted_delta: int
    """Change in quality-adjusted bytes."""


UPDATE_CLAIMED_POWER_PARAMS: Final = Struct(
    UpdateClaimedPowerParams,
    Field("raw_byte_delta", "RawByteDelta", AMOUNT),
    Field("quality_adjusted_delta", "QualityAdjustedDelta", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class EnrollCronEventParams:
    """A miner wants to be called back."""

    event_epoch: int
    """When to call back."""
    payload: bytes
    """Opaque bytes."""


ENROLL_CRON_EVENT_PARAMS: Final = Struct(
    EnrollCronEventParams,
    Field("event_epoch", "EventEpoch", INT64),
    Field("payload", "Payload", BYTES),
)


@dataclass(frozen=True, slots=True)
class UpdatePledgeTotalParams:
    """A miner's pledge changed."""

    amount: int
    """attoFIL, or units of the token."""


UPDATE_PLEDGE_TOTAL_PARAMS: Final = Struct(
    UpdatePledgeTotalParams,
    Field("amount", "Amount", AMOUNT),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class CurrentTotalPowerReturn:
    """The network's power and pledge."""

    raw_byte_power: int
    """Bytes."""
    quality_adj_power: int
    """Quality-adjusted bytes."""
    pledge_collateral: int
    """attoFIL."""
    quality_adj_power_smoothed: FilterEstimate
    """Smoothed network power."""
    ramp_start_epoch: int
    """First epoch of the pledge ramp."""
    ramp_duration_epochs: int
    """Length of the pledge ramp."""


CURRENT_TOTAL_POWER_RETURN: Final = Struct(
    CurrentTotalPowerReturn,
    Field("raw_byte_power", "RawBytePower", AMOUNT),
    Field("quality_adj_power", "QualityAdjPower", AMOUNT),
    Field("pledge_collateral", "PledgeCollateral", AMOUNT),
    Field("quality_adj_power_smoothed", "QualityAdjPowerSmoothed", FILTER_ESTIMATE.kind()),
    Field("ramp_start_epoch", "RampStartEpoch", INT64),
    Field("ramp_duration_epochs", "RampDurationEpochs", UINT64),
)


@dataclass(frozen=True, slots=True)
class NetworkRawPowerReturn:
    """The network's raw power."""

    raw_byte_power: int
    """Bytes."""


NETWORK_RAW_POWER_RETURN: Final = Struct(
    NetworkRawPowerReturn,
    Field("raw_byte_power", "RawBytePower", AMOUNT),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class MinerPowerParams:
    """Ask for one miner's power."""

    actor_id: int
    """Number of the actor."""


MINER_POWER_PARAMS: Final = Struct(
    MinerPowerParams,
    Field("actor_id", "ActorID", UINT64),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class MinerRawPowerReturn:
    """One miner's raw power."""

    raw_byte_power: int
    """Bytes."""
    meets_consensus_minimum: bool
    """Whether it may mine."""


MINER_RAW_POWER_RETURN: Final = Struct(
    MinerRawPowerReturn,
    Field("raw_byte_power", "RawBytePower", AMOUNT),
    Field("meets_consensus_minimum", "MeetsConsensusMinimum", BOOL),
)


@dataclass(frozen=True, slots=True)
class MinerCountReturn:
    """A number of miners."""

    miner_count: int
    """Number of miners."""


MINER_COUNT_RETURN: Final = Struct(
    MinerCountReturn,
    Field("miner_count", "MinerCount", INT64),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class MinerPowerReturn:
    """One miner's power."""

    raw_byte_power: int
    """Bytes."""
    quality_adj_power: int
    """Quality-adjusted bytes."""


MINER_POWER_RETURN: Final = Struct(
    MinerPowerReturn,
    Field("raw_byte_power", "RawBytePower", AMOUNT),
    Field("quality_adj_power", "QualityAdjPower", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class SealedSectorId:
    """A sector of the whole network."""

    miner: int
    """Actor number of the miner."""
    number: int
    """Number of the sector."""


SEALED_SECTOR_ID: Final = Struct(
    SealedSectorId, Field("miner", "Miner", UINT64), Field("number", "Number", UINT64)
)


@dataclass(frozen=True, slots=True)
class SealVerifyInfo:
    """A seal for the power actor to verify at the end of the epoch (only miners, before actors v14)."""

    seal_proof: int
    """RegisteredSealProof."""
    sector_id: SealedSectorId
    """Which sector."""
    deal_ids: tuple[int, ...]
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


SEAL_VERIFY_INFO: Final = Struct(
    SealVerifyInfo,
    Field("seal_proof", "SealProof", INT64),
    Field("sector_id", "SectorID", SEALED_SECTOR_ID.kind()),
    Field("deal_ids", "DealIDs", list_of(UINT64)),
    Field("randomness", "Randomness", BYTES),
    Field("interactive_randomness", "InteractiveRandomness", BYTES),
    Field("proof", "Proof", BYTES),
    Field("sealed_cid", "SealedCID", CID),
    Field("unsealed_cid", "UnsealedCID", CID),
)


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
    MethodSpec(Method.CREATE_MINER, "CreateMiner", CREATE_MINER_PARAMS, CREATE_MINER_RETURN),
    MethodSpec(Method.UPDATE_CLAIMED_POWER, "UpdateClaimedPower", UPDATE_CLAIMED_POWER_PARAMS),
    MethodSpec(Method.ENROLL_CRON_EVENT, "EnrollCronEvent", ENROLL_CRON_EVENT_PARAMS),
    MethodSpec(Method.CRON_TICK, "CronTick"),
    MethodSpec(Method.UPDATE_PLEDGE_TOTAL, "UpdatePledgeTotal", UPDATE_PLEDGE_TOTAL_PARAMS),
    MethodSpec(Method.DEPRECATED1, "Deprecated1"),
    MethodSpec(Method.SUBMIT_PO_REP_FOR_BULK_VERIFY, "SubmitPoRepForBulkVerify", SEAL_VERIFY_INFO),
    MethodSpec(Method.CURRENT_TOTAL_POWER, "CurrentTotalPower", None, CURRENT_TOTAL_POWER_RETURN),
    MethodSpec(Method.MINER_POWER_EXPORTED, "MinerPowerExported", MINER_POWER_PARAMS, MINER_POWER_RETURN),
    MethodSpec(
        Method.CURRENT_TOTAL_POWER_MINER_CONSENSUS_COUNT_EXPORTED,
        "CurrentTotalPowerMinerConsensusCountExported",
        None,
        MINER_COUNT_RETURN,
    ),
    MethodSpec(
        Method.CURRENT_TOTAL_POWER_NETWORK_RAW_POWER_EXPORTED,
        "CurrentTotalPowerNetworkRawPowerExported",
        None,
        NETWORK_RAW_POWER_RETURN,
    ),
    MethodSpec(Method.CREATE_MINER_EXPORTED, "CreateMinerExported", CREATE_MINER_PARAMS, CREATE_MINER_RETURN),
    MethodSpec(
        Method.CURRENT_TOTAL_POWER_MINER_COUNT_EXPORTED,
        "CurrentTotalPowerMinerCountExported",
        None,
        MINER_COUNT_RETURN,
    ),
    MethodSpec(
        Method.CURRENT_TOTAL_POWER_MINER_RAW_POWER_EXPORTED,
        "CurrentTotalPowerMinerRawPowerExported",
        MINER_POWER_PARAMS,
        MINER_RAW_POWER_RETURN,
    ),
)
"""What each method takes and returns."""
