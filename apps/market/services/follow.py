"""What a head moves: downloads begin, uploads are put together, and a deal follows its piece to its end."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Final

import structlog
from django.db import transaction

from apps.chain.node.isolation import for_each_isolated
from apps.chain.selectors.heads import head_current
from apps.core.disk import DiskFull
from apps.core.errors import BadValue, DomainError, NotAllowed
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, as_reason, reason_of, refused
from apps.market.errors import DealGoesOn
from apps.market.models import Deal
from apps.market.reasons import (
    ADDRESSES_GONE,
    DATA_GONE,
    ENDED_BY_PEOPLE,
    LATE,
    LATE_FOR_START,
    SHORT_SECTOR,
    TERM_OVER,
)
from apps.market.selectors.deals import (
    deals_followed,
    deals_whole,
    is_copy_spare,
    may_be_published,
    piece_of_deal,
    sector_end_of,
    sector_terminated_at,
)
from apps.market.services.transfers import (
    chunks_discard,
    chunks_join,
    deal_fetch_begin,
    deal_move,
    deal_note,
    deal_wait,
    places_decode,
)
from apps.market.services.trimming import deals_tidy
from apps.market.states import ENDABLE, WITH_PIECE, WITHOUT_DATA, DealSource, DealState
from apps.pieces.errors import PieceBusy, PieceMismatch, PieceQuotaExceeded, PieceTooLarge, PieceTooLate
from apps.pieces.models import Piece
from apps.pieces.services.reservations import RoomAwaited
from apps.pieces.services.restored_data import data_drop, piece_data_lock
from apps.pieces.services.uploads import piece_fail, piece_release, piece_term_set
from apps.pieces.states import PieceState
from apps.users.rules.encryption import DecryptionFailed
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record

log = structlog.get_logger(__name__)

EVENTS: Final = {
    DealState.VERIFIED: "VERIFY",
    DealState.SEALING: "SEAL",
    DealState.ACTIVE: "ACTIVATE",
    DealState.ENDED: "END",
}
"""By which event a deal comes into the state of its piece."""
COMING: Final = (PieceState.UPLOADING, PieceState.FETCHING, PieceState.RECEIVED)
HELD_UP: Final = (DiskFull, RoomAwaited, PieceQuotaExceeded, PieceBusy)
"""Refusals that pass by themselves."""


def deals_advance(*, height: int, now: datetime) -> None:
    """Move each deal that goes on as far as it is now; what fails with one holds up no other."""
    for_each_isolated(
        deals_followed(height=height, now=now),
        partial(deal_advance, height=height, now=now),
        event="deal_not_advanced",
    )


def deals_join() -> None:
    """Put uploads together whose chunks are all here: what takes an hour holds up no other deal's step."""
    for_each_isolated(list(deals_whole()), _join, event="deal_not_joined")


def deal_advance(deal: Deal, *, height: int, now: datetime) -> None:
    """Move one deal: by its piece, if it has one; else its data are fetched, or given up."""
    if deal.state == DealState.FAILED:
        _held_end(deal)
        return
    if _term_follow(deal, height=height):
        return
    piece = piece_of_deal(deal)
    if piece is not None:
        _piece_follow(deal, piece, height=height)
    elif deal.state != DealState.ACCEPTED:
        _piece_gone(deal, height=height, now=now)
    if deal.state not in WITHOUT_DATA:
        return
    if late := _late_reason(deal, height=height, now=now):
        deal_fail(deal, reason=late)
    elif deal.state == DealState.ACCEPTED and deal.source == DealSource.HTTP:
        _fetch(deal)


