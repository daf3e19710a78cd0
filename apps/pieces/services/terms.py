"""Noting why pieces wait: what the chain says of their terms, or since when nothing; bytes that are gone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

import structlog
from django.db import IntegrityError, transaction

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.core import clock
from apps.core.live import Change, publish
from apps.core.reasons import Reason, as_reason, refused
from apps.pieces.data.files import is_known_stored
from apps.pieces.errors import TermsMissing
from apps.pieces.models import Piece
from apps.pieces.onchain import NodeCaller, expired_allocation_read, terms_look_up, terms_read
from apps.pieces.reasons import ALLOCATION_EXPIRED, BYTES_GONE

log = structlog.get_logger(__name__)

ASKED_MAX: Final = 200
"""Pieces of one miner that wait and whose terms are asked for at a head: each costs a request to a node."""


def terms_note(client: NodeCaller, *, pieces: Iterable[Piece], key: str) -> None:
    """Note the terms of pieces that were not read yet; once for each, as they never change.

    What the node does not report now is read at the next head.
    """
    for piece in pieces:
        if piece.has_unread_terms:
            with suppress(NodeRefused):
                _terms_write(piece, terms_read(client, piece, key=key))


def terms_turn_note(pieces: Collection[Piece]) -> list[Piece]:
    """Return for which of these pieces a node is asked at this head: all, or those that waited longest."""
    if len(pieces) <= ASKED_MAX:
        return list(pieces)
    found = sorted(pieces, key=lambda piece: (piece.updated_at, piece.pk))[:ASKED_MAX]
    Piece.objects.filter(pk__in=[piece.pk for piece in found]).update(updated_at=clock.now())
    return found


def terms_check(piece: Piece, *, client: ChainClient, height: int, key: str, finality: int) -> str | None:
    """Return why a piece's terms are good no more; empty if they are, None while that is not certain.

    Terms that were not read yet are noted out of the same answers.

    It is not while a node says nothing of them, nor before the chain has lacked them for `finality` epochs:
    a reorganisation takes away an allocation, or a deal, that is there again some epochs later.
    """
    try:
        reason, terms = terms_look_up(client, piece, height=height, key=key)
    except NodeRefused as refusal:
        log.info("terms_not_read", piece=str(piece), reason=refusal.reason[:300])
        return None
    except TermsMissing as missing:
        if piece.terms_missing_since is None:
            _error_note(piece, since=height, error=refused(missing))
        return missing.reason if height - (piece.terms_missing_since or 0) >= finality else None
    if piece.terms_missing_since is not None:
        _error_note(piece, since=None, error="")
    if piece.has_unread_terms and terms:
        _terms_write(piece, terms)
    return reason


def _terms_write(piece: Piece, terms: dict[str, int]) -> None:
    for name, value in terms.items():
        setattr(piece, name, value)
    Piece.objects.filter(pk=piece.pk).update(**terms)


def expired_allocations_remove(
    pieces: Iterable[Piece], *, client: NodeCaller, height: int, key: str
) -> list[Piece]:
    """Remove expired allocations from pieces of pre-committed sectors; return these pieces.

    With one the chain refuses the sector's commit for good, and deposit and all other pieces are lost with
    it; without it the piece is stored, and counts once instead of ten times.  Raises NodeRefused.
    """
    dropped = []
    for piece in pieces:
        if piece.allocation is None or piece.terms_epoch is None or piece.terms_epoch > height:
            continue
        name = expired_allocation_read(client, piece, height=height, key=key)
        if name and _allocation_drop(piece, name=name, client=client, key=key):
            dropped.append(piece)
    return dropped


def _allocation_drop(piece: Piece, *, name: str, client: NodeCaller, key: str) -> bool:
    """Keep a piece without its allocation; False if its miner has the same bytes without one already."""
    error = ALLOCATION_EXPIRED(name=as_reason(name))
    piece.client = piece.allocation = None
    without = ("client", "allocation", "term_min", "term_max", "terms_epoch")
    columns = dict.fromkeys(without) | terms_read(client, piece, key=key)
    try:
        with transaction.atomic():
            Piece.objects.filter(pk=piece.pk).update(**columns, error=error, updated_at=clock.now())
    except IntegrityError:
        log.warning("allocation_not_dropped", piece=str(piece), allocation=name)
        return False
    log.warning("allocation_expired", piece=str(piece), allocation=name, sector=piece.sector_number)
    publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
    return True


def wait_note(piece: Piece, *, reason: Reason | str) -> None:
    """Note why a piece with good terms is in no sector yet; the first reason stays, as its numbers move."""
    if not piece.error:
        _error_note(piece, since=None, error=as_reason(reason))


def loss_wait_note(piece: Piece) -> bool:
    """Return whether the bytes of a piece that is due are gone; its row says so, and what to do, meanwhile.

    `has_data` stays: the folder may be away for a moment.
    """
    is_lost = not is_known_stored(piece)
    if is_lost != BYTES_GONE.made(piece.error):
        _error_note(piece, since=None, error=BYTES_GONE() if is_lost else "")
    return is_lost


def _error_note(piece: Piece, *, since: int | None, error: Reason | str) -> None:
    piece.terms_missing_since, piece.error = since, error
    Piece.objects.filter(pk=piece.pk).update(terms_missing_since=since, error=error, updated_at=clock.now())
    publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
