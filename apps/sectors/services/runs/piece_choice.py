"""Which waiting pieces go into a committed sector."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from apps.chain.errors import NodeRefused
from apps.core.marked_texts import gettext
from apps.pieces.data.files import is_known_stored
from apps.pieces.models import Piece
from apps.pieces.onchain import terms_read, terms_refusal
from apps.pieces.reasons import BYTES_GONE
from apps.pieces.selectors import piece_name
from apps.pieces.states import PieceState
from apps.sectors.errors.runs import NoPieces
from apps.sectors.models import Sector
from apps.sectors.onchain.deadline_windows import open_deadline_read
from apps.sectors.rules.first_epochs import late_refusal
from apps.sectors.selectors.first_epochs import first_epoch_read
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.sealing.packing import PackedSector, pieces_plan
from poolsite.filecoin.deadlines import DeadlineInfo
from poolsite.wire.jobs import JobKind


def pieces_choose(
    sector: Sector,
    *,
    piece_cids: Sequence[str] = (),
    among: Sequence[Piece] | None = None,
    current: DeadlineInfo | None = None,
    work: SealingContext,
) -> PackedSector:
    """Return the pieces that go into a sector: the named ones, or of those that wait as many as fit.

    `among`: these very rows, as one commitment may wait under several terms.  `current` is the miner's open
    deadline, where it is known.

    Raises NoPieces, PieceUnknown for what is no piece CID.
    """
    rows = Piece.objects.filter(miner=sector.miner, state=PieceState.READY, has_data=True)
    if among is not None:
        rows = rows.filter(pk__in=[piece.pk for piece in among])
    rows = rows.select_related("miner").order_by("pk")
    names = {cid: piece_name(cid) for cid in piece_cids}
    if names:
        rows = rows.filter(reduce(or_, (name.committed for name in names.values())))
    waiting = list(rows)
    unknown = sorted(cid for cid, name in names.items() if not any(map(name.is_of, waiting)))
    if unknown:
        raise NoPieces(
            gettext("{piece} is not waiting for a sector of {miner}").format(
                piece=unknown[0], miner=sector.miner
            ),
            field="pieces",
        )
    is_dated = any(any(one is not None for one in (*piece.terms, piece.last_epoch)) for piece in waiting)
    first = _first_epoch(sector, current, work) if is_dated else 0
    refused = {piece.pk: reason for piece in waiting if (reason := _refusal(piece, sector, first, work))}
    if piece_cids and refused:
        raise NoPieces(next(iter(refused.values())), field="pieces")
    plan = pieces_plan(
        [piece for piece in waiting if piece.pk not in refused], sector_size=sector.sector_size
    )
    if not plan:
        text = next(iter(refused.values()), gettext("no piece is waiting for a sector"))
        raise NoPieces(text, field="pieces")
    if piece_cids and len(plan) > 1:
        raise NoPieces(gettext("the pieces do not fit into one sector"), field="pieces")
    return plan[0]


def latest_ends_list(pieces: Sequence[Piece], *, height: int) -> list[int]:
    """Return the epochs until which these pieces' allocations let a sector live, the latest first."""
    return sorted({height + one.term_max for one in pieces if one.term_max is not None}, reverse=True)


def _first_epoch(sector: Sector, current: DeadlineInfo | None, work: SealingContext) -> int:
    """Return the first epoch at which data put into this sector now can be active."""
    height = work.head.height
    if current is None:
        current = open_deadline_read(work.client, sector.miner.address, key=work.head.key, height=height)
    return first_epoch_read(
        sector.miner,
        JobKind.SNAP_UP,
        height=height,
        network=work.network,
        current=current,
        index=sector.deadline,
    )


def _refusal(piece: Piece, sector: Sector, first: int, work: SealingContext) -> str:
    """Return why a piece cannot go into this very sector; empty if it can."""
    if not is_known_stored(piece):
        return BYTES_GONE()
    height, key = work.head.height, work.head.key
    reason = terms_refusal(work.client, piece, height=height, key=key)
    if reason:
        return reason
    try:
        terms = terms_read(work.client, piece, key=key)
    except NodeRefused as refusal:
        return refusal.reason
    if "terms_epoch" in terms:
        piece.terms_epoch = terms["terms_epoch"]
    if late := late_refusal(piece, first=first):
        return late
    expiration = sector.expiration or 0
    if terms.get("end_epoch", 0) > expiration:
        return gettext("deal {deal} ends at epoch {end}, but sector {number} at {expiration}").format(
            deal=piece.deal, end=terms["end_epoch"], number=sector.number, expiration=expiration
        )
    # A term is counted from where the update lands.
    left, took = expiration - height, work.network.proving.period
    if piece.allocation is None and (piece.term_min or 0) > left - took:
        return gettext(
            "its client wants it kept for {least} epochs, but sector {number} has {left} left, of which its "
            "update may take {took}"
        ).format(least=piece.term_min, number=sector.number, left=left, took=took)
    if terms.get("term_min", 0) <= left - took and left <= terms.get("term_max", left):
        return ""
    return gettext(
        "allocation {allocation} is for {least} to {most} epochs, but sector {number} has {left} left, of "
        "which its update may take {took}"
    ).format(
        allocation=piece.allocation,
        least=terms["term_min"],
        most=terms["term_max"],
        number=sector.number,
        left=left,
        took=took,
    )
