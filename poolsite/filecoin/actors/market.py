"""The storage market actor f05: deals, and the escrow that pays for them.

Source: go-state-types builtin/v18/market/{market_types,deal}.go; builtin-actors
actors/market/src/{types,deal,policy,lib}.rs.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.label import DealLabel
from poolsite.filecoin.actors.market_deal_queries import (
    DealQueryParams,
    GetDealActivationReturn,
    GetDealActorReturn,
    GetDealAmountReturn,
    GetDealDataCommitmentReturn,
    GetDealLabelReturn,
    GetDealSectorReturn,
    GetDealTermReturn,
    GetDealVerifiedReturn,
)
from poolsite.filecoin.actors.market_deals import (
    BatchActivateDealsParams,
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
    """A client's offer to have a piece stored, which a miner publishes."""

    piece_cid: Cid
    """CommP of the piece."""
    piece_size: Uint64
    """Padded size in bytes, a power of two."""
    verified_deal: bool
    """Whether publishing spends the client's data cap on an allocation for the piece."""
    client: Address
    """Any address as signed; the chain stores the f0 form."""
    provider: Address
    """Address of the miner actor; the chain stores the f0 form."""
    label: DealLabel
    """Chosen by the client, at most 256 bytes, without meaning to the chain."""
    start_epoch: Int64
    """Last epoch in which the piece can be activated in a sector; payment counts from it."""
    end_epoch: Int64
    """Epoch at which payment ends; 180 to 1,278 days after `start_epoch`, not after the sector's
    expiration."""
    storage_price_per_epoch: TokenAmount
    """attoFIL from client to provider for each epoch from start to end."""
    provider_collateral: TokenAmount
    """attoFIL locked in the provider's escrow, burnt if the sector ends early; the least depends on supply
    and power."""
    client_collateral: TokenAmount
    """attoFIL locked in the client's escrow."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ClientDealProposal:
    """A proposal with the client's signature."""

    proposal: DealProposal
    """What the client offers, and the miner accepts by publishing it."""
    client_signature: Signature
    """Over the proposal's CBOR."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PublishStorageDealsParams:
    """Publish deals of one miner; its owner, worker and control addresses may send it."""

    deals: tuple[ClientDealProposal, ...]
    """At least one, all with the same provider; invalid ones are left out unless all are."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PublishStorageDealsReturn:
    """Which of the deals were published."""

    ids: tuple[Uint64, ...]
    """Deal IDs of the valid ones, in the order of the message."""
    valid_deals: BitField
    """Indexes of the valid ones in the message."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class AddBalanceParams:
    """Pay the message's value into an escrow (AddBalance), or ask for one (GetBalance)."""

    address: Address
    """Client or miner whose escrow is credited or asked for; need not be the sender."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class WithdrawBalanceParams:
    """Pay out of an escrow: to the client itself, or to a miner's owner."""

    provider_or_client_address: Address
    """Whose escrow; a client sends for itself, for a miner its owner or worker does."""
    amount: TokenAmount
    """Upper limit in attoFIL; less is paid if less is unlocked."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class WithdrawBalanceReturn:
    """The amount that WithdrawBalance paid."""

    amount: TokenAmount
    """attoFIL."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetBalanceReturn:
    """The escrow of a client or miner."""

    balance: TokenAmount
    """attoFIL, the locked part included."""
    locked: TokenAmount
    """attoFIL bound by deals as collateral and future payment."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes.

    `..._EXPORTED` of a name that is listed without is the same method, which contracts call.
    """

    SEND = 0
    """A plain transfer; it enters no escrow."""
    CONSTRUCTOR = 1
    """By the system actor, at genesis."""
    ADD_BALANCE = 2
    """By anyone, for any client or miner."""
    WITHDRAW_BALANCE = 3
    """By a client for itself; for a miner by its owner or worker, and its owner is paid."""
    PUBLISH_STORAGE_DEALS = 4
    """By owner, worker or a control address of the provider."""
    VERIFY_DEALS_FOR_ACTIVATION = 5
    """By miner actors, for sectors with deals."""
    ACTIVATE_DEALS = 6
    """By miner actors."""
    ON_MINER_SECTORS_TERMINATE = 7
    """By miner actors: deals of these sectors end, their collateral is burnt."""
    DEPRECATED1 = 8
    """Dropped; once ComputeDataCommitment."""
    CRON_TICK = 9
    """By the cron actor, each epoch."""
    GET_DEAL_LABEL_EXPORTED = 46_363_526
    """By anyone, as all getters: what the client called the deal."""
    GET_DEAL_CLIENT_EXPORTED = 128_053_329
    """Actor ID of the client."""
    GET_DEAL_TERM_EXPORTED = 163_777_312
    """First epoch, and how many."""
    GET_DEAL_CLIENT_COLLATERAL_EXPORTED = 200_567_895
    """attoFIL."""
    GET_BALANCE_EXPORTED = 726_108_461
    """By anyone: the escrow of a client or miner, attoFIL."""
    ADD_BALANCE_EXPORTED = 822_473_126
    GET_DEAL_PROVIDER_EXPORTED = 935_081_690
    """Actor ID of the miner."""
    GET_DEAL_DATA_COMMITMENT_EXPORTED = 1_157_985_802
    """CommP and padded size of the piece."""
    SETTLE_DEAL_PAYMENTS_EXPORTED = 1_900_091_594
    """By anyone: pays providers what their deals have earned so far (FIP-0074)."""
    SECTOR_CONTENT_CHANGED_EXPORTED = 2_034_386_435
    """By miner actors: pieces came into a sector, whose deals become active (FIP-0076)."""
    PUBLISH_STORAGE_DEALS_EXPORTED = 2_236_929_350
    WITHDRAW_BALANCE_EXPORTED = 2_280_458_852
    GET_DEAL_ACTIVATION_EXPORTED = 2_567_238_399
    """Epoch of activation, -1 before; fails for a deal that ended."""
    GET_DEAL_SECTOR_EXPORTED = 2_611_213_344
    """Sector in which an active deal lies; fails for any other."""
    GET_DEAL_VERIFIED_EXPORTED = 2_627_389_465
    """Whether publishing spent data cap."""
    GET_DEAL_PROVIDER_COLLATERAL_EXPORTED = 2_986_712_137
    """attoFIL."""
    GET_DEAL_TOTAL_PRICE_EXPORTED = 4_287_162_428
    """attoFIL over the whole term."""


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
