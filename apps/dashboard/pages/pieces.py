"""Pieces: clients' data, where each is from its upload to an active sector, and the upload itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.checks.results import Topic
from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm, Text
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS, Facet, cursor_read, page_of
from apps.dashboard.pickers import picker
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.pieces.selectors import PieceFilter, pieces_by_uuid, pieces_counts, pieces_page, upload_get
from apps.pieces.services.uploads import piece_purpose_set, piece_remove
from apps.pieces.states import UNPLACED, PiecePurpose, PieceState
from apps.sectors.params import has_data
from apps.sectors.selectors.sectors import sectors_by_numbers
from apps.sectors.services.runs.unsealing import unseal_request
from poolsite.wire.pipeline import SectorState

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Sequence

    from django.http import HttpRequest, HttpResponse
    from django_stubs_ext import StrOrPromise

    from apps.pieces.models import Piece
    from apps.sectors.models import Sector
    from apps.users.principals import Principal

LABELS: Final[dict[str, StateLabel]] = {
    PieceState.UPLOADING: StateLabel("run", "uploading", "up"),
    PieceState.FETCHING: StateLabel("run", "downloading", "download"),
    PieceState.RECEIVED: StateLabel("run", "computing commitment"),
    PieceState.READY: StateLabel("idle", "waiting for a sector"),
    PieceState.PACKED: StateLabel("run", "being sealed"),
    PieceState.ACTIVE: StateLabel("ok", "active"),
    PieceState.ENDED: StateLabel("idle", "sector ended"),
    PieceState.FAILED: StateLabel("bad", "failed"),
}
NOT_ACTIVE: Final = StateLabel("warn", _("sealed, not active"))
"""Of a piece in a sector that waits for its first proof, or is faulty."""
FILTERS: Final = (
    ("", "All", ""),
    (PieceState.UPLOADING, "Uploading", "run"),
    (PieceState.READY, "Waiting", "wait"),
    (PieceState.PACKED, "In a sector", "run"),
    (PieceState.ACTIVE, "Active", "ok"),
    (PieceState.ENDED, "Sector ended", "idle"),
    (PieceState.FAILED, "Failed", "bad"),
)
"""Filters of the list: state, label, tone."""


@dataclass(frozen=True, slots=True)
class PurposeAct:
    """How a piece gets the other purpose."""

    href: str
    purpose: str
    label: StrOrPromise


@dataclass(frozen=True, slots=True)
class PieceRow:
    """One piece in the list."""

    key: str
    cid: str
    short: str
    miner: str
    state: str
    tone: str
    word: StrOrPromise
    icon: str
    say: str
    """Why it failed, or under what it is activated."""
    pct: int | None
    pct_text: str
    size: str
    padded: str
    sector: str
    sector_href: str
    offset: str
    data_href: str
    """Where its bytes are; empty while there are none to be had."""
    unseal_href: str
    remove_href: str
    purpose: PurposeAct | None
    made: str


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
        parts.append("for a snap-up")
    return "; ".join(parts)


def purpose_act(piece: Piece, viewer: Principal) -> PurposeAct | None:
    """Return how a piece that is in no sector gets the other purpose; None for others."""
    if piece.state not in UNPLACED or not viewer.may("write"):
        return None
    is_kept = piece.purpose == PiecePurpose.SNAP_UP
    return PurposeAct(
        href=reverse("piece-purpose", args=[piece.uuid]),
        purpose=str(PiecePurpose.ANY if is_kept else PiecePurpose.SNAP_UP),
        label=_("Allow new sectors") if is_kept else _("For snap-up"),
    )


def piece_row(piece: Piece, sector: Sector | None, viewer: Principal) -> PieceRow:
    """Lay out one piece of `pieces_visible`."""
    is_inactive = piece.state == PieceState.PACKED and sector is not None and is_sealed_in(sector)
    label = NOT_ACTIVE if is_inactive else LABELS[piece.state]
    is_coming = piece.state == PieceState.UPLOADING and bool(piece.payload_size)
    part = piece.received / (piece.payload_size or 1)
    is_sealed = bool(piece.piece_cid) and not piece.has_data and piece.state == PieceState.ACTIVE
    may_write = viewer.may("write")
    return PieceRow(
        key=str(piece.uuid),
        cid=piece.piece_cid or piece.announced_cid,
        short=formatting.shortened(piece.piece_cid or piece.announced_cid) or "not computed yet",
        miner=str(piece.miner),
        state=piece.state,
        tone=label.tone,
        word=label.word,
        icon=label.sign,
        say=piece.error or terms_text(piece),
        pct=round(100 * part) if is_coming else None,
        pct_text=formatting.percent(part, 1),
        size=" ".join(formatting.size(piece.payload_size)).strip(),
        padded=" ".join(formatting.size(piece.padded_size or None)).strip(),
        sector=formatting.NOTHING if piece.sector_number is None else str(piece.sector_number),
        sector_href="" if sector is None else reverse("sector", args=[sector.uuid]),
        offset=formatting.NOTHING if piece.offset is None else formatting.whole(piece.offset),
        data_href=reverse("v1-piece-data", args=[piece.piece_cid]) if piece.is_readable else "",
        unseal_href=reverse("piece-unseal", args=[piece.uuid]) if is_sealed else "",
        remove_href=reverse("piece-remove", args=[piece.uuid])
        if may_write and (piece.sector_number is None or piece.state == PieceState.ENDED)
        else "",
        purpose=purpose_act(piece, viewer),
        made=time_html(piece.created_at),
    )


def is_sealed_in(sector: Sector) -> bool:
    """Return whether a sector that is committed holds data: those of a snap-up come with its update."""
    return sector.state == SectorState.PROVING and has_data(sector)


def list_context(pieces: Sequence[Piece], viewer: Principal) -> list[PieceRow]:
    """Lay out one page of the list."""
    wanted = [(piece.miner_id, piece.sector_number) for piece in pieces if piece.sector_number is not None]
    sectors = sectors_by_numbers(viewer, wanted)
    return [piece_row(piece, sectors.get((piece.miner_id, piece.sector_number)), viewer) for piece in pieces]


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence how the pieces stand."""
    counts = pieces_counts(data.viewer)
    waiting = counts.get(PieceState.READY, 0)
    sealing = counts.get(PieceState.PACKED, 0)
    active = plural(counts.get(PieceState.ACTIVE, 0), "piece")
    calm = Verdict("Nothing is in progress:", gettext("{active} active.").format(active=active))
    if waiting or sealing:
        calm = Verdict(
            gettext("{pieces} in progress:").format(pieces=plural(waiting + sealing, "piece")),
            gettext("{sealing} in sectors that are not active.").format(sealing=sealing),
        )
    return verdict_by(data.report_of(Topic.PIECES), calm)


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    for row in list_context(pieces_by_uuid(context.viewer, keys), context.viewer):
        yield fragment("pieces/_row.html", piece=row)


