"""Calls of the storage market actor about single deals and about the sectors that hold them.

Source: go-state-types builtin/v18/market/market_types.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.actors.label import DealLabel
from poolsite.filecoin.bitfield import BitField
from poolsite.filecoin.cids import Cid
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
class SectorDeals:
    """The deals of one sector."""

    sector_number: Uint64
    """Number of the sector."""
    sector_type: Int64
    """RegisteredSealProof."""
    sector_expiry: Int64
    """Epoch at which the sector ends."""
    deal_ids: tuple[Uint64, ...]
    """Deals inside; empty since network version 22."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class VerifyDealsForActivationParams:
    """Check deals before they are activated."""

    sectors: tuple[SectorDeals, ...]
    """Sectors concerned."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class VerifyDealsForActivationReturn:
    """The data commitments of the sectors."""

    unsealed_cids: tuple[Cid | None, ...]
    """CommD of each sector; null without data."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BatchActivateDealsParams:
    """Activate the deals of sectors."""

    sectors: tuple[SectorDeals, ...]
    """Sectors concerned."""
    compute_cid: Annotated[bool, JsonName("ComputeCid")]
    """Whether CommD is wanted."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ActivatedDeal:
    """A deal that is in a sector now."""

    client: Uint64
    """Actor number of the client."""
    allocation_id: Annotated[Uint64, JsonName("AllocationId")]
    """Number of the deal's allocation of data cap; 0 without."""
    data: Cid
    """Commitment to the piece."""
    size: Uint64
    """Padded size in bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorDealActivation:
    """A sector whose deals are activated."""

    activated: tuple[ActivatedDeal, ...]
    """Its deals."""
    unsealed_cid: Cid | None
    """CommD of the deals; null without any, or where it was not asked."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BatchActivateDealsReturn:
    """What became of each sector's deals."""

    activation_results: BatchReturn
    """Which sectors failed, and why."""
    activations: tuple[SectorDealActivation, ...]
    """The others, in order."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class OnMinerSectorsTerminateParams:
    """Sectors ended early."""

    epoch: Int64
    """The epoch."""
    sectors: BitField
    """Sectors concerned."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class DealQueryParams:
    """Ask about one deal."""

    id: Uint64
    """Number."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetDealDataCommitmentReturn:
    """A deal's piece."""

    data: Cid
    """Commitment to the piece."""
    size: Uint64
    """Padded size in bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetDealActorReturn:
    """A deal's client or provider."""

    actor_id: Uint64
    """Number of the actor."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetDealLabelReturn:
    """A deal's label."""

    label: DealLabel
    """Free text or bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetDealTermReturn:
    """A deal's time."""

    start: Int64
    """First epoch."""
    duration: Int64
    """Number of epochs."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetDealAmountReturn:
    """A deal's price or collateral."""

    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetDealVerifiedReturn:
    """Whether data cap pays."""

    verified_deal: bool
    """Whether data cap pays."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetDealActivationReturn:
    """When a deal was activated and terminated."""

    activated: Int64
    """Epoch of activation, -1 for none."""
    terminated: Int64
    """Epoch of termination, -1 for none."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetDealSectorReturn:
    """The sector that holds a deal."""

    sector: Uint64
    """Number of the sector."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SettleDealPaymentsParams:
    """Pay what deals have earned."""

    deal_ids: BitField
    """Deals inside; empty since network version 22."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DealSettlement:
    """What one deal paid."""

    payment: TokenAmount
    """attoFIL."""
    completed: bool
    """Whether the deal is over."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SettleDealPaymentsReturn:
    """What the deals paid."""

    results: BatchReturn
    """How they fared."""
    settlements: tuple[DealSettlement, ...]
    """What was paid, deal by deal."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PieceChange:
    """A piece that was added to a sector."""

    data: Cid
    """Commitment to the piece."""
    size: Uint64
    """Padded size in bytes."""
    payload: bytes
    """Opaque bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorChanges:
    """Pieces that were added to a sector."""

    sector: Uint64
    """Number of the sector."""
    minimum_commitment_epoch: Int64
    """Earliest end of the commitment."""
    added: tuple[PieceChange, ...]
    """Pieces added."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class SectorContentChangedParams:
    """A miner tells of added pieces."""

    sectors: tuple[SectorChanges, ...]
    """Sectors concerned."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class SectorContentChangedReturn:
    """Which pieces the receiver took."""

    accepted: Annotated[tuple[tuple[bool, ...], ...], JsonName("Sectors")]
    """For each sector, whether each of its pieces was taken."""
