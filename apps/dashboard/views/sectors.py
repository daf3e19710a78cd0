"""Sectors: list, detail, and what can be done about a sector that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from apps.checks.sealing import expires_soon
from apps.core.clock import now
from apps.core.errors import DomainError, NotFound
from apps.dashboard.csv_export import CHUNK, CSV_MAX, csv_answer
from apps.dashboard.fragments.sector import sector_detail
from apps.dashboard.fragments.sectors import list_context, list_verdict_of
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS, Facet, cursor_read, page_of
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors import sector_get, sectors_visible
from apps.sectors.services.steps import sector_abort, sector_retry
from poolsite.wire.pipeline import FINAL_STATES, NEXT_STAGE, SectorState

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from django.db.models import QuerySet

    from apps.dashboard.csv_export import Download
    from apps.sectors.models import Sector
    from apps.users.principals import Principal

STATES: Final = (
    ("", "All", ""),
    ("work", "In progress", "run"),
    ("paused", "Failed", "bad"),
    ("active", "Active", "ok"),
    ("sealed", "Awaiting first proof", "warn"),
    ("expiring", "Expires within 30 d", "warn"),
    ("aborted", "Aborted", ""),
)
"""Filters of the list: key, label, tone."""
COLUMNS: Final = (
    "id",
    "miner",
    "number",
    "state",
    "stage",
    "active",
    "deadline",
    "partition",
    "activation",
    "expiration",
    "pledged",
)
"""Of the list as CSV."""
CSV_FIELDS: Final = (
    "uuid",
    "miner__actor_id",
    "number",
    "state",
    "active",
    "deadline",
    "partition",
    "activation",
    "expiration",
    "created_at",
)
"""What the columns are made of: a row's other fields are not read, least of all its batches' params."""


def filtered(rows: QuerySet[Sector], *, state: str, q: str, data: PageData) -> QuerySet[Sector]:
    """Apply the list's filters; each has an index."""
    if state == "work":
        rows = rows.exclude(state__in=FINAL_STATES)
    elif state == "paused":
        rows = rows.exclude(paused_at=None)
    elif state == "active":
        rows = rows.filter(state=SectorState.PROVING, active=True)
    elif state == "sealed":
        rows = rows.filter(state=SectorState.PROVING, active=False)
    elif state == "expiring":
        rows = rows.filter(expires_soon(data))
    elif state == "aborted":
        rows = rows.filter(state=SectorState.ABORTED)
    if q:
        rows = rows.filter(number=int(q)) if q.isdecimal() and len(q) < 19 else rows.none()
    return rows