def deal_end(deal: Deal, *, by: Principal) -> None:
    """End a deal that is in no message and no sector, as its miner's people wish.

    Raises NotAllowed, DealGoesOn.
    """
    if not by.may("write"):
        raise NotAllowed(gettext("requires permission to change the miner's deals"))
    if deal.state not in ENDABLE:
        raise DealGoesOn(gettext("only a deal that is not published and in no sector can be ended"))
    if _is_undecided(deal):
        raise DealGoesOn(gettext("one of its messages may still publish it: cancel that message first"))
    deal_fail(deal, reason=ENDED_BY_PEOPLE(), by=by)


def deal_fail(deal: Deal, *, reason: Reason | str, by: Principal | None = None) -> None:
    """End a deal that came to nothing; its chunks go, and its piece as any that nobody ends.

    One that a message may still publish waits with its data for that to be certain: it locks collateral.
    """
    if _is_undecided(deal):
        return
    chunks_discard(deal)
    before = deal.state
    with transaction.atomic():
        deal_move(deal, event="FAIL", piece=deal.piece, reason=reason)
        if by is not None:
            audit_record(principal=by, action="deal.end", target=str(deal.uuid), before={"state": before})
    chunks_discard(deal)  # one may have come in between
    _held_end(deal)
    deals_tidy(deal.miner, state=DealState.FAILED)
    log.warning("deal_failed", deal=str(deal.uuid), reason=reason[:200])


def _is_undecided(deal: Deal) -> bool:
    """Return whether a message may still publish a deal."""
    head = head_current()
    return deal.chain_deal is None and may_be_published(deal, height=0 if head is None else head.height)


def _term_follow(deal: Deal, *, height: int) -> bool:
    """End an active deal that the market actor has paid to its end; return whether a deal is over by that."""
    if deal.state not in (DealState.ACTIVE, DealState.ENDED) or deal.chain_deal is None:
        return False
    end = (deal.start_epoch or 0) + deal.duration
    if end > height:
        return False
    if deal.state == DealState.ACTIVE:
        deal_move(deal, event="END", piece=deal.piece, reason=TERM_OVER(epoch=end), height=end)
    return True


def _held_end(deal: Deal) -> None:
    """End the piece that was held for a deal which has failed."""
    if deal.piece is not None and deal.piece.state == PieceState.HELD:
        piece_fail(deal.piece, reason=deal.reason)


def _held_follow(deal: Deal, piece: Piece) -> None:
    """Note that the data of a deal are here: it waits to be published, unless that was done."""
    if deal.state in WITHOUT_DATA and deal.chain_deal is not None:
        _published_store(deal, piece)
    elif deal.state in WITHOUT_DATA:
        deal_move(deal, event="STORE", piece=piece)


@transaction.atomic
def _published_store(deal: Deal, piece: Piece) -> None:
    """Free the data of a deal for a sector that is published already: they had to come again."""
    deal_move(deal, event="VERIFY", piece=piece)
    piece_release(piece, deal=deal.chain_deal or 0, **deal.terms)


def _late_reason(deal: Deal, *, height: int, now: datetime) -> Reason | None:
    if deal.start_epoch is not None and deal.start_epoch <= height:
        return LATE_FOR_START(epoch=deal.start_epoch)
    if deal.chain_deal is None and deal.data_until is not None and deal.data_until <= now:
        return LATE()
    return None


def _join(deal: Deal) -> None:
    """Put the chunks together, or say why that waits."""
    try:
        chunks_join(deal)
    except HELD_UP as refusal:
        deal_note(deal, reason=refused(refusal))
    except (PieceMismatch, PieceTooLarge):  # said on the deal already
        deal.refresh_from_db()


def _fetch(deal: Deal) -> None:
    """Begin the download, or go on to the next of the client's URLs."""
    try:
        deal_fetch_begin(deal)
    except HELD_UP as refusal:
        deal_note(deal, reason=refused(refusal))
    except (PieceTooLate, DecryptionFailed) as refusal:
        deal_fail(deal, reason=reason_of(refusal))
    except BadValue as refusal:
        _place_next(deal, reason=refused(refusal))
    except DomainError as refusal:
        deal_note(deal, reason=refused(refusal))


