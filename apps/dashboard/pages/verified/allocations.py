"""Allocations of verified data for the miners: which data are not here yet, until when, and how they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.status import EpochClock
from apps.core import formatting
from apps.core.clock import DAY_S
from apps.core.reasons import shown_text
from apps.dashboard import cells
from apps.dashboard.csv_export import CHUNK, rows_in_turn
from apps.dashboard.labels import StateLabel
from apps.dashboard.list_page import Column, Empty, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.pieces.rows import LABELS
from apps.dashboard.pages.verified.columns import client_column, left, miner_column, size_column
from apps.dashboard.pagination import page_in_turn
from apps.sectors.selectors.allocations import (
    NEAR_S,
    AllocationFilters,
    allocation_state,
    allocations_pieces,
    allocations_read_last,
    allocations_visible,
)
from apps.sectors.selectors.sectors import sectors_by_numbers
from apps.sectors.states import AllocationState

if TYPE_CHECKING:
    from apps.pieces.models import Piece
    from apps.sectors.models import Allocation

MISSING: Final = StateLabel("idle", _("not here"), "wait")
NEAR: Final = StateLabel("warn", _("not here"), "warn")
EXPIRED: Final = StateLabel("idle", _("expired"), "off")


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """One allocation in the list."""

    row: Allocation
    piece: Piece | None
    sector_href: str
    state: AllocationState
    label: StateLabel
    clock: EpochClock | None
    may_take: bool

    @property
    def sector(self) -> int | None:
        """Return the number of the sector that its data are in."""
        return None if self.piece is None else self.piece.sector_number


def allocation_rows(rows: Sequence[Allocation], data: PageData) -> list[AllocationRow]:
    """Lay out one page of the list."""
    pieces, may_take = allocations_pieces(rows), data.viewer.may("write")
    height = -1 if data.clock is None else data.clock.epoch
    wanted = [(one.miner_id, one.sector_number) for one in pieces.values() if one.sector_number is not None]
    sectors = sectors_by_numbers(data.viewer, wanted)
    found = []
    for row in rows:
        piece = pieces.get(row.number)
        sector = None if piece is None else sectors.get((piece.miner_id, piece.sector_number))
        state = allocation_state(row, piece, height=height)
        found.append(
            AllocationRow(
                row=row,
                piece=piece,
                sector_href="" if sector is None else reverse("sector", args=[sector.uuid]),
                state=state,
                label=label_of(row, piece, state, clock=data.clock),
                clock=data.clock,
                may_take=may_take and state == AllocationState.MISSING,
            )
        )
    return found


def label_of(
    row: Allocation, piece: Piece | None, state: AllocationState, *, clock: EpochClock | None
) -> StateLabel:
    """Return in words where an allocation's data are."""
    if state == AllocationState.EXPIRED:
        return EXPIRED
    if piece is not None:
        return LABELS[piece.state]
    return NEAR if clock is not None and clock.left_s(row.expiration) < NEAR_S else MISSING


def state(row: AllocationRow) -> SafeString:
    """Return it with what made its data fail."""
    error = "" if row.piece is None else shown_text(row.piece.error)
    return cells.joined(cells.chip(row.label), cells.sub(error, css="muted wrap"))


def piece(row: AllocationRow) -> SafeString:
    """Return the data's commitment; it leads to them, if they are here."""
    shown = cells.short_id(formatting.shortened(row.row.piece_cid), row.row.piece_cid)
    has_page = row.piece is not None and row.piece.piece_cid
    query = urlencode({"piece_cid": row.row.piece_cid})
    return cells.link(f"{reverse('pieces')}?{query}" if has_page else "", shown)


def term(row: AllocationRow) -> str:
    """Return terms in days: `180 to 540 days`."""
    if row.clock is None:
        return formatting.NOTHING
    epochs = (row.row.term_min, row.row.term_max)
    days = [f"{one * row.clock.delay_s / DAY_S:.1f}".removesuffix(".0") for one in epochs]
    return gettext("{least} to {most} days").format(least=days[0], most=days[1])