@require_safe
@sign_in_required
def sectors(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The list, newest first."""
    state, q = request.GET.get("state", ""), request.GET.get("q", "").strip()
    cursor = cursor_read(request.GET.get("after", ""))
    data = PageData(viewer)
    rows = filtered(sectors_visible(viewer), state=state, q=q, data=data)
    if cursor:
        rows = rows.filter(pk__lt=int(cursor))
    shown, pager = page_of(
        list(rows[: ROWS + 1]),
        cursor_of=lambda row: str(row.pk),
        query=request.GET.dict(),
        is_first=not cursor,
    )
    here = reverse("sectors")
    return page_render(
        request,
        "sectors/list.html",
        title="Sectors",
        section="sectors",
        page_key="sectors",
        data=data,
        sectors=list_context(shown, data),
        pager=pager,
        verdict=list_verdict_of(data),
        facets=facets(here, state=state, q=q),
        filtered=bool(state or q),
        state=state,
        q=q,
        here=here,
        csv=reverse("sectors-csv") + "?" + urlencode({"state": state, "q": q}),
        can_pledge=viewer.may("sign"),
        pledge_label="Pledge…" if viewer.may("sign") else "",
        pledge_href=reverse("pledge"),
    )


def facets(here: str, *, state: str, q: str) -> list[Facet]:
    """The list's filters with their addresses."""
    return [
        Facet(
            key=key,
            label=label,
            href=here
            + (f"?{urlencode({k: v for k, v in (('state', key), ('q', q)) if v})}" if key or q else ""),
            on=key == state,
            tone=tone,
            icon=tone,
        )
        for key, label, tone in STATES
    ]


@require_safe
@sign_in_required
def sectors_csv(request: HttpRequest, viewer: Principal) -> Download:
    """The filtered list as CSV."""
    rows = filtered(
        sectors_visible(viewer).select_related(None),
        state=request.GET.get("state", ""),
        q=request.GET.get("q", "").strip(),
        data=PageData(viewer),
    )
    fields = rows.values_list(*CSV_FIELDS)[:CSV_MAX].iterator(chunk_size=CHUNK)
    cells = (
        (
            uuid,
            "" if actor_id is None else f"f0{actor_id}",
            number,
            state,
            NEXT_STAGE[state].stage,
            *plain,
            made.isoformat(),
        )
        for uuid, actor_id, number, state, *plain, made in fields
    )
    return csv_answer("sectors.csv", COLUMNS, cells)


def sector_or_404(viewer: Principal, key: uuid.UUID) -> Sector:
    """One sector; a stranger's is as absent as one that never was."""
    try:
        return sector_get(viewer, str(key))
    except NotFound:
        raise Http404 from None


@require_safe
@sign_in_required
def sector(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """One sector with its clocks, stages and timeline."""
    return sector_page(request, viewer, key)


def sector_page(request: HttpRequest, viewer: Principal, key: uuid.UUID, *, error: str = "") -> HttpResponse:
    """Render a sector's page; `error` is what was refused a moment ago."""
    data = PageData(viewer)
    detail = sector_detail(sector_or_404(viewer, key), data)
    return page_render(
        request,
        "sectors/detail.html",
        title=detail.row.name,
        section="sectors",
        page_key=f"sector:{key}",
        data=data,
        status=422 if error else 200,
        sector=detail,
        error=error,
    )


def _acted(
    request: HttpRequest, viewer: Principal, key: uuid.UUID, action: Callable[[Sector], Any]
) -> HttpResponse:
    """Do `action` to a sector; return the fragment that shows it, or the refusal there."""
    row = sector_or_404(viewer, key)
    if not viewer.may("sign"):
        raise Http404
    error = ""
    try:
        action(row)
    except DomainError as refusal:
        error = refusal.reason
    if not getattr(request, "htmx", False):
        return sector_page(request, viewer, key, error=error) if error else redirect("sector", key)
    if request.htmx.target == "f-sector-head":  # type: ignore[attr-defined]  # set by django-htmx's middleware
        detail = sector_detail(sector_or_404(viewer, key), PageData(viewer))
        return render(
            request, "sectors/_head.html", {"sector": detail, "error": error}, status=422 if error else 200
        )
    return render(
        request, "sectors/_refusal.html", {"key": key, "error": error}, status=422 if error else 200
    )


@require_POST
@sign_in_required
def retry(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Try the failed stage again."""
    return _acted(
        request, viewer, key, lambda row: sector_retry(row, actor=viewer.actor, now=now(), by=viewer)
    )


@require_POST
@sign_in_required
def back(request: HttpRequest, viewer: Principal, key: uuid.UUID, state: str) -> HttpResponse:
    """Set a paused sector back to an earlier state."""
    return _acted(
        request,
        viewer,
        key,
        lambda row: sector_retry(row, actor=viewer.actor, now=now(), state=state, by=viewer),
    )


@sign_in_required
def abort(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Ask first, then give a sector up for good."""
    row = sector_or_404(viewer, key)
    if not viewer.may("sign"):
        raise Http404
    error = ""
    if request.method == "POST" and request.POST.get("sure") == "yes":
        try:
            reason = request.POST.get("reason", "")[:200]
            sector_abort(row, actor=viewer.actor, reason=reason, now=now(), by=viewer)
        except DomainError as refusal:
            error = refusal.reason
        else:
            return redirect("sector", key)
    data = PageData(viewer)
    detail = sector_detail(row, data)
    return page_render(
        request,
        "sectors/abort.html",
        title=f"Abort {detail.row.name}",
        section="sectors",
        page_key="",
        data=data,
        sector=detail,
        error=error,
        status=422 if error else 200,
    )
