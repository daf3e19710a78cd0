"""Deals that a pre-commit names: whether they can begin in the sector, and what data they make it hold.

Source: builtin-actors actors/market/src/lib.rs verify_deals_for_activation, validate_deals_for_sector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument
from poolsite.devnet.actors.market.activation import deal_check, deals_commitment
from poolsite.devnet.actors.market.deals import Market
from poolsite.filecoin.actors.market_deals import (
    SectorDeals,
    VerifyDealsForActivationParams,
    VerifyDealsForActivationReturn,
)
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.sector import BadProofType, seal_proof

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.cids import Cid


def verify_deals(call: Call) -> bytes:
    """Handle VerifyDealsForActivation."""
    call.require_miner()
    sectors: tuple[SectorDeals, ...] = call.read(VerifyDealsForActivationParams).sectors
    found = tuple(_sector_check(call, sector) for sector in sectors)
    return to_cbor(VerifyDealsForActivationReturn(found))


def _sector_check(call: Call, sector: SectorDeals) -> Cid | None:
    """CommD of a sector's deals, None without any.  Raises ActorError 16, 17, 18, 32."""
    market = Market(call.draft)
    seen: set[int] = set()
    deals = []
    for number in sector.deal_ids:
        if number in seen:
            raise bad_argument(f"duplicate deal ID {number} in sector")
        seen.add(number)
        deals.append(market.proposal_or_fail(number))
        deal_check(deals[-1], provider=call.caller, sector_end=sector.sector_expiry, now=call.epoch)
    try:
        size = seal_proof(sector.sector_type).sector_size
    except BadProofType as error:
        raise bad_argument(f"sector size unknown: {error}") from None
    space = sum(deal.piece_size for deal in deals)
    if space > size:
        raise bad_argument(f"deals too large to fit in sector {space} > {size}")
    return deals_commitment(deals, sector.sector_type) if deals else None
