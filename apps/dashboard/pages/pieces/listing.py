"""Pieces: clients' data, where each is from its upload to an active sector, and the upload itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.pieces.rows import list_context
from apps.dashboard.pages.pieces.storage import storage_bar
from apps.dashboard.pagination import ROWS, Facet, cursor_read, page_of
from apps.dashboard.pickers import picker
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.dashboard.todo import verdict_by
from apps.pieces.selectors import PieceFilter, piece_name_read, pieces_by_uuid, pieces_counts, pieces_page
from apps.pieces.states import PiecePurpose, PieceState
from apps.sectors.errors.verified import AllocationUnknown
from apps.sectors.selectors.allocations import allocation_get
from apps.users.rules.principals import Principal
from poolsite.filecoin.cids import BadCid

if TYPE_CHECKING:
    from apps.sectors.models import Allocation

FILTERS: Final = (
    ("", _("All"), ""),
    (PieceState.UPLOADING, _("Uploading"), "run"),
    (PieceState.FETCHING, _("Downloading"), "run"),
    (PieceState.RECEIVED, _("Computing commitment"), "run"),
    (PieceState.HELD, _("Waiting for a deal"), "wait"),
    (PieceState.READY, _("Waiting"), "wait"),
    (PieceState.PACKED, _("In a sector"), "run"),
    (PieceState.ACTIVE, _("Active"), "ok"),
    (PieceState.ENDED, _("Sector ended"), "idle"),
    (PieceState.FAILED, _("Failed"), "bad"),
)
"""Filters of the list: state, label, tone."""
ARRIVING: Final = (PieceState.UPLOADING, PieceState.FETCHING, PieceState.RECEIVED, PieceState.HELD)
"""States of what does not wait for a sector yet."""


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence how the pieces stand."""
    counts = pieces_counts(data.viewer)
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


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def storage(context: FragmentContext) -> Iterable[str]:
    yield fragment("pieces/_storage.html", **storage_shown(context.viewer))


def storage_shown(viewer: Principal) -> dict[str, Any]:
    """Return what the viewer's own tenant may store, and does."""
    return {"storage": storage_bar(viewer.own_id), "tenant": viewer.tenant_name}


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    for row in list_context(pieces_by_uuid(context.viewer, keys), context.viewer):
        yield fragment("pieces/_row.html", piece=row)


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
    state = request.GET.get("state", "")
    cursor = cursor_read(request.GET.get("after", ""), of="pieces")
    data = PageData(viewer)
    allocation, form, unknown = allocation_form(viewer, request.GET.get("take", ""))
    piece_cid = cid_wanted(request.GET.get("piece_cid", ""))
    wanted = PieceFilter(
        piece_cid=piece_cid,
        state=state if state in PieceState.values else "",
        before=int(cursor) if cursor else None,
    )
    shown, pager = page_of(
        pieces_page(viewer, wanted, limit=ROWS + 1),
        of="pieces",
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
        act_error=error or unknown,
        page_href=reverse("pieces") if error else request.get_full_path(),
        pieces=list_context(shown, viewer),
        pager=pager,
        verdict=list_verdict_of(data),
        facets=facets(None if piece_cid else state),
        filtered=bool(state or piece_cid),
        oldest=None if state or piece_cid else pager.oldest([row.pk for row in shown]),
        piece_cid=piece_cid,
        here=reverse("pieces"),
        form=form,
        allocation=allocation,
        miners=picker(viewer, "miner", value=form.typed["miner"]),
        purposes=[(str(one), one.label) for one in PiecePurpose],
        can_upload=viewer.may("write"),
        **storage_shown(viewer),
    )


def allocation_form(viewer: Principal, number: str) -> tuple[Allocation | None, UploadForm, str]:
    """Return the allocation whose data are to be received, the form of that, and why there is none."""
    if not number:
        return None, UploadForm(), ""
    try:
        row = allocation_get(viewer, number)
    except AllocationUnknown as refusal:
        return None, UploadForm(), refusal.reason
    terms = {"client": f"f0{row.client}", "allocation": row.number}
    place = {"miner": row.miner.address, "announced": row.piece_cid, "padded_size": row.size}
    return row, UploadForm(initial=terms | place), ""


def cid_wanted(text: str) -> str:
    """Return the piece CID to which the list is narrowed; empty for what is none."""
    try:
        piece_name_read(text)
    except BadCid:
        return ""
    return text


def facets(state: str | None) -> list[Facet]:
    """Return the list's filters with their addresses; None: it is narrowed by none of them."""
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


NAV: Final = NavItem("pieces", _("Pieces"), "storage", place=(1, 8))
urlpatterns: Final = [
    path("pieces/", pieces, name="pieces"),
]
LIVE: Final = {
    "pieces": LivePage({"piece": (list_verdict, storage)}, rows={"piece": rows}, findings=list_verdict)
}
