"""What the miner actor's state holds of each sector.

Source: go-state-types builtin/v18/miner/miner_state.go; builtin-actors actors/miner/src/types.rs.
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
    """A proven sector; removed when its partition is compacted after termination."""

    sector_number: Uint64
    """Number among the miner's sectors, at most 2^63 - 1."""
    seal_proof: Int64
    """RegisteredSealProof code; implies the PoSt proof types."""
    sealed_cid: Cid
    """CommR of the current replica."""
    deprecated_deal_ids: Annotated[tuple[Uint64, ...], NOT_IN_JSON]
    """Empty in new sectors: the market actor keeps which deals a sector holds since FIP-0076."""
    activation: Int64
    """Epoch in which the seal proof was accepted."""
    expiration: Int64
    """Epoch; terminated at the end of its deadline at or after it."""
    deal_weight: TokenAmount
    """Unverified data times its time in the sector, byte-epochs; no effect on power."""
    verified_deal_weight: TokenAmount
    """Verified data times its time in the sector, byte-epochs; counts tenfold in power."""
    initial_pledge: TokenAmount
    """Locked until expiration, attoFIL."""
    expected_day_reward: TokenAmount | None
    """attoFIL at activation; no longer used, null or 0 in new sectors (FIP-0098)."""
    expected_storage_pledge: TokenAmount | None
    """attoFIL over 20 days at activation; no longer used, null or 0 in new sectors (FIP-0098)."""
    power_base_epoch: Int64
    """Epoch in which its power was last set: activation, update or extension."""
    replaced_day_reward: TokenAmount | None
    """attoFIL; no longer used, null or 0 in new sectors (FIP-0098)."""
    sector_key_cid: Cid | None
    """CommR before the first replica update; null for a sector never updated."""
    flags: Uint64
    """Bit 0: simple quality-adjusted power (FIP-0045), which makes extensions account for verified claims."""
    daily_fee: TokenAmount
    """attoFIL per day until expiration (FIP-0100); 0 for sectors not touched since."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorPreCommitOnChainInfo:
    """A pre-committed sector that is not proven yet."""

    info: SectorPreCommitInfo
    """What the pre-commit said of the sector."""
    pre_commit_deposit: TokenAmount
    """attoFIL; burnt if the sector is not prove-committed in time."""
    pre_commit_epoch: Int64
    """Epoch of the message; the seed of the interactive challenges is drawn 150 epochs later on mainnet."""
