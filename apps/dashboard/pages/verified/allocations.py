"""Allocations of verified data for the miners: which data are not here yet, until when, and how they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.selectors.status import EpochClock
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import DAY_S
from apps.core.stored_texts import stored_text
from apps.dashboard.csv_export import CHUNK, Download, csv_answer, rows_in_turn
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.pieces.rows import LABELS
from apps.dashboard.pages.verified.list_page import VerifiedList, verified_page
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.allocations import (
    NEAR_S,
    AllocationFilter,
    allocation_state,
    allocations_narrowed,
    allocations_pieces,
    allocations_read_last,
    allocations_visible,
)
from apps.sectors.selectors.sectors import sectors_by_numbers
from apps.sectors.states import AllocationState
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.pieces.models import Piece
    from apps.sectors.models import Allocation, Sector

MISSING: Final = StateLabel("idle", _("not here"), "wait")
NEAR: Final = StateLabel("warn", _("not here"), "warn")
EXPIRED: Final = StateLabel("idle", _("expired"), "off")


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """One allocation in the list."""

    number: int
    client: str
    cid: str
    short: str
    size: str
    term: str
    """`180 to 540 days`."""
    end: str
    """Epoch at which it expires."""
    until: int | None
    """Time of `end` in UNIX seconds; None without a clock."""
    left: str
    miner: str
    tone: str
    word: StrOrPromise
    icon: str
    say: str
    """Why its data failed."""
    piece_href: str
    sector: str
    sector_href: str
    take_href: str
    """Address of the upload form; empty if the data are here or it has expired."""


def term_text(least: int, most: int, *, delay_s: int) -> str:
    """Return terms in days: `180 to 540 days`."""
    days = [f"{epochs * delay_s / DAY_S:.1f}".removesuffix(".0") for epochs in (least, most)]
    return gettext("{least} to {most} days").format(least=days[0], most=days[1])


def take_href(row: Allocation) -> str:
    """Return where the data of an allocation are taken."""
    return f"{reverse('pieces')}?{urlencode({'take': row.number})}#f-piece-upload"


def allocation_row(
    row: Allocation,
    piece: Piece | None,
    sector: Sector | None,
    *,
    viewer: Principal,
    clock: EpochClock | None,
) -> AllocationRow:
    """Lay out one allocation."""
    height = -1 if clock is None else clock.epoch
    state = allocation_state(row, piece, height=height)
    left_s = None if clock is None else clock.left_s(row.expiration)
    is_near = left_s is not None and left_s < NEAR_S
    label = MISSING
    if piece is not None and state != AllocationState.EXPIRED:
        label = LABELS[piece.state]
    elif state == AllocationState.EXPIRED:
        label = EXPIRED
    elif is_near:
        label = NEAR
    may_take = state == AllocationState.MISSING and viewer.may("write")
    has_sector = piece is not None and piece.sector_number is not None
    return AllocationRow(
        number=row.number,
        client=f"f0{row.client}",
        cid=row.piece_cid,
        short=formatting.shortened(row.piece_cid),
        size=" ".join(formatting.size(row.size)),
        term=formatting.NOTHING
        if clock is None
        else term_text(row.term_min, row.term_max, delay_s=clock.delay_s),
        end=gettext("epoch {epoch}").format(epoch=formatting.whole(row.expiration)),
        until=None if clock is None else clock.starts_at(row.expiration),
        left=formatting.time_left(max(left_s or 0, 0)) if state != AllocationState.EXPIRED else "",
        miner=row.miner.address,
        tone=label.tone,
        word=label.word,
        icon=label.sign,
        say="" if piece is None else stored_text(piece.error),
        piece_href=f"{reverse('pieces')}?{urlencode({'piece_cid': piece.piece_cid})}"
        if piece is not None and piece.piece_cid
        else "",
        sector=str(piece.sector_number) if piece is not None and has_sector else formatting.NOTHING,
        sector_href="" if sector is None else reverse("sector", args=[sector.uuid]),
        take_href=take_href(row) if may_take else "",
    )


def allocation_rows(
    rows: Sequence[Allocation], *, viewer: Principal, clock: EpochClock | None
) -> list[AllocationRow]:
    """Lay out one page of the list."""
    pieces = allocations_pieces(rows)
    wanted = [(one.miner_id, one.sector_number) for one in pieces.values() if one.sector_number is not None]
    sectors = sectors_by_numbers(viewer, wanted)
    found = []
    for row in rows:
        piece = pieces.get(row.number)
        sector = None if piece is None else sectors.get((piece.miner_id, piece.sector_number))
        found.append(allocation_row(row, piece, sector, viewer=viewer, clock=clock))
    return found


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
