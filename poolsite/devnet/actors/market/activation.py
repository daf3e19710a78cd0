"""Deals come into sectors and go with them: what miners tell the market.

Source: builtin-actors actors/market/src/lib.rs sector_content_changed, on_miner_sectors_terminate,
validate_deal_can_activate; FIP-0076.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.exits import ActorError, bad_argument, forbidden, illegal_state
from poolsite.devnet.actors.ledger import BURNT, KIND_MINER, MARKET, actor_get, transfer
from poolsite.devnet.actors.market.book import DEAL_EXPIRED, MarketBook
from poolsite.devnet.actors.miner.book import numbers_of
from poolsite.devnet.state.deal_rows import SectorDeals, sector_deals_of
from poolsite.filecoin.actors.market import (
    ON_MINER_SECTORS_TERMINATE_PARAMS,
    SECTOR_CONTENT_CHANGED_PARAMS,
)
from poolsite.filecoin.actors.market_deals import SECTOR_CONTENT_CHANGED_RETURN, SectorContentChangedReturn
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cbor import BadCbor, uint_read
from poolsite.filecoin.deals import deal_cid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.tables import Draft
    from poolsite.filecoin.actors.market import DealProposal
    from poolsite.filecoin.actors.market_deals import PieceChange, SectorChanges


def require_miner(call: Call) -> None:
    """Refuse callers that are no miners.  Raises ActorError 18."""
    actor = actor_get(call.draft, call.caller)
    if actor is None or actor.kind != KIND_MINER:
        raise forbidden(f"caller f0{call.caller} is not one of supported")


def sector_content_changed(call: Call) -> bytes:
    """Handle SectorContentChanged: each piece that names a deal of its own activates it."""
    require_miner(call)
    sectors: tuple[SectorChanges, ...] = call.read(SECTOR_CONTENT_CHANGED_PARAMS).sectors
    book = MarketBook(call.draft)
    answers = tuple(
        tuple(_accept(call, book, sector, piece=piece) for piece in sector.added) for sector in sectors
    )
    return SECTOR_CONTENT_CHANGED_RETURN.encode(SectorContentChangedReturn(answers))


def _accept(call: Call, book: MarketBook, sector: SectorChanges, *, piece: PieceChange) -> bool:
    """Activate the deal that a piece names; False if it names none that can be."""
    try:
        number, end = uint_read(piece.payload, 0)
        if end != len(piece.payload):
            return False
        proposal = book.proposal_known(number)
        deal_check(proposal, provider=call.caller, sector_end=sector.minimum_commitment_epoch, now=call.epoch)
    except BadCbor:
        return False
    except ActorError:
        return False
    if book.progress(number) is not None or not book.is_pending(deal_cid(proposal)):
        return False
    if (piece.data, piece.size) != (proposal.piece_cid, proposal.piece_size):
        return False
    book.activate(number, provider=call.caller, sector=sector.sector, epoch=call.epoch)
    return True


def deal_check(proposal: DealProposal, *, provider: int, sector_end: int, now: int) -> None:
    """Refuse a deal that cannot begin in a sector.  Raises ActorError 16, 18, 32."""
    if proposal.provider != id_address(provider):
        raise forbidden(f"proposal has provider {proposal.provider}, must be f0{provider}")
    if now > proposal.start_epoch:
        text = f"proposal start epoch {proposal.start_epoch} has already elapsed at {now}"
        raise ActorError(DEAL_EXPIRED, text)
    if proposal.end_epoch > sector_end:
        raise bad_argument(f"proposal expiration {proposal.end_epoch} exceeds sector expiration {sector_end}")


def on_miner_sectors_terminate(call: Call) -> bytes:
    """Handle OnMinerSectorsTerminate."""
    require_miner(call)
    params = call.read(ON_MINER_SECTORS_TERMINATE_PARAMS)
    sectors_deals_end(call.draft, call.caller, numbers_of(params.sectors), epoch=params.epoch)
    return b""


def sectors_deals_end(draft: Draft, provider: int, sectors: Iterable[int], *, epoch: int) -> None:
    """End the deals of sectors that were terminated: clients are refunded, the provider's collateral burns.

    Deals that are over already stay until somebody settles them.  Raises ActorError 16, 20.
    """
    book, lost = MarketBook(draft), 0
    table = sector_deals_of(provider)
    for sector in sectors:
        row: SectorDeals | None = draft.get(table, sector)
        draft.delete(table, sector)
        for number in row.deals if row else ():
            lost += _deal_end(book, number, provider=provider, epoch=epoch)
    transfer(draft, MARKET, BURNT, lost)


def _deal_end(book: MarketBook, number: int, *, provider: int, epoch: int) -> int:
    proposal = book.proposal(number)
    if proposal is None or proposal.end_epoch <= epoch:
        return 0
    if proposal.provider != id_address(provider):
        raise illegal_state(f"caller f0{provider} is not the provider {proposal.provider} of deal {number}")
    progress = book.progress(number)
    if progress is None:
        raise bad_argument(f"no state for deal {number}")
    return book.terminate(number, proposal, progress, epoch=epoch)