def _place_next(deal: Deal, *, reason: Reason | str) -> None:
    """Try the client's next URL with the next head; without one a deal that is not published fails."""
    try:
        is_last = deal.place_at + 1 >= len(places_decode(deal))
    except DecryptionFailed as refusal:
        deal_fail(deal, reason=reason_of(refusal))
        return
    if is_last and deal.chain_deal is None:
        deal_fail(deal, reason=reason)
    else:
        deal_wait(deal, reason=reason, place_at=0 if is_last else deal.place_at + 1)


def _piece_gone(deal: Deal, *, height: int, now: datetime) -> None:
    """Wait for the data of a deal whose piece was removed, where they may come again, within another week."""
    if deal.state == DealState.ACTIVE:  # nobody removes a piece before its sector has ended
        deal_move(deal, event="END", piece=None, height=height)
    elif deal.source == DealSource.HTTP and not deal.places:
        deal_fail(deal, reason=ADDRESSES_GONE())
    else:
        deal_wait(deal, reason=DATA_GONE(), lost_at=now)


def _piece_follow(deal: Deal, piece: Piece, *, height: int) -> None:
    """Move a deal to where its piece is."""
    if piece.state in COMING:
        if deal.state == DealState.ACCEPTED:
            deal_move(deal, event="TRANSFER", piece=piece)
        return
    if piece.state == PieceState.FAILED:
        _piece_failed(deal, piece)
        return
    if piece.state == PieceState.HELD:
        _held_follow(deal, piece)
        return
    is_new = deal.state in WITHOUT_DATA
    if is_new and (refusal := _term_refusal(deal, piece, height=height)):
        deal_fail(deal, reason=refusal)
        return
    target = WITH_PIECE[piece.state]
    if deal.state == target:
        return
    event = EVENTS[target] if EVENTS[target] in Deal.TRANSITIONS[deal.state] else "SEAL"
    if event not in Deal.TRANSITIONS[deal.state]:
        return
    if is_new:  # the same data may have come in another way
        chunks_discard(deal)
    _follow_move(deal, piece, event=event, height=height)
    if is_new:
        chunks_discard(deal)  # one may have come in between


@transaction.atomic
def _follow_move(deal: Deal, piece: Piece, *, event: str, height: int) -> None:
    """Move a deal with its piece; the unsealed copy of an active one goes where nobody needs it."""
    reason = as_reason(piece.error) if deal.allocation else ""
    ended = sector_terminated_at(piece) or height if event == "END" else None
    deal_move(deal, event=event, piece=piece, reason=reason, height=ended)
    if event == "ACTIVATE" and deal.removes_copy:
        piece_data_lock(piece)
        if is_copy_spare(deal, piece):
            data_drop(piece)


def _piece_failed(deal: Deal, piece: Piece) -> None:
    """Wait for the data anew where they may come again; a refusal of the chain, or of all URLs, is final."""
    if deal.state not in WITHOUT_DATA:
        deal_fail(deal, reason=as_reason(piece.error))
    elif deal.source == DealSource.HTTP:
        _place_next(deal, reason=as_reason(piece.error))
    else:
        deal_wait(deal, reason=as_reason(piece.error))


def _term_refusal(deal: Deal, piece: Piece, *, height: int) -> Reason | None:
    """Return why a piece cannot be kept as long as its deal asks; None, and it is set, where it can."""
    if deal.allocation is not None or deal.is_published:
        return None
    if piece.state == PieceState.ACTIVE and deal.piece is None:  # a part of its sector's life has passed
        is_kept = (sector_end_of(piece) or 0) >= height + deal.duration
    else:
        is_kept = (piece.term_min or 0) >= deal.duration
    if is_kept:
        return None
    if piece.state == PieceState.READY and piece_term_set(piece, term_min=deal.duration):
        return None
    return SHORT_SECTOR(duration=deal.duration)
