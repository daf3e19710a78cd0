"""What anybody may ask the market of a deal.

Source: builtin-actors actors/market/src/lib.rs get_deal_*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import ActorError
from poolsite.devnet.actors.market.deals import DEAL_NOT_ACTIVATED, Market
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
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deals import UNDEFINED_EPOCH, deal_duration, storage_fee

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.actors.market import DealProposal


def _number(call: Call) -> int:
    number: int = call.read(DealQueryParams).id
    return number


def _proposal(call: Call) -> DealProposal:
    return Market(call.draft).proposal_or_fail(_number(call))


def deal_data(call: Call) -> bytes:
    """Handle GetDealDataCommitment."""
    deal = _proposal(call)
    return to_cbor(GetDealDataCommitmentReturn(deal.piece_cid, deal.piece_size))


def deal_client(call: Call) -> bytes:
    """Handle GetDealClient."""
    return to_cbor(GetDealActorReturn(_proposal(call).client.actor_id))


def deal_provider(call: Call) -> bytes:
    """Handle GetDealProvider."""
    return to_cbor(GetDealActorReturn(_proposal(call).provider.actor_id))


def deal_label(call: Call) -> bytes:
    """Handle GetDealLabel."""
    return to_cbor(GetDealLabelReturn(_proposal(call).label))


def deal_term(call: Call) -> bytes:
    """Handle GetDealTerm."""
    deal = _proposal(call)
    return to_cbor(GetDealTermReturn(deal.start_epoch, deal_duration(deal)))


def deal_price(call: Call) -> bytes:
    """Handle GetDealTotalPrice."""
    return to_cbor(GetDealAmountReturn(storage_fee(_proposal(call))))


def deal_client_collateral(call: Call) -> bytes:
    """Handle GetDealClientCollateral."""
    return to_cbor(GetDealAmountReturn(_proposal(call).client_collateral))


def deal_provider_collateral(call: Call) -> bytes:
    """Handle GetDealProviderCollateral."""
    return to_cbor(GetDealAmountReturn(_proposal(call).provider_collateral))


def deal_verified(call: Call) -> bytes:
    """Handle GetDealVerified."""
    return to_cbor(GetDealVerifiedReturn(_proposal(call).verified_deal))


def deal_activation(call: Call) -> bytes:
    """Handle GetDealActivation."""
    _proposal(call)
    progress = Market(call.draft).progress(_number(call))
    start = UNDEFINED_EPOCH if progress is None else progress.start
    return to_cbor(GetDealActivationReturn(start, UNDEFINED_EPOCH))


def deal_sector(call: Call) -> bytes:
    """Handle GetDealSector.  Raises ActorError 33 for a deal that is in none."""
    _proposal(call)
    number = _number(call)
    progress = Market(call.draft).progress(number)
    if progress is None:
        raise ActorError(DEAL_NOT_ACTIVATED, f"deal {number} not yet activated")
    return to_cbor(GetDealSectorReturn(progress.sector))
