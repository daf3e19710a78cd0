"""Allocations of verified data for the miners: which data are not here yet, until when, and how they come."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core.errors import DomainError
from apps.dashboard.csv_export import CHUNK, csv_answer, rows_in_turn
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.verified.allocation_rows import allocation_rows
from apps.dashboard.pages.verified.list_page import VerifiedList, verified_page
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
ALLOCATIONS: Final = VerifiedList(
    "allocations",
    _("Allocations"),
    region=_("Table of allocations"),
    table="f-allocation-table",
    none=_("No matching allocations"),
    no_match=_("No allocations match these filters."),
    end="expiration",
    states=STATES,
    places=(("q", _("Allocation id or piece CID")), ("client", _("Client")), ("miner", _("Miner"))),
)
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
    data, wanted = PageData(viewer), ALLOCATIONS.wanted_of(request)
    page = verified_page(request, ALLOCATIONS, lambda after: found_of(viewer, wanted, data, after=after))
    return page_render(
        request,
        "verified/allocations.html",
        title=ALLOCATIONS.title,
        section="pieces",
        data=data,
        page=page,
        rows=allocation_rows(page.shown, viewer=viewer, clock=data.clock),
        read=allocations_read_last(),
    )


@require_safe
@sign_in_required
def allocations_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return the filtered list as CSV."""
    data = PageData(viewer)
    rows, _wrong = found_of(viewer, ALLOCATIONS.wanted_of(request), data)
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
