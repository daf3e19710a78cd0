"""Calls of the storage market actor about single deals and about the sectors that hold them.

Source: go-state-types builtin/v18/market/market_types.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.batch import BATCH_RETURN, BatchReturn
from poolsite.filecoin.actors.label import LABEL, DealLabel
from poolsite.filecoin.bitfield import BITFIELD, BitField
from poolsite.filecoin.codec import (
    AMOUNT,
    BOOL,
    BYTES,
    CID,
    INT64,
    UINT64,
    Field,
    Struct,
    list_of,
    nullable,
)

if TYPE_CHECKING:
    from poolsite.filecoin.cids import Cid


@dataclass(frozen=True, slots=True)
class SectorDeals:
    """The deals of one sector."""

    sector_number: int
    """Number of the sector."""
    sector_type: int
    """RegisteredSealProof."""
    sector_expiry: int
    """Epoch at which the sector ends."""
    deal_ids: tuple[int, ...]
    """Deals inside; empty since network version 22."""


SECTOR_DEALS: Final = Struct(
    SectorDeals,
    Field("sector_number", "SectorNumber", UINT64),
    Field("sector_type", "SectorType", INT64),
    Field("sector_expiry", "SectorExpiry", INT64),
    Field("deal_ids", "DealIDs", list_of(UINT64)),
)


@dataclass(frozen=True, slots=True)
class VerifyDealsForActivationParams:
    """Check deals before they are activated."""

    sectors: tuple[SectorDeals, ...]
    """Sectors concerned."""


VERIFY_DEALS_FOR_ACTIVATION_PARAMS: Final = Struct(
    VerifyDealsForActivationParams,
    Field("sectors", "Sectors", list_of(SECTOR_DEALS.kind())),
)


@dataclass(frozen=True, slots=True)
class VerifyDealsForActivationReturn:
    """The data commitments of the sectors."""

    unsealed_cids: tuple[Cid | None, ...]
    """CommD of each sector; null without data."""


VERIFY_DEALS_FOR_ACTIVATION_RETURN: Final = Struct(
    VerifyDealsForActivationReturn,
    Field("unsealed_cids", "UnsealedCIDs", list_of(nullable(CID))),
)


@dataclass(frozen=True, slots=True)
class BatchActivateDealsParams:
    """Activate the deals of sectors."""

    sectors: tuple[SectorDeals, ...]
    """Sectors concerned."""
    compute_cid: bool
    """Whether CommD is wanted."""


BATCH_ACTIVATE_DEALS_PARAMS: Final = Struct(
    BatchActivateDealsParams,
    Field("sectors", "Sectors", list_of(SECTOR_DEALS.kind())),
    Field("compute_cid", "ComputeCid", BOOL),
)


@dataclass(frozen=True, slots=True)
class ActivatedDeal:
    """A deal that is in a sector now."""

    client: int
    """Actor number of the client."""
    allocation_id: int
    """Number of the deal's allocation of data cap; 0 without."""
    data: Cid
    """Commitment to the piece."""
    size: int
    """Padded size in bytes."""


ACTIVATED_DEAL: Final = Struct(
    ActivatedDeal,
    Field("client", "Client", UINT64),
    Field("allocation_id", "AllocationId", UINT64),
    Field("data", "Data", CID),
    Field("size", "Size", UINT64),
)


@dataclass(frozen=True, slots=True)
class SectorDealActivation:
    """A sector whose deals are activated."""

    activated: tuple[ActivatedDeal, ...]
    """Its deals."""
    unsealed_cid: Cid | None
    """CommD of the deals; null without any, or where it was not asked."""


SECTOR_DEAL_ACTIVATION: Final = Struct(
    SectorDealActivation,
    Field("activated", "Activated", list_of(ACTIVATED_DEAL.kind())),
    Field("unsealed_cid", "UnsealedCID", nullable(CID)),
)


@dataclass(frozen=True, slots=True)
class BatchActivateDealsReturn:
    """What became of each sector's deals."""

    activation_results: BatchReturn
    """Which sectors failed, and why."""
    activations: tuple[SectorDealActivation, ...]
    """The others, in order."""


BATCH_ACTIVATE_DEALS_RETURN: Final = Struct(
    BatchActivateDealsReturn,
    Field("activation_results", "ActivationResults", BATCH_RETURN.kind()),
    Field("activations", "Activations", list_of(SECTOR_DEAL_ACTIVATION.kind())),
)


@dataclass(frozen=True, slots=True)
class OnMinerSectorsTerminateParams:
    """Sectors ended early."""

    epoch: int
    """The epoch."""
    sectors: BitField
    """Sectors concerned."""


ON_MINER_SECTORS_TERMINATE_PARAMS: Final = Struct(
    OnMinerSectorsTerminateParams,
    Field("epoch", "Epoch", INT64),
    Field("sectors", "Sectors", BITFIELD),
)


@dataclass(frozen=True, slots=True)
class DealQueryParams:
    """Ask about one deal."""

    id: int
    """Number."""