class UploadForm(PageForm):
    """Whose sectors a file goes into; static/js/piece_upload.js sends it over REST."""

    miner = Text()
    client = Text()
    allocation = Text()
    deal = Text()
    start_epoch = Text()
    url = Text()


@require_safe
@sign_in_required
def pieces(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, newest first, and the upload."""
    return pieces_show(request, viewer)


def pieces_show(request: HttpRequest, viewer: Principal, *, error: str = "") -> HttpResponse:
    """Show the list, with what was refused."""
    state = request.GET.get("state", "")
    cursor = cursor_read(request.GET.get("after", ""))
    data = PageData(viewer)
    wanted = PieceFilter(
        state=state if state in PieceState.values else "", before=int(cursor) if cursor else None
    )
    shown, pager = page_of(
        pieces_page(viewer, wanted, limit=ROWS + 1),
        cursor_of=lambda row: str(row.pk),
        query=request.GET.dict(),
        is_first=not cursor,
    )
    return page_render(
        request,
        "pieces/list.html",
        title=_("Pieces"),
        section="pieces",
        page_key="pieces",
        data=data,
        status=422 if error else 200,
        pieces=list_context(shown, viewer),
        pager=pager,
        verdict=list_verdict_of(data),
        facets=facets(state),
        filtered=bool(state),
        here=reverse("pieces"),
        form=UploadForm(),
        miners=picker(viewer, "miner"),
        purposes=[(str(one), one.label) for one in PiecePurpose],
        can_upload=viewer.may("write"),
        error=error,
    )


def facets(state: str) -> list[Facet]:
    """Return the list's filters with their addresses."""
    here = reverse("pieces")
    return [
        Facet(
            key=str(key),
            label=label,
            href=f"{here}?{urlencode({'state': key})}" if key else here,
            on=key == state,
            tone=tone,
            icon=tone,
        )
        for key, label, tone in FILTERS
    ]


def _acted(
    request: HttpRequest, viewer: Principal, key: uuid.UUID, action: Callable[[Piece], Any]
) -> HttpResponse:
    piece = upload_get(viewer, str(key))
    try:
        action(piece)
    except DomainError as refusal:
        return pieces_show(request, viewer, error=refusal.reason)
    return redirect("pieces")


@require_POST
@sign_in_required
def unseal(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Have a piece unsealed of which no copy is kept."""
    return _acted(request, viewer, key, lambda piece: unseal_request(piece, now=now()))


@require_POST
@sign_in_required
def remove(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Remove a piece that is in no sector."""
    if not viewer.may("write"):
        raise Http404
    return _acted(request, viewer, key, lambda piece: piece_remove(piece, by=viewer))


@require_POST
@sign_in_required
def purpose(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Set into which sectors a piece goes."""
    if not viewer.may("write"):
        raise Http404
    wanted = request.POST.get("purpose", "")
    return _acted(request, viewer, key, lambda piece: piece_purpose_set(piece, wanted, by=viewer))


NAV: Final = NavItem("pieces", _("Pieces"), "storage", place=(1, 8))
urlpatterns: Final = [
    path("pieces/", pieces, name="pieces"),
    path("pieces/<uuid:key>/unseal/", unseal, name="piece-unseal"),
    path("pieces/<uuid:key>/purpose/", purpose, name="piece-purpose"),
    path("pieces/<uuid:key>/remove/", remove, name="piece-remove"),
]
LIVE: Final = {"pieces": LivePage({"piece": (list_verdict,)}, rows={"piece": rows}, findings=list_verdict)}
