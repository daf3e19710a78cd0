"""The storage market actor f05: deals and their escrow.

Source: go-state-types builtin/v18/market/market_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.label import DealLabel
from poolsite.filecoin.actors.market_deals import (
    BatchActivateDealsParams,
    DealQueryParams,
    GetDealActivationReturn,
    GetDealActorReturn,
    GetDealAmountReturn,
    GetDealDataCommitmentReturn,
    GetDealLabelReturn,
    GetDealSectorReturn,
    GetDealTermReturn,
    GetDealVerifiedReturn,
    OnMinerSectorsTerminateParams,
    SectorContentChangedParams,
    SectorContentChangedReturn,
    SettleDealPaymentsParams,
    SettleDealPaymentsReturn,
    VerifyDealsForActivationParams,
    VerifyDealsForActivationReturn,
)
from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.address import Address
from poolsite.filecoin.bitfield import BitField
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import Int64, TokenAmount, Uint64, cbor_transparent, cbor_tuple
from poolsite.filecoin.signature import Signature


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DealProposal:
    """What a client offers."""

    piece_cid: Cid
    """Commitment to the piece."""
    piece_size: Uint64
    """Padded size in bytes."""
    verified_deal: bool
    """Whether data cap pays."""
    client: Address
    """Actor number of the client."""
    provider: Address
    """The miner."""
    label: DealLabel
    """Free text or bytes."""
    start_epoch: Int64
    """First epoch."""
    end_epoch: Int64
    """Last epoch."""
    storage_price_per_epoch: TokenAmount
    """attoFIL."""
    provider_collateral: TokenAmount
    """attoFIL."""
    client_collateral: TokenAmount
    """attoFIL."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ClientDealProposal:
    """A proposal signed by the client."""

    proposal: DealProposal
    """What the client offers."""
    client_signature: Signature
    """The client's signature of the proposal."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PublishStorageDealsParams:
    """Put deals on chain."""

    deals: tuple[ClientDealProposal, ...]
    """Deals."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PublishStorageDealsReturn:
    """Which deals are on chain."""

    ids: tuple[Uint64, ...]
    """Numbers of the valid deals."""
    valid_deals: BitField
    """Which of the proposals were valid."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class AddBalanceParams:
    """Pay into somebody's escrow."""

    address: Address
    """Who is notified."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class WithdrawBalanceParams:
    """Pay out of an escrow."""

    provider_or_client_address: Address
    """Whose escrow."""
    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class WithdrawBalanceReturn:
    """What was paid out."""

    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetBalanceReturn:
    """An escrow."""

    balance: TokenAmount
    """attoFIL."""
    locked: TokenAmount
    """attoFIL that cannot be withdrawn."""


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
    MethodSpec(Method.ADD_BALANCE, "AddBalance", AddBalanceParams),
    MethodSpec(Method.WITHDRAW_BALANCE, "WithdrawBalance", WithdrawBalanceParams, WithdrawBalanceReturn),
    MethodSpec(
        Method.PUBLISH_STORAGE_DEALS,
        "PublishStorageDeals",
        PublishStorageDealsParams,
        PublishStorageDealsReturn,
    ),
    MethodSpec(
        Method.VERIFY_DEALS_FOR_ACTIVATION,
        "VerifyDealsForActivation",
        VerifyDealsForActivationParams,
        VerifyDealsForActivationReturn,
    ),
    MethodSpec(Method.ACTIVATE_DEALS, "ActivateDeals", BatchActivateDealsParams),
    MethodSpec(Method.ON_MINER_SECTORS_TERMINATE, "OnMinerSectorsTerminate", OnMinerSectorsTerminateParams),
    MethodSpec(Method.DEPRECATED1, "Deprecated1"),
    MethodSpec(Method.CRON_TICK, "CronTick"),
    MethodSpec(Method.GET_DEAL_LABEL_EXPORTED, "GetDealLabelExported", DealQueryParams, GetDealLabelReturn),
    MethodSpec(Method.GET_DEAL_CLIENT_EXPORTED, "GetDealClientExported", DealQueryParams, GetDealActorReturn),
    MethodSpec(Method.GET_DEAL_TERM_EXPORTED, "GetDealTermExported", DealQueryParams, GetDealTermReturn),
    MethodSpec(
        Method.GET_DEAL_CLIENT_COLLATERAL_EXPORTED,
        "GetDealClientCollateralExported",
        DealQueryParams,
        GetDealAmountReturn,
    ),
    MethodSpec(Method.GET_BALANCE_EXPORTED, "GetBalanceExported", AddBalanceParams, GetBalanceReturn),
    MethodSpec(Method.ADD_BALANCE_EXPORTED, "AddBalanceExported", AddBalanceParams),
    MethodSpec(
        Method.GET_DEAL_PROVIDER_EXPORTED, "GetDealProviderExported", DealQueryParams, GetDealActorReturn
    ),
    MethodSpec(
        Method.GET_DEAL_DATA_COMMITMENT_EXPORTED,
        "GetDealDataCommitmentExported",
        DealQueryParams,
        GetDealDataCommitmentReturn,
    ),
    MethodSpec(
        Method.SETTLE_DEAL_PAYMENTS_EXPORTED,
        "SettleDealPaymentsExported",
        SettleDealPaymentsParams,
        SettleDealPaymentsReturn,
    ),
    MethodSpec(
        Method.SECTOR_CONTENT_CHANGED_EXPORTED,
        "SectorContentChangedExported",
        SectorContentChangedParams,
        SectorContentChangedReturn,
    ),
    MethodSpec(
        Method.PUBLISH_STORAGE_DEALS_EXPORTED,
        "PublishStorageDealsExported",
        PublishStorageDealsParams,
        PublishStorageDealsReturn,
    ),
    MethodSpec(
        Method.WITHDRAW_BALANCE_EXPORTED,
        "WithdrawBalanceExported",
        WithdrawBalanceParams,
        WithdrawBalanceReturn,
    ),
    MethodSpec(
        Method.GET_DEAL_ACTIVATION_EXPORTED,
        "GetDealActivationExported",
        DealQueryParams,
        GetDealActivationReturn,
    ),
    MethodSpec(
        Method.GET_DEAL_SECTOR_EXPORTED, "GetDealSectorExported", DealQueryParams, GetDealSectorReturn
    ),
    MethodSpec(
        Method.GET_DEAL_VERIFIED_EXPORTED,
        "GetDealVerifiedExported",
        DealQueryParams,
        GetDealVerifiedReturn,
    ),
    MethodSpec(
        Method.GET_DEAL_PROVIDER_COLLATERAL_EXPORTED,
        "GetDealProviderCollateralExported",
        DealQueryParams,
        GetDealAmountReturn,
    ),
    MethodSpec(
        Method.GET_DEAL_TOTAL_PRICE_EXPORTED,
        "GetDealTotalPriceExported",
        DealQueryParams,
        GetDealAmountReturn,
    ),
)
"""What each method takes and returns."""
