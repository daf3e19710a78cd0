"""The storage market actor f05: deals and their escrow.

Source: go-state-types builtin/v18/market/market_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.label import LABEL, DealLabel
from poolsite.filecoin.actors.market_deals import BATCH_ACTIVATE_DEALS_PARAMS as BATCH_ACTIVATE_DEALS_PARAMS
from poolsite.filecoin.actors.market_deals import DEAL_QUERY_PARAMS as DEAL_QUERY_PARAMS
from poolsite.filecoin.actors.market_deals import DEAL_SETTLEMENT as DEAL_SETTLEMENT
from poolsite.filecoin.actors.market_deals import GET_DEAL_ACTIVATION_RETURN as GET_DEAL_ACTIVATION_RETURN
from poolsite.filecoin.actors.market_deals import GET_DEAL_ACTOR_RETURN as GET_DEAL_ACTOR_RETURN
from poolsite.filecoin.actors.market_deals import GET_DEAL_AMOUNT_RETURN as GET_DEAL_AMOUNT_RETURN
from poolsite.filecoin.actors.market_deals import (
    GET_DEAL_DATA_COMMITMENT_RETURN as GET_DEAL_DATA_COMMITMENT_RETURN,
)
from poolsite.filecoin.actors.market_deals import GET_DEAL_LABEL_RETURN as GET_DEAL_LABEL_RETURN
from poolsite.filecoin.actors.market_deals import GET_DEAL_SECTOR_RETURN as GET_DEAL_SECTOR_RETURN
from poolsite.filecoin.actors.market_deals import GET_DEAL_TERM_RETURN as GET_DEAL_TERM_RETURN
from poolsite.filecoin.actors.market_deals import GET_DEAL_VERIFIED_RETURN as GET_DEAL_VERIFIED_RETURN
from poolsite.filecoin.actors.market_deals import (
    ON_MINER_SECTORS_TERMINATE_PARAMS as ON_MINER_SECTORS_TERMINATE_PARAMS,
)
from poolsite.filecoin.actors.market_deals import PIECE_CHANGE as PIECE_CHANGE
from poolsite.filecoin.actors.market_deals import SECTOR_CHANGES as SECTOR_CHANGES
from poolsite.filecoin.actors.market_deals import (
    SECTOR_CONTENT_CHANGED_PARAMS as SECTOR_CONTENT_CHANGED_PARAMS,
)
from poolsite.filecoin.actors.market_deals import (
    SECTOR_CONTENT_CHANGED_RETURN as SECTOR_CONTENT_CHANGED_RETURN,
)
from poolsite.filecoin.actors.market_deals import SECTOR_DEALS as SECTOR_DEALS
from poolsite.filecoin.actors.market_deals import SETTLE_DEAL_PAYMENTS_PARAMS as SETTLE_DEAL_PAYMENTS_PARAMS
from poolsite.filecoin.actors.market_deals import SETTLE_DEAL_PAYMENTS_RETURN as SETTLE_DEAL_PAYMENTS_RETURN
from poolsite.filecoin.actors.market_deals import (
    VERIFY_DEALS_FOR_ACTIVATION_PARAMS as VERIFY_DEALS_FOR_ACTIVATION_PARAMS,
)
from poolsite.filecoin.actors.market_deals import (
    VERIFY_DEALS_FOR_ACTIVATION_RETURN as VERIFY_DEALS_FOR_ACTIVATION_RETURN,
)
from poolsite.filecoin.actors.market_deals import BatchActivateDealsParams as BatchActivateDealsParams
from poolsite.filecoin.actors.market_deals import DealQueryParams as DealQueryParams
from poolsite.filecoin.actors.market_deals import DealSettlement as DealSettlement
from poolsite.filecoin.actors.market_deals import GetDealActivationReturn as GetDealActivationReturn
from poolsite.filecoin.actors.market_deals import GetDealActorReturn as GetDealActorReturn
from poolsite.filecoin.actors.market_deals import GetDealAmountReturn as GetDealAmountReturn
from poolsite.filecoin.actors.market_deals import GetDealDataCommitmentReturn as GetDealDataCommitmentReturn
from poolsite.filecoin.actors.market_deals import GetDealLabelReturn as GetDealLabelReturn
from poolsite.filecoin.actors.market_deals import GetDealSectorReturn as GetDealSectorReturn
from poolsite.filecoin.actors.market_deals import GetDealTermReturn as GetDealTermReturn
from poolsite.filecoin.actors.market_deals import GetDealVerifiedReturn as GetDealVerifiedReturn
from poolsite.filecoin.actors.market_deals import (
    OnMinerSectorsTerminateParams as OnMinerSectorsTerminateParams,
)
from poolsite.filecoin.actors.market_deals import PieceChange as PieceChange
from poolsite.filecoin.actors.market_deals import SectorChanges as SectorChanges
from poolsite.filecoin.actors.market_deals import SectorContentChangedParams as SectorContentChangedParams
from poolsite.filecoin.actors.market_deals import SectorContentChangedReturn as SectorContentChangedReturn
from poolsite.filecoin.actors.market_deals import SectorDeals as SectorDeals
from poolsite.filecoin.actors.market_deals import SettleDealPaymentsParams as SettleDealPaymentsParams
from poolsite.filecoin.actors.market_deals import SettleDealPaymentsReturn as SettleDealPaymentsReturn
from poolsite.filecoin.actors.market_deals import (
    VerifyDealsForActivationParams as VerifyDealsForActivationParams,
)
from poolsite.filecoin.actors.market_deals import (
    VerifyDealsForActivationReturn as VerifyDealsForActivationReturn,
)
from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.bitfield import BITFIELD, BitField
from poolsite.filecoin.codec import (
    ADDRESS,
    AMOUNT,
    BOOL,
    CID,
    INT64,
    UINT64,
    Field,
    Struct,
    list_of,
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
        Method.SECTOR_CONTENT_CHANGED_EXPORTED,
        "SectorContentChangedExported",
        SECTOR_CONTENT_CHANGED_PARAMS,
        SECTOR_CONTENT_CHANGED_RETURN,
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
