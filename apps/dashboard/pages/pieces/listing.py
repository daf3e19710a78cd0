"""Pieces: clients' data, where each is from its upload to an active sector, and the upload itself."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard import cells
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm
from apps.dashboard.fragments import FragmentContext, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.pieces.rows import PieceRow, list_context
from apps.dashboard.pages.pieces.storage import storage_bar
from apps.dashboard.pickers import picker
from apps.dashboard.refusals import refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.templatetags.poolsite import icon
from apps.dashboard.text_fields import Text
from apps.dashboard.todo import verdict_by
from apps.pieces.selectors import PieceFilters, pieces_by_uuid, pieces_counts, pieces_visible
from apps.pieces.states import PiecePurpose, PieceState
from apps.sectors.errors.verified import AllocationUnknown
from apps.sectors.selectors.allocations import allocation_get
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apps.pieces.models import Piece
    from apps.sectors.models import Allocation

STATES: Final = (
    ("", _("All"), "", ""),
    (PieceState.UPLOADING, _("Uploading"), "run", "run"),
    (PieceState.FETCHING, _("Downloading"), "run", "run"),
    (PieceState.RECEIVED, _("Computing commitment"), "run", "run"),
    (PieceState.HELD, _("Waiting for a deal"), "wait", "wait"),
    (PieceState.READY, _("Waiting"), "wait", "wait"),
    (PieceState.PACKED, _("In a sector"), "run", "run"),
    (PieceState.ACTIVE, _("Active"), "ok", "ok"),
    (PieceState.ENDED, _("Sector ended"), "idle", "idle"),
    (PieceState.FAILED, _("Failed"), "bad", "bad"),
)
ARRIVING: Final = (PieceState.UPLOADING, PieceState.FETCHING, PieceState.RECEIVED, PieceState.HELD)
"""States of what does not wait for a sector yet."""


def counts_by_state(data: PageData) -> dict[str, int]:
    """Return how many pieces are in each state."""
    return dict.fromkeys(PieceState.values, 0) | pieces_counts(data.viewer)


def verdict(data: PageData) -> Verdict:
    """Return in one sentence how the pieces stand."""
    counts = data.of(counts_by_state)
    waiting = counts.get(PieceState.READY, 0)
    sealing = counts.get(PieceState.PACKED, 0)
    active = plural(counts.get(PieceState.ACTIVE, 0), "piece")
    calm = Verdict(gettext("Nothing is in progress:"), gettext("{active} active.").format(active=active))
    coming = sum(counts.get(state, 0) for state in ARRIVING)
    if waiting or sealing or coming:
        calm = Verdict(
            gettext("{pieces} in progress:").format(pieces=plural(coming + waiting + sealing, "piece")),
            gettext("{coming} arriving, {sealing} in sectors that are not active.").format(
                coming=coming, sealing=sealing
            ),
        )
    return verdict_by(data.report_of(Topic.PIECES), calm)


def storage(context: FragmentContext) -> Iterable[str]:
    yield fragment("pieces/_storage.html", **storage_shown(context.viewer))


def storage_shown(viewer: Principal) -> dict[str, Any]:
    """Return what the viewer's own tenant may store, and does."""
    return {"storage": storage_bar(viewer.own_id), "tenant": viewer.tenant_name}


def changed(context: FragmentContext, keys: list[str]) -> QuerySet[Piece]:
    """Return the pieces that changed."""
    return pieces_by_uuid(context.viewer, keys)


def links(_data: PageData) -> Iterable[Link]:
    """Return the buttons above the list."""
    yield Link(_("Allocations"), reverse("allocations"))
    yield Link(_("Verified claims"), reverse("claims"))


def commitment(row: PieceRow) -> SafeString:
    """Return a piece's commitment, in both versions."""
    piece = row.row
    short = cells.short_id(row.short, piece.piece_cid or piece.announced_cid)
    return cells.joined(
        short, cells.sub(formatting.shortened(piece.piece_cid_v2), "id", title=piece.piece_cid_v2)
    )


