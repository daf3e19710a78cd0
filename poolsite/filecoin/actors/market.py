"""The storage market actor f05: deals and their escrow.

Source: go-state-types builtin/v18/market/market_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.batch import BATCH_RETURN, BatchReturn
from poolsite.filecoin.actors.label import LABEL, DealLabel
from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.bitfield import BITFIELD, BitField
from poolsite.filecoin.codec import (
    ADDRESS,
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
from poolsite.filecoin.signature import SIGNATURE, Signature

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid


@dataclass(frozen=True, slots=True)
class DealProposal:
    """What a client offers."""

    piece_cid: Cid
    """Commitment to the piece."""
    piece_size: int
    """Padded size in bytes."""
    verified_deal: bool
    """Whether data cap pays."""
    client: Address
    """Actor number of the client."""
    provider: Address
    """The miner."""
    label: DealLabel
    """Free text or bytes."""
    start_epoch: int
    """First epoch."""
    end_epoch: int
    """Last epoch."""
    storage_price_per_epoch: int
    """attoFIL."""
    provider_collateral: int
    """attoFIL."""
    client_collateral: int
    """attoFIL."""


DEAL_PROPOSAL: Final = Struct(
    DealProposal,
    Field("piece_cid", "PieceCID", CID),
    Field("piece_size", "PieceSize", UINT64),
    Field("verified_deal", "VerifiedDeal", BOOL),
    Field("client", "Client", ADDRESS),
    Field("provider", "Provider", ADDRESS),
    Field("label", "Label", LABEL),
    Field("start_epoch", "StartEpoch", INT64),
    Field("end_epoch", "EndEpoch", INT64),
    Field("storage_price_per_epoch", "StoragePricePerEpoch", AMOUNT),
    Field("provider_collateral", "ProviderCollateral", AMOUNT),
    Field("client_collateral", "ClientCollateral", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class ClientDealProposal:
    """A proposal signed by the client."""

    proposal: DealProposal
    """What the client offers."""
    client_signature: Signature
    """The client's signature of the proposal."""


CLIENT_DEAL_PROPOSAL: Final = Struct(
    ClientDealProposal,
    Field("proposal", "Proposal", DEAL_PROPOSAL.kind()),
    Field("client_signature", "ClientSignature", SIGNATURE),
)


@dataclass(frozen=True, slots=True)
class PublishStorageDealsParams:
    """Put deals on chain."""

    deals: tuple[ClientDealProposal, ...]
    """Deals."""


PUBLISH_STORAGE_DEALS_PARAMS: Final = Struct(
    PublishStorageDealsParams,
    Field("deals", "Deals", list_of(CLIENT_DEAL_PROPOSAL.kind())),
)


@dataclass(frozen=True, slots=True)
class PublishStorageDealsReturn:
    """Which deals are on chain."""

    ids: tuple[int, ...]
    """Numbers of the valid deals."""
    valid_deals: BitField
    """Which of the proposals were valid."""


PUBLISH_STORAGE_DEALS_RETURN: Final = Struct(
    PublishStorageDealsReturn,
    Field("ids", "IDs", list_of(UINT64)),
    Field("valid_deals", "ValidDeals", BITFIELD),
)


@dataclass(frozen=True, slots=True)
class AddBalanceParams:
    """Pay into somebody's escrow."""

    address: Address
    """Who is notified."""


