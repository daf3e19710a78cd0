"""Calls of the storage market actor about single deals, and between it and miner actors.

Source: go-state-types builtin/v18/market/market_types.go; builtin-actors actors/market/src/{types,lib}.rs,
actors/miner/src/types.rs (SectorContentChanged).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.bitfield import BitField
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import Int64, JsonName, TokenAmount, Uint64, cbor_transparent, cbor_tuple


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorDeals:
    """The deals to check or activate in one sector."""

    sector_number: Uint64
    """Number among the miner's sectors, at most 2^63 - 1."""
    sector_type: Int64
    """RegisteredSealProof code, for the sector's size."""
    sector_expiry: Int64
    """Epoch at which the sector expires; no deal may end later."""
    deal_ids: tuple[Uint64, ...]
    """In the order of their pieces in the sector."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class VerifyDealsForActivationParams:
    """Check that deals could be activated in sectors; only miner actors call it, in pre-committing."""

    sectors: tuple[SectorDeals, ...]
    """One entry per sector; any invalid deal fails the call."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class VerifyDealsForActivationReturn:
    """The data commitments that the deals give."""

    unsealed_cids: tuple[Cid | None, ...]
    """CommD by index of the sector; null for a sector without deals."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BatchActivateDealsParams:
    """Activate deals in sectors; only miner actors call it."""

    sectors: tuple[SectorDeals, ...]
    """One bad deal fails its sector, not the others."""
    compute_cid: Annotated[bool, JsonName("ComputeCid")]
    """Whether to return CommD."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ActivatedDeal:
    """A deal that was activated."""

    client: Uint64
    """Actor ID of the client."""
    allocation_id: Annotated[Uint64, JsonName("AllocationId")]
    """Allocation that publishing the deal made; 0 for an unverified deal."""
    data: Cid
    """CommP of the piece."""
    size: Uint64
    """Padded size in bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorDealActivation:
    """One sector whose deals were activated."""

    activated: tuple[ActivatedDeal, ...]
    """In the order of the request."""
    unsealed_cid: Cid | None
    """CommD of the deals; null without deals or where it was not asked for."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BatchActivateDealsReturn:
    """Which sectors' deals were activated."""

    activation_results: BatchReturn
    """By index of the sector in the request."""
    activations: tuple[SectorDealActivation, ...]
    """One entry per successful sector, in order."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class OnMinerSectorsTerminateParams:
    """End the deals of sectors that were terminated; only miner actors call it."""

    epoch: Int64
    """Epoch of the termination: payment ends there, and deals that were over by then are left alone."""
    sectors: BitField
    """Sector numbers."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SettleDealPaymentsParams:
    """Pay providers what their deals have earned so far; anyone may send it."""

    deal_ids: BitField
    """Deal IDs."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DealSettlement:
    """What settling paid for one deal."""

    payment: TokenAmount
    """attoFIL since the last settlement; 0 before the deal's start."""
    completed: bool
    """Whether the deal has ended and was settled for the last time."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SettleDealPaymentsReturn:
    """Which deals were settled."""

    results: BatchReturn
    """By place among the deal IDs, ascending."""
    settlements: tuple[DealSettlement, ...]
    """One entry per settled deal, in order."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PieceChange:
    """A piece that a sector now holds."""

    data: Cid
    """CommP of the piece."""
    size: Uint64
    """Padded size in bytes."""
    payload: bytes
    """From the piece's manifest; the market actor reads it as the CBOR of a deal ID."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorChanges:
    """Pieces of one sector that the receiver is told of; other pieces may have changed too."""

    sector: Uint64
    """Sector number."""
    minimum_commitment_epoch: Int64
    """Expiration of the sector; an extension may move it without another notification."""
    added: tuple[PieceChange, ...]
    """In the order of the sector's manifest."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class SectorContentChangedParams:
    """A miner actor notifies the actors that pieces' manifests name (FIP-0076, FIP-0109)."""

    sectors: tuple[SectorChanges, ...]
    """One entry per sector with pieces for the receiver, ascending by number."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class SectorContentChangedReturn:
    """Which pieces the notified actor accepts."""

    accepted: Annotated[tuple[tuple[bool, ...], ...], JsonName("Sectors")]
    """By sector, then by piece, as in the request."""