def file(row: PieceRow) -> SafeString:
    """Return what its sender calls it, and who that is."""
    name = row.row.file_name
    shown = format_html("<bdi{}>{}</bdi>", cells.title_of(name), name) if name else formatting.NOTHING
    return cells.joined(shown, cells.sub(row.uploader, title=row.row.actor))


def terms(row: PieceRow) -> SafeString:
    """Return how much of it came, or under what it is activated and what it holds as a CAR."""
    if row.pct is not None:
        return cells.partial("charts/_bar.html", pct=row.pct, text=row.pct_text, tone="run")
    sentence = row.say or formatting.NOTHING
    if row.blocks == formatting.NOTHING:
        return format_html('<span class="muted s">{}</span>', sentence)
    held = format_html('<span data-tone="{}">{}</span>', row.blocks_tone, row.blocks)
    return format_html('<span class="muted s">{}<br>{}</span>', sentence, held)


def size(row: PieceRow) -> SafeString:
    """Return how long it is, and what it takes in a sector."""
    padded = gettext("{size} in a sector").format(size=row.padded) if row.padded else ""
    return cells.joined(row.size, cells.sub(padded))


def sector(row: PieceRow) -> SafeString:
    """Return the sector that holds it, and where in it."""
    offset = gettext("at {offset}").format(offset=row.offset) if row.row.offset else ""
    return cells.joined(cells.link(row.sector_href, row.sector), cells.sub(offset))


def acts(row: PieceRow, token: str) -> SafeString:
    """Return what can be done to a piece."""
    key, shown = row.row.uuid, []
    if row.data_href:
        text = cells.joined(icon("download"), gettext("Download"))
        button = '<a class="btn" data-size="s" href="{}" download id="get-{}">{}</a>'
        shown.append(format_html(button, row.data_href, key, text))
    elif row.unseal_href:
        shown.append(cells.post_button(row.unseal_href, gettext("Unseal"), id=f"unseal-{key}", token=token))
    if row.index_href:
        again = gettext("Index again")
        shown.append(cells.post_button(row.index_href, again, id=f"index-{key}", token=token))
    if row.purpose is not None:
        fields = {"purpose": row.purpose.purpose}
        shown.append(
            cells.post_button(
                row.purpose.href, row.purpose.label, id=f"purpose-{key}", fields=fields, token=token
            )
        )
    if row.remove_href:
        shown.append(cells.post_button(row.remove_href, gettext("Remove…"), id=f"remove-{key}", token=token))
    return cells.buttons(*shown)


def upload_shown(request: HttpRequest, data: PageData) -> dict[str, Any]:
    """Return the form for a client's data, of an allocation if the address names one."""
    viewer = data.viewer
    allocation, form, _unknown = allocation_form(viewer, request.GET.get("take", ""))
    return {
        "form": form,
        "upload": {
            "allocation": allocation,
            "is_open": allocation is not None or not pieces_visible(viewer).exists(),
        },
        "miners": picker(viewer, "miner", value=form.typed["miner"]),
        "purposes": [(str(one), one.label) for one in PiecePurpose],
        "can_upload": viewer.may("write"),
        **storage_shown(viewer),
    }


