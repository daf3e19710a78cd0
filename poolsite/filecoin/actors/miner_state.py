"""Parts of the miner actor's state that its callers see.

Source: go-state-types builtin/v18/miner/miner_state.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.miner_sectors import SECTOR_PRE_COMMIT_INFO, SectorPreCommitInfo
from poolsite.filecoin.codec import AMOUNT, CID, INT64, UINT64, Field, Struct, list_of, nullable

if TYPE_CHECKING:
    from poolsite.filecoin.cids import Cid


@dataclass(frozen=True, slots=True)
class SectorOnChainInfo:
    """A proven sector."""

    sector_number: int
    """Number of the sector."""
    seal_proof: int
    """RegisteredSealProof."""
    sealed_cid: Cid
    """Commitment to the sealed sector (CommR)."""
    deprecated_deal_ids: tuple[int, ...]
    """Empty."""
    activation: int
    """Epoch of the proof of its commitment."""
    expiration: int
    """Epoch at which the sector ends."""
    deal_weight: int
    """Deal space-time, bytes x epochs."""
    verified_deal_weight: int
    """Verified deal space-time, bytes x epochs."""
    initial_pledge: int
    """Pledge, attoFIL."""
    expected_day_reward: int | None
    """Reward expected at activation; null since FIP-0098."""
    expected_storage_pledge: int | None
    """Unused; null."""
    power_base_epoch: int
    """Epoch from which its power was last reckoned."""
    replaced_day_reward: int | None
    """Unused; null."""
    sector_key_cid: Cid | None
    """CommR before the first update; null for none."""
    flags: int
    """Bit 0: simple quality-adjusted power."""
    daily_fee: int
    """Fee per day, attoFIL."""


SECTOR_ON_CHAIN_INFO: Final = Struct(
    SectorOnChainInfo,
    Field("sector_number", "SectorNumber", UINT64),
    Field("seal_proof", "SealProof", INT64),
    Field("sealed_cid", "SealedCID", CID),
    Field("deprecated_deal_ids", "DeprecatedDealIDs", list_of(UINT64), in_json=False),
    Field("activation", "Activation", INT64),
    Field("expiration", "Expiration", INT64),
    Field("deal_weight", "DealWeight", AMOUNT),
    Field("verified_deal_weight", "VerifiedDealWeight", AMOUNT),
    Field("initial_pledge", "InitialPledge", AMOUNT),
    Field("expected_day_reward", "ExpectedDayReward", nullable(AMOUNT)),
    Field("expected_storage_pledge", "ExpectedStoragePledge", nullable(AMOUNT)),
    Field("power_base_epoch", "PowerBaseEpoch", INT64),
    Field("replaced_day_reward", "ReplacedDayReward", nullable(AMOUNT)),
    Field("sector_key_cid", "SectorKeyCID", nullable(CID)),
    Field("flags", "Flags", UINT64),
    Field("daily_fee", "DailyFee", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class SectorPreCommitOnChainInfo:
    """A pre-committed sector."""

    info: SectorPreCommitInfo
    """What was pre-committed."""
    pre_commit_deposit: int
    """Deposit, attoFIL."""
    pre_commit_epoch: int
    """Epoch of the pre-commit."""


SECTOR_PRE_COMMIT_ON_CHAIN_INFO: Final = Struct(
    SectorPreCommitOnChainInfo,
    Field("info", "Info", SECTOR_PRE_COMMIT_INFO.kind()),
    Field("pre_commit_deposit", "PreCommitDeposit", AMOUNT),
    Field("pre_commit_epoch", "PreCommitEpoch", INT64),
)
