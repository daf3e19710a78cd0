"""One piece in the list: its state, its terms, what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import clauses_text
from apps.core.reasons import shown_text
from apps.dashboard.labels import StateLabel
from apps.pieces.selectors import deal_client
from apps.pieces.states import UNPLACED, IndexOutcome, PiecePurpose, PieceState
from apps.sectors.rules.params import has_data
from apps.sectors.selectors.sectors import sectors_by_numbers
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import SectorState

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.pieces.models import Piece
    from apps.sectors.models import Sector

FILE_SHOWN: Final = 40
"""Characters of a file's name, the last: CAR files of one client begin alike."""

LABELS: Final[dict[str, StateLabel]] = {
    PieceState.UPLOADING: StateLabel("run", _("uploading"), "up"),
    PieceState.FETCHING: StateLabel("run", _("downloading"), "download"),
    PieceState.RECEIVED: StateLabel("run", _("computing commitment")),
    PieceState.HELD: StateLabel("idle", _("waiting for its deal")),
    PieceState.READY: StateLabel("idle", _("waiting for a sector")),
    PieceState.PACKED: StateLabel("run", _("being sealed")),
    PieceState.ACTIVE: StateLabel("ok", _("active")),
    PieceState.ENDED: StateLabel("idle", _("sector ended")),
    PieceState.FAILED: StateLabel("bad", _("failed")),
}
NOT_ACTIVE: Final = StateLabel("warn", _("sealed, not active"))
"""Of a piece in a sector that waits for its first proof, or is faulty."""


@dataclass(frozen=True, slots=True)
class PurposeAct:
    """How a piece gets the other purpose."""

    href: str
    purpose: str
    label: StrOrPromise


@dataclass(frozen=True, slots=True)
class PieceRow:
    """One piece in the list."""

    row: Piece
    short: str
    uploader: str
    label: StateLabel
    say: str
    """Why it failed, how much of it was downloaded, or under what it is activated."""
    pct: int | None
    pct_text: str
    size: str
    padded: str
    sector: str
    sector_href: str
    offset: str
    data_href: str
    """Where its bytes are; empty while there are none to be had."""
    blocks: str
    """How many blocks it holds as a CAR, or why none can be retrieved by CID."""
    blocks_tone: str
    index_href: str
    """Address of the act that indexes its blocks anew; empty: they were not yet, or may not be."""
    unseal_href: str
    remove_href: str
    purpose: PurposeAct | None


def terms_text(piece: Piece) -> str:
    """Under what a piece is activated: `allocation 3 of f01010; deal 7; by epoch 9000`."""
    parts = []
    if piece.allocation is not None:
        parts.append(
            gettext("allocation {allocation} of f0{client}").format(
                allocation=piece.allocation, client=piece.client
            )
        )
    if piece.deal is not None:
        parts.append(gettext("deal {deal}").format(deal=piece.deal))
    if piece.last_epoch is not None:
        parts.append(
            gettext("active by epoch {start_epoch}").format(start_epoch=formatting.whole(piece.last_epoch))
        )
    if piece.purpose == PiecePurpose.SNAP_UP and piece.state in UNPLACED:
        parts.append(gettext("for a snap-up"))
    return clauses_text(parts)


def say_text(piece: Piece) -> str:
    """Return where a piece comes from, why it failed or waits or how much came, and what activates it."""
    parts = [] if piece.piece_cid or not piece.source_url else [source_text(piece.source_url)]
    if piece.error:
        again = [gettext("tried again each minute")] if piece.state == PieceState.FETCHING else []
        return clauses_text([*parts, shown_text(piece.error), *again])
    if piece.state == PieceState.FETCHING and piece.received:
        received = " ".join(formatting.size(piece.received)).strip()
        parts.append(gettext("{size} received").format(size=received))
    return clauses_text(filter(None, [*parts, terms_text(piece)]))


def source_text(url: str) -> str:
    """Return the host of a URL and the end of its path, which tell one download from another."""
    parts = urlsplit(url)
    file = parts.path.rstrip("/").rpartition("/")[2]
    return gettext("from {url}").format(url=f"{parts.hostname}/{file[-FILE_SHOWN:]}")