PIECES: Final = ListPage(
    name="pieces",
    one="piece",
    title=_("Pieces"),
    table=_("Table of pieces"),
    caption=_("Pieces, newest first"),
    icon="storage",
    template="pieces/list.html",
    more=upload_shown,
    rows=lambda data: pieces_visible(data.viewer),
    lay_out=lambda rows, data: list_context(rows, data.viewer),
    id_of=attrgetter("row.uuid"),
    order_of=attrgetter("row.pk"),
    tones=("bad",),
    data_of=lambda row: {"data-state": row.row.state},
    verdict=verdict,
    verdict_on=("piece",),
    live={"piece": changed},
    live_too={"piece": (storage,)},
    filters=PieceFilters,
    search=_("CID, id, number, client or file"),
    search_css="w-l",
    beside_too=("take",),
    facets=STATES,
    counts=counts_by_state,
    links=links,
    empty=lambda _data: Empty(
        _("No pieces yet"),
        _(
            "A piece is a client's file. Upload one here or over REST: its commitment is computed, it is "
            "packed into a sector with others and sealed, and it is active once the sector is proven."
        ),
    ),
    none=Empty(_("No matching pieces"), _("No pieces match these filters.")),
    columns=(
        Column(head=_("Piece"), cell=commitment, css="keep", is_name=True),
        Column(head=_("File"), cell=file, css="keep", key="file", by="file_name"),
        Column(
            head=_("State"),
            cell=lambda row: cells.chip(row.label),
            css="c-state tight",
            is_plain=True,
            key="state",
            by="state",
        ),
        Column(head=pgettext_lazy("of a deal", "Terms"), cell=terms, css="c-half c-says", key="terms"),
        Column(head=_("Size"), cell=size, css="num keep", key="size", by="payload_size"),
        Column(head=_("Miner"), cell=attrgetter("row.miner"), css="keep", key="miner", by="miner__actor_id"),
        Column(
            head=_("Sector"),
            cell=sector,
            css="num keep",
            key="sector",
            by="sector_number",
        ),
        Column(
            head=_("Created"),
            cell=lambda row: time_html(row.row.created_at),
            css="num keep",
            key="created",
            by="created_at",
        ),
        Column(head=_("Actions"), acts=acts, css="c-wide"),
    ),
    csv={
        "id": attrgetter("uuid"),
        **{name: attrgetter(name) for name in ("piece_cid", "piece_cid_v2", "payload_size", "padded_size")},
        "file_name": attrgetter("file_name"),
        "uploader": attrgetter("actor"),
        "state": attrgetter("state"),
        "miner": attrgetter("miner.address"),
        "sector": attrgetter("sector_number"),
        "offset": attrgetter("offset"),
        "client": lambda row: "" if row.client is None else f"f0{row.client}",
        **{name: attrgetter(name) for name in ("allocation", "deal", "start_epoch", "purpose")},
        "blocks": lambda row: "" if row.index is None else row.index.blocks,
        "created": lambda row: row.created_at.isoformat(),
    },
)


class UploadForm(PageForm):
    """Whose sectors a file goes into; static/js/piece_upload.js sends it over REST."""

    miner = Text()
    announced = Text()
    padded_size = Text()
    """Of an allocation: its place may be larger than the file needs."""
    client = Text()
    allocation = Text()
    deal = Text()
    start_epoch = Text()
    url = Text()
    payload_size = Text()


@require_safe
@sign_in_required
def pieces(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, newest first, and the upload."""
    return pieces_show(request, viewer)


def pieces_show(request: HttpRequest, viewer: Principal, *, error: str = "") -> HttpResponse:
    """Show the list, with what was refused."""
    _allocation, _form, unknown = allocation_form(viewer, request.GET.get("take", ""))
    return PIECES.show(request, viewer, refused=error or unknown)


def allocation_form(viewer: Principal, number: str) -> tuple[Allocation | None, UploadForm, str]:
    """Return the allocation whose data are to be received, the form of that, and why there is none."""
    if not number:
        return None, UploadForm(), ""
    try:
        row = allocation_get(viewer, number)
    except AllocationUnknown as refusal:
        return None, UploadForm(), refusal_text(refusal)
    terms = {"client": f"f0{row.client}", "allocation": row.number}
    place = {"miner": row.miner.address, "announced": row.piece_cid, "padded_size": row.size}
    return row, UploadForm(initial=terms | place), ""


NAV: Final = NavItem("pieces", _("Pieces"), "storage", place=(4, 1), jump="d")
urlpatterns: Final = [
    path("pieces/", pieces, name="pieces"),
    *PIECES.urls[1:],  # its CSV; the page is the one above
]
LIVE: Final = PIECES.live_pages