DEAL_QUERY_PARAMS: Final = Struct(
    DealQueryParams,
    Field("id", "ID", UINT64),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class GetDealDataCommitmentReturn:
    """A deal's piece."""

    data: Cid
    """Commitment to the piece."""
    size: int
    """Padded size in bytes."""


GET_DEAL_DATA_COMMITMENT_RETURN: Final = Struct(
    GetDealDataCommitmentReturn,
    Field("data", "Data", CID),
    Field("size", "Size", UINT64),
)


@dataclass(frozen=True, slots=True)
class GetDealActorReturn:
    """A deal's client or provider."""

    actor_id: int
    """Number of the actor."""


GET_DEAL_ACTOR_RETURN: Final = Struct(
    GetDealActorReturn,
    Field("actor_id", "ActorID", UINT64),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class GetDealLabelReturn:
    """A deal's label."""

    label: DealLabel
    """Free text or bytes."""


GET_DEAL_LABEL_RETURN: Final = Struct(
    GetDealLabelReturn,
    Field("label", "Label", LABEL),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class GetDealTermReturn:
    """A deal's time."""

    start: int
    """First epoch."""
    duration: int
    """Number of epochs."""


GET_DEAL_TERM_RETURN: Final = Struct(
    GetDealTermReturn,
    Field("start", "Start", INT64),
    Field("duration", "Duration", INT64),
)


@dataclass(frozen=True, slots=True)
class GetDealAmountReturn:
    """A deal's price or collateral."""

    amount: int
    """attoFIL, or units of the token."""


GET_DEAL_AMOUNT_RETURN: Final = Struct(
    GetDealAmountReturn,
    Field("amount", "Amount", AMOUNT),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class GetDealVerifiedReturn:
    """Whether data cap pays."""

    verified_deal: bool
    """Whether data cap pays."""


GET_DEAL_VERIFIED_RETURN: Final = Struct(
    GetDealVerifiedReturn,
    Field("verified_deal", "VerifiedDeal", BOOL),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class GetDealActivationReturn:
    """When a deal was activated and terminated."""

    activated: int
    """Epoch of activation, -1 for none."""
    terminated: int
    """Epoch of termination, -1 for none."""


GET_DEAL_ACTIVATION_RETURN: Final = Struct(
    GetDealActivationReturn,
    Field("activated", "Activated", INT64),
    Field("terminated", "Terminated", INT64),
)


@dataclass(frozen=True, slots=True)
class GetDealSectorReturn:
    """The sector that holds a deal."""

    sector: int
    """Number of the sector."""


GET_DEAL_SECTOR_RETURN: Final = Struct(
    GetDealSectorReturn,
    Field("sector", "Sector", UINT64),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class SettleDealPaymentsParams:
    """Pay what deals have earned."""

    deal_ids: BitField
    """Deals inside; empty since network version 22."""


SETTLE_DEAL_PAYMENTS_PARAMS: Final = Struct(
    SettleDealPaymentsParams,
    Field("deal_ids", "DealIDs", BITFIELD),
)


@dataclass(frozen=True, slots=True)
class DealSettlement:
    """What one deal paid."""

    payment: int
    """attoFIL."""
    completed: bool
    """Whether the deal is over."""


DEAL_SETTLEMENT: Final = Struct(
    DealSettlement,
    Field("payment", "Payment", AMOUNT),
    Field("completed", "Completed", BOOL),
)


@dataclass(frozen=True, slots=True)
class SettleDealPaymentsReturn:
    """What the deals paid."""

    results: BatchReturn
    """How they fared."""
    settlements: tuple[DealSettlement, ...]
    """What was paid, deal by deal."""


SETTLE_DEAL_PAYMENTS_RETURN: Final = Struct(
    SettleDealPaymentsReturn,
    Field("results", "Results", BATCH_RETURN.kind()),
    Field("settlements", "Settlements", list_of(DEAL_SETTLEMENT.kind())),
)


@dataclass(frozen=True, slots=True)
class PieceChange:
    """A piece that was added to a sector."""

    data: Cid
    """Commitment to the piece."""
    size: int
    """Padded size in bytes."""
    payload: bytes
    """Opaque bytes."""


PIECE_CHANGE: Final = Struct(
    PieceChange,
    Field("data", "Data", CID),
    Field("size", "Size", UINT64),
    Field("payload", "Payload", BYTES),
)


@dataclass(frozen=True, slots=True)
class SectorChanges:
    """Pieces that were added to a sector."""

    sector: int
    """Number of the sector."""
    minimum_commitment_epoch: int
    """Earliest end of the commitment."""
    added: tuple[PieceChange, ...]
    """Pieces added."""


SECTOR_CHANGES: Final = Struct(
    SectorChanges,
    Field("sector", "Sector", UINT64),
    Field("minimum_commitment_epoch", "MinimumCommitmentEpoch", INT64),
    Field("added", "Added", list_of(PIECE_CHANGE.kind())),
)


@dataclass(frozen=True, slots=True)
class SectorContentChangedParams:
    """A miner tells of added pieces."""

    sectors: tuple[SectorChanges, ...]
    """Sectors concerned."""


SECTOR_CONTENT_CHANGED_PARAMS: Final = Struct(
    SectorContentChangedParams,
    Field("sectors", "Sectors", list_of(SECTOR_CHANGES.kind())),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class SectorContentChangedReturn:
    """Which pieces the receiver took."""

    accepted: tuple[tuple[bool, ...], ...]
    """For each sector, whether each of its pieces was taken."""


SECTOR_CONTENT_CHANGED_RETURN: Final = Struct(
    SectorContentChangedReturn,
    Field("accepted", "Sectors", list_of(list_of(BOOL))),
    bare=True,
)