ADD_BALANCE_PARAMS: Final = Struct(
    AddBalanceParams,
    Field("address", "Address", ADDRESS),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class WithdrawBalanceParams:
    """Pay out of an escrow."""

    provider_or_client_address: Address
    """Whose escrow."""
    amount: int
    """attoFIL, or units of the token."""


WITHDRAW_BALANCE_PARAMS: Final = Struct(
    WithdrawBalanceParams,
    Field("provider_or_client_address", "ProviderOrClientAddress", ADDRESS),
    Field("amount", "Amount", AMOUNT),
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
class GetBalanceReturn:
    """An escrow."""

    balance: int
    """attoFIL."""
    locked: int
    """attoFIL that cannot be withdrawn."""


GET_BALANCE_RETURN: Final = Struct(
    GetBalanceReturn,
    Field("balance", "Balance", AMOUNT),
    Field("locked", "Locked", AMOUNT),
)


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


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    ADD_BALANCE = 2
    WITHDRAW_BALANCE = 3
    PUBLISH_STORAGE_DEALS = 4
    VERIFY_DEALS_FOR_ACTIVATION = 5
    ACTIVATE_DEALS = 6
    ON_MINER_SECTORS_TERMINATE = 7
    DEPRECATED1 = 8
    CRON_TICK = 9
    GET_DEAL_LABEL_EXPORTED = 46_363_526
    GET_DEAL_CLIENT_EXPORTED = 128_053_329
    GET_DEAL_TERM_EXPORTED = 163_777_312
    GET_DEAL_CLIENT_COLLATERAL_EXPORTED = 200_567_895
    GET_BALANCE_EXPORTED = 726_108_461
    ADD_BALANCE_EXPORTED = 822_473_126
    GET_DEAL_PROVIDER_EXPORTED = 935_081_690
    GET_DEAL_DATA_COMMITMENT_EXPORTED = 1_157_985_802
    SETTLE_DEAL_PAYMENTS_EXPORTED = 1_900_091_594
    SECTOR_CONTENT_CHANGED_EXPORTED = 2_034_386_435
    PUBLISH_STORAGE_DEALS_EXPORTED = 2_236_929_350
    WITHDRAW_BALANCE_EXPORTED = 2_280_458_852
    GET_DEAL_ACTIVATION_EXPORTED = 2_567_238_399
    GET_DEAL_SECTOR_EXPORTED = 2_611_213_344
    GET_DEAL_VERIFIED_EXPORTED = 2_627_389_465
    GET_DEAL_PROVIDER_COLLATERAL_EXPORTED = 2_986_712_137
    GET_DEAL_TOTAL_PRICE_EXPORTED = 4_287_162_428


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor"),
    MethodSpec(Method.ADD_BALANCE, "AddBalance", ADD_BALANCE_PARAMS),
    MethodSpec(Method.WITHDRAW_BALANCE, "WithdrawBalance", WITHDRAW_BALANCE_PARAMS, WITHDRAW_BALANCE_RETURN),
    MethodSpec(
        Method.PUBLISH_STORAGE_DEALS,
        "PublishStorageDeals",
        PUBLISH_STORAGE_DEALS_PARAMS,
        PUBLISH_STORAGE_DEALS_RETURN,
    ),
    MethodSpec(
        Method.VERIFY_DEALS_FOR_ACTIVATION,
        "VerifyDealsForActivation",
        VERIFY_DEALS_FOR_ACTIVATION_PARAMS,
        VERIFY_DEALS_FOR_ACTIVATION_RETURN,
    ),
    MethodSpec(Method.ACTIVATE_DEALS, "ActivateDeals", BATCH_ACTIVATE_DEALS_PARAMS),
    MethodSpec(
        Method.ON_MINER_SECTORS_TERMINATE, "OnMinerSectorsTerminate", ON_MINER_SECTORS_TERMINATE_PARAMS
    ),
    MethodSpec(Method.DEPRECATED1, "Deprecated1"),
    MethodSpec(Method.CRON_TICK, "CronTick"),
    MethodSpec(
        Method.GET_DEAL_LABEL_EXPORTED, "GetDealLabelExported", DEAL_QUERY_PARAMS, GET_DEAL_LABEL_RETURN
    ),
    MethodSpec(
        Method.GET_DEAL_CLIENT_EXPORTED, "GetDealClientExported", DEAL_QUERY_PARAMS, GET_DEAL_ACTOR_RETURN
    ),
    MethodSpec(Method.GET_DEAL_TERM_EXPORTED, "GetDealTermExported", DEAL_QUERY_PARAMS, GET_DEAL_TERM_RETURN),
    MethodSpec(
        Method.GET_DEAL_CLIENT_COLLATERAL_EXPORTED,
        "GetDealClientCollateralExported",
        DEAL_QUERY_PARAMS,
        GET_DEAL_AMOUNT_RETURN,
    ),
    MethodSpec(Method.GET_BALANCE_EXPORTED, "GetBalanceExported", ADD_BALANCE_PARAMS, GET_BALANCE_RETURN),
    MethodSpec(Method.ADD_BALANCE_EXPORTED, "AddBalanceExported", ADD_BALANCE_PARAMS),
    MethodSpec(
        Method.GET_DEAL_PROVIDER_EXPORTED, "GetDealProviderExported", DEAL_QUERY_PARAMS, GET_DEAL_ACTOR_RETURN
    ),
    MethodSpec(
        Method.GET_DEAL_DATA_COMMITMENT_EXPORTED,
        "GetDealDataCommitmentExported",
        DEAL_QUERY_PARAMS,
        GET_DEAL_DATA_COMMITMENT_RETURN,
    ),
    MethodSpec(
        Method.SETTLE_DEAL_PAYMENTS_EXPORTED,
        "SettleDealPaymentsExported",
        SETTLE_DEAL_PAYMENTS_PARAMS,
        SETTLE_DEAL_PAYMENTS_RETURN,
    ),
    MethodSpec(
        Method.SECTOR_CONTENT_CHANGED_EXPORTED, "SectorContentChangedExported", SECTOR_CONTENT_CHANGED_PARAMS
    ),
    MethodSpec(
        Method.PUBLISH_STORAGE_DEALS_EXPORTED,
        "PublishStorageDealsExported",
        PUBLISH_STORAGE_DEALS_PARAMS,
        PUBLISH_STORAGE_DEALS_RETURN,
    ),
    MethodSpec(
        Method.WITHDRAW_BALANCE_EXPORTED,
        "WithdrawBalanceExported",
        WITHDRAW_BALANCE_PARAMS,
        WITHDRAW_BALANCE_RETURN,
    ),
    MethodSpec(
        Method.GET_DEAL_ACTIVATION_EXPORTED,
        "GetDealActivationExported",
        DEAL_QUERY_PARAMS,
        GET_DEAL_ACTIVATION_RETURN,
    ),
    MethodSpec(
        Method.GET_DEAL_SECTOR_EXPORTED, "GetDealSectorExported", DEAL_QUERY_PARAMS, GET_DEAL_SECTOR_RETURN
    ),
    MethodSpec(
        Method.GET_DEAL_VERIFIED_EXPORTED,
        "GetDealVerifiedExported",
        DEAL_QUERY_PARAMS,
        GET_DEAL_VERIFIED_RETURN,
    ),
    MethodSpec(
        Method.GET_DEAL_PROVIDER_COLLATERAL_EXPORTED,
        "GetDealProviderCollateralExported",
        DEAL_QUERY_PARAMS,
        GET_DEAL_AMOUNT_RETURN,
    ),
    MethodSpec(
        Method.GET_DEAL_TOTAL_PRICE_EXPORTED,
        "GetDealTotalPriceExported",
        DEAL_QUERY_PARAMS,
        GET_DEAL_AMOUNT_RETURN,
    ),
)
"""What each method takes and returns."""
