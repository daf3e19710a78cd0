"""The storage power actor f04: creates miners, keeps their power and calls them back at chosen epochs.

Source: go-state-types builtin/v18/power/{power_types,methods}.go, proof/proof_types.go; builtin-actors
actors/power/src/lib.rs.
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
    """Create a miner; anyone may send it.

    The value must cover the creation deposit (a tenth of the pledge for 10 TiB), which vests over 180 days
    (FIP-0077).
    """

    owner: Address
    """May change the worker, propose an owner or beneficiary, and withdraw; need not be the sender."""
    worker: Address
    """An account with a BLS key, which signs blocks."""
    window_post_proof_type: Int64
    """RegisteredPoStProof code of its WindowPoSt, 10 to 14; sets the sector size for good."""
    peer: bytes
    """libp2p peer id, at most 128 bytes; empty for none."""
    multiaddrs: tuple[bytes, ...]
    """libp2p multiaddresses in binary form, none empty, at most 1024 bytes together."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CreateMinerReturn:
    """The addresses of the new miner."""

    id_address: Address
    """f0; a reorganisation of the chain may give the miner another."""
    robust_address: Address
    """f2; survives reorganisations."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class UpdateClaimedPowerParams:
    """Change the calling miner's power."""

    raw_byte_delta: TokenAmount
    """Bytes, negative for a loss."""
    quality_adjusted_delta: TokenAmount
    """Quality-adjusted bytes, negative for a loss."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class EnrollCronEventParams:
    """Enrol for a call of OnDeferredCronEvent; only miner actors may."""

    event_epoch: Int64
    """Epoch at whose end the call comes, not negative; the next one if it has passed."""
    payload: bytes
    """Handed back with the call."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class UpdatePledgeTotalParams:
    """Change the network's total pledge by the calling miner's."""

    amount: TokenAmount
    """attoFIL, negative for a release."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CurrentTotalPowerReturn:
    """The network's power and pledge, fixed at the end of the epoch before."""

    raw_byte_power: TokenAmount
    """Bytes of the miners above the consensus minimum; of all while too few reach it."""
    quality_adj_power: TokenAmount
    """Quality-adjusted bytes of the same miners."""
    pledge_collateral: TokenAmount
    """Total pledge and vesting funds, attoFIL."""
    quality_adj_power_smoothed: FilterEstimate
    """Quality-adjusted power, smoothed, bytes."""
    ramp_start_epoch: Int64
    """Epoch from which the pledge formula of FIP-0081 is phased in."""
    ramp_duration_epochs: Uint64
    """Epochs until it counts in full, 30 % of the consensus pledge."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class NetworkRawPowerReturn:
    """The network's raw power, fixed at the end of the epoch before."""

    raw_byte_power: TokenAmount
    """Bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class MinerPowerParams:
    """Query one miner's power."""

    actor_id: Uint64
    """Of the miner."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MinerRawPowerReturn:
    """One miner's raw power without faulty sectors."""

    raw_byte_power: TokenAmount
    """Bytes."""
    meets_consensus_minimum: bool
    """Whether it is enough to win blocks."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class MinerCountReturn:
    """Miners that exist, or that reach the consensus minimum, by method."""

    miner_count: Int64
    """Number of miner actors."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MinerPowerReturn:
    """One miner's power without faulty sectors."""

    raw_byte_power: TokenAmount
    """Bytes."""
    quality_adj_power: TokenAmount
    """Quality-adjusted bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SealedSectorId:
    """A sector among those of all miners."""

    miner: Uint64
    """Actor ID of the miner."""
    number: Uint64
    """Sector number."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SealVerifyInfo:
    """A seal proof that cron was to verify in bulk at the end of the epoch.

    Method 8 is gone from the actor; miners sent it for ProveCommitSector, which FIP-0084 dropped.
    """

    seal_proof: Int64
    """RegisteredSealProof code."""
    sector_id: SealedSectorId
    """The sector that was proven."""
    deal_ids: tuple[Uint64, ...]
    """Deals of the market actor in the sector."""
    randomness: bytes
    """Ticket of 32 bytes, drawn at the pre-commit's seal_rand_epoch."""
    interactive_randomness: bytes
    """Seed of 32 bytes, drawn 150 epochs after the pre-commit."""
    proof: bytes
    """Seal proof."""
    sealed_cid: Cid
    """CommR."""
    unsealed_cid: Cid
    """CommD."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes.

    `..._EXPORTED` of a name that is listed without is the same method, which contracts call.
    """

    SEND = 0
    """A plain transfer."""
    CONSTRUCTOR = 1
    """By the system actor, at genesis."""
    CREATE_MINER = 2
    """By anyone, whose value pays the deposit."""
    UPDATE_CLAIMED_POWER = 3
    """By miner actors: power gained or lost."""
    ENROLL_CRON_EVENT = 4
    """By miner actors: an epoch at which they want to be called."""
    CRON_TICK = 5
    """By the cron actor, each epoch: calls the miners that enrolled for it."""
    UPDATE_PLEDGE_TOTAL = 6
    """By miner actors: pledge locked or freed."""
    DEPRECATED1 = 7
    """Dropped; once OnConsensusFault."""
    SUBMIT_PO_REP_FOR_BULK_VERIFY = 8
    """Gone with ProveCommitSector, for which miners sent it (FIP-0084)."""
    CURRENT_TOTAL_POWER = 9
    """By anyone: power and pledge of the network, and their smoothed estimate."""
    MINER_POWER_EXPORTED = 36_284_446
    """By anyone: raw and quality-adjusted power of a miner, bytes."""
    CURRENT_TOTAL_POWER_MINER_CONSENSUS_COUNT_EXPORTED = 196_739_875
    """By anyone: miners above the least power that wins blocks."""
    CURRENT_TOTAL_POWER_NETWORK_RAW_POWER_EXPORTED = 931_722_534
    """By anyone, bytes."""
    CREATE_MINER_EXPORTED = 1_173_380_165
    CURRENT_TOTAL_POWER_MINER_COUNT_EXPORTED = 1_987_646_258
    """By anyone: miners that were created."""
    CURRENT_TOTAL_POWER_MINER_RAW_POWER_EXPORTED = 3_753_401_894
    """By anyone: raw power of a miner, and whether it can win blocks."""


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
