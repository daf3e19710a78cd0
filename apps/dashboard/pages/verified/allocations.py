"""Allocations of verified data for the miners: which data are not here yet, until when, and how they come."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core.errors import DomainError
from apps.dashboard.csv_export import CHUNK, csv_answer, rows_in_turn
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.verified.allocation_rows import allocation_rows
from apps.dashboard.pages.verified.filter_bar import FilterBar, wanted_of
from apps.dashboard.pagination import ROWS, cursor_read, facets_of, page_of
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.allocations import (
    AllocationFilter,
    allocation_state,
    allocations_narrowed,
    allocations_pieces,
    allocations_read_last,
    allocations_visible,
)
from apps.sectors.states import AllocationState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from apps.dashboard.csv_export import Download
    from apps.sectors.models import Allocation
    from apps.users.rules.principals import Principal

STATES: Final = (
    ("", _("All"), "", ""),
    (str(AllocationState.MISSING), _("Not here"), "warn", "warn"),
    (str(AllocationState.HERE), _("Here"), "ok", "ok"),
    (str(AllocationState.EXPIRED), _("Expired"), "idle", "off"),
)
"""Filters of the list: key, label, tone, icon."""
PLACES: Final = (
    ("q", _("Allocation id or piece CID")),
    ("client", _("Client")),
    ("miner", _("Miner")),
)
"""Further filters: name and label."""
NAMES: Final = ("state", "q", "client", "miner")
COLUMNS: Final = (
    *("allocation", "client", "miner", "piece_cid", "size", "term_min", "term_max", "expiration", "state"),
    *("piece_state", "sector"),
)
"""Of the list as CSV."""


def found_of(
    viewer: Principal, wanted: dict[str, str], data: PageData, *, after: tuple[int, int] | None = None
) -> tuple[QuerySet[Allocation], str]:
    """Return the allocations that fit, and why none does where a filter cannot be read."""
    height = -1 if data.clock is None else data.clock.epoch
    try:
        rows = allocations_narrowed(viewer, AllocationFilter(**wanted, height=height, after=after))
    except DomainError as refusal:
        return allocations_visible(viewer).none(), refusal.reason
    return rows, ""


@require_safe
@sign_in_required
def allocations(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, those that expire first first."""
    data, wanted = PageData(viewer), wanted_of(request, NAMES)
    cursor = cursor_read(request.GET.get("after", ""), of="allocations")
    end, _dash, pk = cursor.partition("-")
    after = (int(end), int(pk)) if cursor else None
    rows, wrong = found_of(viewer, wanted, data, after=after)
    shown, pager = page_of(
        list(rows[: ROWS + 1]),
        of="allocations",
        cursor_of=lambda row: f"{row.expiration}-{row.pk}",
        query=request.GET.dict(),
        is_first=not cursor,
    )
    here = reverse("allocations")
    others = {name: wanted.get(name, "") for name in ("client", "miner")}
    return page_render(
        request,
        "verified/allocations.html",
        title=_("Allocations"),
        section="pieces",
        data=data,
        rows=allocation_rows(shown, viewer=viewer, clock=data.clock),
        pager=pager,
        wrong=wrong,
        bar=FilterBar(
            label=_("Allocations"),
            state=wanted.get("state", ""),
            places=[(name, label, wanted.get(name, "")) for name, label in PLACES],
            facets=facets_of(here, STATES, state=wanted.get("state", ""), q=wanted.get("q", ""), **others),
            csv=f"{reverse('allocations-csv')}?{urlencode(wanted)}",
        ),
        filtered=bool(wanted),
        here=here,
        read=allocations_read_last(),
    )


@require_safe
@sign_in_required
def allocations_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return the filtered list as CSV."""
    data = PageData(viewer)
    rows, _wrong = found_of(viewer, wanted_of(request, NAMES), data)
    height = -1 if data.clock is None else data.clock.epoch
    return csv_answer("allocations.csv", COLUMNS, cells_of(rows, height=height))


def cells_of(rows: QuerySet[Allocation], *, height: int) -> Iterator[tuple[Any, ...]]:
    """Lay out allocations as lines of CSV, some at a time with their pieces."""
    found = rows_in_turn(rows)
    while part := list(islice(found, CHUNK)):
        pieces = allocations_pieces(part)
        for one in part:
            piece = pieces.get(one.number)
            yield (
                one.number,
                f"f0{one.client}",
                one.miner.address,
                one.piece_cid,
                one.size,
                one.term_min,
                one.term_max,
                one.expiration,
                str(allocation_state(one, piece, height=height)),
                "" if piece is None else piece.state,
                "" if piece is None or piece.sector_number is None else piece.sector_number,
            )


urlpatterns: Final = [
    path("allocations/", allocations, name="allocations"),
    path("allocations.csv", allocations_csv, name="allocations-csv"),
]