def uploader_text(piece: Piece) -> str:
    """Return who sent a piece, or had it downloaded; empty where nobody is known."""
    if client := deal_client(piece):
        return gettext("client {address}").format(address=formatting.shortened(client))
    return piece.actor


def blocks_text(piece: Piece) -> str:
    """Return how many blocks of a CAR can be retrieved, or why none can."""
    index = piece.index
    if index is None:
        return formatting.NOTHING
    why = [shown_text(index.reason)] if index.reason else []
    if index.is_due:
        return clauses_text([gettext("to be indexed"), *why])
    if index.outcome != IndexOutcome.INDEXED:
        return clauses_text([IndexOutcome(index.outcome).label, *why])
    blocks = ngettext("{count} data block", "{count} data blocks", index.blocks)
    parts = [blocks.format(count=formatting.whole(index.blocks))]
    if index.left_out:
        parts.append(gettext("{count} left out").format(count=formatting.whole(index.left_out)))
    return clauses_text([*parts, *why])


def purpose_act(piece: Piece, viewer: Principal) -> PurposeAct | None:
    """Return how a piece that is in no sector gets the other purpose; None for others."""
    if piece.state not in UNPLACED or not viewer.may("write"):
        return None
    is_for_snap_up = piece.purpose == PiecePurpose.SNAP_UP
    return PurposeAct(
        href=reverse("piece-purpose", args=[piece.uuid]),
        purpose=str(PiecePurpose.ANY if is_for_snap_up else PiecePurpose.SNAP_UP),
        label=_("Allow new sectors") if is_for_snap_up else _("Snap-ups only"),
    )


def piece_row(piece: Piece, sector: Sector | None, viewer: Principal) -> PieceRow:
    """Lay out one piece of `pieces_visible`."""
    is_inactive = sector is not None and (
        (piece.state == PieceState.PACKED and is_sealed_in(sector))
        or (piece.state == PieceState.ACTIVE and not sector.active)
    )
    label = NOT_ACTIVE if is_inactive else LABELS[piece.state]
    is_coming = piece.state == PieceState.UPLOADING and bool(piece.payload_size)
    part = piece.received / (piece.payload_size or 1)
    is_sealed = bool(piece.piece_cid) and not piece.has_data and piece.state == PieceState.ACTIVE
    may_write = viewer.may("write")
    return PieceRow(
        row=piece,
        short=formatting.shortened(piece.piece_cid or piece.announced_cid) or gettext("not computed yet"),
        uploader=uploader_text(piece),
        label=label,
        say=say_text(piece),
        pct=round(100 * part) if is_coming else None,
        pct_text=formatting.percent(part, 1),
        size=" ".join(formatting.size(piece.payload_size)).strip(),
        padded=" ".join(formatting.size(piece.padded_size or None)).strip(),
        sector=formatting.NOTHING if piece.sector_number is None else str(piece.sector_number),
        sector_href="" if sector is None else reverse("sector", args=[sector.uuid]),
        offset=formatting.NOTHING if piece.offset is None else formatting.whole(piece.offset),
        data_href=reverse("v1-piece-data", args=[piece.piece_cid]) if piece.is_readable else "",
        blocks=blocks_text(piece),
        blocks_tone="bad" if piece.index is not None and piece.index.reason else "",
        index_href=reverse("piece-index", args=[piece.uuid])
        if may_write and piece.is_readable and piece.index is not None and not piece.index.is_due
        else "",
        unseal_href=reverse("piece-unseal", args=[piece.uuid]) if is_sealed else "",
        remove_href=reverse("piece-remove", args=[piece.uuid])
        if may_write and (piece.sector_number is None or piece.state == PieceState.ENDED)
        else "",
        purpose=purpose_act(piece, viewer),
    )


def is_sealed_in(sector: Sector) -> bool:
    """Return whether a sector that is committed holds data: those of a snap-up come with its update."""
    return sector.state == SectorState.PROVING and has_data(sector)


def list_context(pieces: Sequence[Piece], viewer: Principal) -> list[PieceRow]:
    """Lay out one page of the list."""
    wanted = [(piece.miner_id, piece.sector_number) for piece in pieces if piece.sector_number is not None]
    sectors = sectors_by_numbers(viewer, wanted)
    return [piece_row(piece, sectors.get((piece.miner_id, piece.sector_number)), viewer) for piece in pieces]