def acts(row: AllocationRow, _token: str) -> SafeString:
    """Return where the data of an allocation are taken."""
    if not row.may_take:
        return cells.EMPTY
    href = f"{reverse('pieces')}?{urlencode({'take': row.row.number})}#f-piece-upload"
    button = '<a class="btn" data-size="s" id="take-{}" href="{}">{}</a>'
    return format_html(button, row.row.number, href, gettext("Take the data…"))


def empty(_data: PageData) -> Empty:
    """Return why there is none."""
    if (read := allocations_read_last()) is None or read.read_at is None:
        text = _("The chain is asked for allocations within ten minutes of the first head.")
        return Empty(_("Not read yet"), text)
    return Empty(
        _("No allocations for these miners"),
        _(
            "A client with DataCap allocates it to a miner and a piece on the chain. It is listed here "
            "within ten minutes, until its data are in an active sector."
        ),
    )


def in_parts(rows: QuerySet[Allocation], data: PageData) -> Iterator[AllocationRow]:
    """Lay out allocations for CSV, some at a time with their pieces."""
    found = rows_in_turn(rows)
    while part := list(islice(found, CHUNK)):
        yield from allocation_rows(part, data)


ALLOCATIONS: Final = ListPage(
    name="allocations",
    one="allocation",
    section="pieces",
    title=_("Allocations"),
    table=_("Table of allocations"),
    caption=_("Allocations, the first to expire on top"),
    icon="storage",
    template="verified/allocations.html",
    more=lambda _request, _data: {"read": allocations_read_last()},
    rows=lambda data: allocations_visible(data.viewer),
    page=page_in_turn,
    lay_out=allocation_rows,
    id_of=attrgetter("row.number"),
    tones=("bad",),
    filters=AllocationFilters,
    search=_("Allocation id or piece CID"),
    places=("client", "miner"),
    places_label=_("Filter"),
    facets=(
        ("", _("All"), "", ""),
        (AllocationState.MISSING, _("Not here"), "warn", "warn"),
        (AllocationState.HERE, _("Here"), "ok", "ok"),
        (AllocationState.EXPIRED, _("Expired"), "idle", "off"),
    ),
    counted=AllocationState.values,
    empty=empty,
    none=Empty(_("No matching allocations"), _("No allocations match these filters.")),
    columns=(
        Column(head=_("Allocation"), cell=attrgetter("row.number"), css="keep", is_name=True),
        Column(head=_("State"), cell=state, css="c-state", is_plain=True, key="state"),
        client_column(),
        Column(head=_("Piece"), cell=piece, css="keep", key="piece", by="piece_cid"),
        size_column(),
        Column(head=pgettext_lazy("of verified data", "Term"), cell=term, css="num keep lo", key="term"),
        Column(
            head=_("Expires in"),
            cell=lambda row: left(row.clock, row.row.expiration, formatting.NOTHING),
            css="num keep",
            key="end",
            by="expiration",
        ),
        miner_column(),
        Column(
            head=_("Sector"),
            cell=lambda row: cells.link(
                row.sector_href, formatting.NOTHING if row.sector is None else str(row.sector)
            ),
            css="num keep",
            key="sector",
        ),
        Column(head=_("Actions"), acts=acts, css="c-wide tight"),
    ),
    csv={
        "allocation": attrgetter("row.number"),
        "client": lambda row: f"f0{row.row.client}",
        "miner": attrgetter("row.miner.address"),
        "piece_cid": attrgetter("row.piece_cid"),
        "size": attrgetter("row.size"),
        "term_min": attrgetter("row.term_min"),
        "term_max": attrgetter("row.term_max"),
        "expiration": attrgetter("row.expiration"),
        "state": lambda row: str(row.state),
        "piece_state": lambda row: "" if row.piece is None else row.piece.state,
        "sector": lambda row: "" if row.sector is None else row.sector,
    },
    csv_rows=in_parts,
)
urlpatterns: Final = ALLOCATIONS.urls
