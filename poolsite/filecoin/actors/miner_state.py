"""Parts of the miner actor's state that its callers see.

Source: go-state-types builtin/v18/miner/miner_state.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from poolsite.filecoin.actors.miner_sectors import SectorPreCommitInfo
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import (
    NOT_IN_JSON,
    Int64,
    TokenAmount,
    Uint64,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorOnChainInfo:
    """A proven sector."""

    sector_number: Uint64
    """Number of the sector."""
    seal_proof: Int64
    """RegisteredSealProof."""
    sealed_cid: Cid
    """Commitment to the sealed sector (CommR)."""
    deprecated_deal_ids: Annotated[tuple[Uint64, ...], NOT_IN_JSON]
    """Empty."""
    activation: Int64
    """Epoch of the proof of its commitment."""
    expiration: Int64
    """Epoch at which the sector ends."""
    deal_weight: TokenAmount
    """Deal space-time, bytes x epochs."""
    verified_deal_weight: TokenAmount
    """Verified deal space-time, bytes x epochs."""
    initial_pledge: TokenAmount
    """Pledge, attoFIL."""
    expected_day_reward: TokenAmount | None
    """Reward expected at activation; null since FIP-0098."""
    expected_storage_pledge: TokenAmount | None
    """Unused; null."""
    power_base_epoch: Int64
    """Epoch from which its power was last reckoned."""
    replaced_day_reward: TokenAmount | None
    """Unused; null."""
    sector_key_cid: Cid | None
    """CommR before the first update; null for none."""
    flags: Uint64
    """Bit 0: simple quality-adjusted power."""
    daily_fee: TokenAmount
    """Fee per day, attoFIL."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorPreCommitOnChainInfo:
    """A pre-committed sector."""

    info: SectorPreCommitInfo
    """What was pre-committed."""
    pre_commit_deposit: TokenAmount
    """Deposit, attoFIL."""
    pre_commit_epoch: Int64
    """Epoch of the pre-commit."""
