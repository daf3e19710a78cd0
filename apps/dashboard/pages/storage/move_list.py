"""Moves of sectors between stores: the list of all, and the newest of one store for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.reasons import shown_text
from apps.dashboard import cells
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.list_page import Column, Empty, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.scope import href_in_scope
from apps.miners.selectors.miners import miners_visible
from apps.sectors.selectors.moves import (
    MoveFilters,
    Removal,
    moves_of,
    moves_open,
    moves_visible,
    removals_awaited,
)
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Store, StoreMove

NEWEST: Final = 20
"""Moves that the store's page lists."""
LABELS: Final = {
    "QUEUED": StateLabel("idle", _("queued")),
    "COPYING": StateLabel("run", _("copying")),
    "COPIED": StateLabel("run", _("copied, waiting for proofs")),
    "CLEARING": StateLabel("run", _("removing the old copy")),
    "MOVED": StateLabel("ok", _("moved")),
    "FAILED": StateLabel("bad", _("failed")),
    "CANCELLED": StateLabel("idle", _("cancelled"), "close"),
}


@dataclass(frozen=True, slots=True)
class MoveRow:
    """A sector on its way to another store."""

    row: StoreMove
    awaited: Removal | None
    """The removal that must end before the move goes on; None: it waits for none."""

    @property
    def name(self) -> str:
        """Return the sector's."""
        return f"{self.row.sector.miner} / {self.row.sector.number}"

    @property
    def href(self) -> str:
        """Return the address of the sector's page."""
        return reverse("sector", args=[self.row.sector.uuid])

    @property
    def label(self) -> StateLabel:
        """Return its state in words."""
        return LABELS[self.row.state]

    @property
    def error(self) -> str:
        """Return why it failed or waits."""
        return shown_text(self.row.error)

    @property
    def waits(self) -> str:
        """Return for what removal it waits."""
        if self.awaited is None:
            return ""
        text = gettext("waiting for {host} to remove leftover {name} from {store}")
        left = self.awaited
        return text.format(host=left.host, name=left.name, store=left.store)

    @property
    def way(self) -> str:
        """Return from where to where."""
        return f"{self.row.from_store.name} → {self.row.to_store.name}"


def laid_out(rows: Sequence[StoreMove], _data: PageData | None = None) -> list[MoveRow]:
    """Lay out moves."""
    awaited = removals_awaited(rows)
    return [MoveRow(row, awaited.get(row.pk)) for row in rows]


@dataclass(frozen=True, slots=True)
class MovesCard:
    """The newest moves out of a store and into it."""

    rows: Sequence[MoveRow]
    left: str
    """Number of moves that have not ended; empty: none."""
    all_href: str
    """Address of the list of all moves; empty: all are in this card."""
    cancel_href: str
    """Address at which queued moves are cancelled; empty if the viewer may not."""


def newest_moves(store: Store, viewer: Principal, *, scope: Mapping[str, str]) -> MovesCard:
    """Lay out the newest moves for the store's page."""
    moves, left = list(moves_of(viewer, store)[: NEWEST + 1]), moves_open(store)
    here = href_in_scope(f"{reverse('store-moves')}?{urlencode({'store': str(store.uuid)})}", scope)
    return MovesCard(
        rows=laid_out(moves[:NEWEST]),
        left=formatting.whole(left) if left else "",
        all_href=here if len(moves) > NEWEST else "",
        cancel_href=reverse("store-moves-cancel", args=[store.uuid]) if viewer.may("sign") else "",
    )


def state(row: MoveRow) -> SafeString:
    """Return its state, and what went wrong or is waited for."""
    return cells.joined(
        cells.chip(row.label), cells.sub(row.error, css="wrap"), cells.sub(row.waits, css="wrap")
    )


MOVES: Final = ListPage(
    name="store-moves",
    address="storage/moves",
    section="stores",
    one="store-move",
    title=_("Moves"),
    table=_("Table of moves"),
    caption=_("Sector moves between stores, newest first"),
    icon="storage",
    rows=lambda data: moves_visible(data.viewer),
    lay_out=laid_out,
    id_of=attrgetter("row.pk"),
    filters=MoveFilters,
    places=("store", "miner"),
    places_label=_("Filter"),
    suggested={"miner": lambda data: [row.address for row in miners_visible(data.viewer)]},
    facets=(
        ("", _("All"), "", ""),
        *((key, label.word, label.tone, label.sign) for key, label in LABELS.items()),
    ),
    counted=("FAILED",),
    empty=lambda _data: Empty(
        _("No moves yet"),
        _("Begin one on the page of a store that has sectors."),
    ),
    none=Empty(_("No matching moves"), _("Choose another filter.")),
    columns=(
        Column(head=_("Sector"), cell=lambda row: cells.link(row.href, row.name), is_name=True),
        Column(head=_("State"), cell=state, css="c-state", is_plain=True),
        Column(
            head=_("Route"),
            cell=lambda row: cells.joined(row.way, cells.sub(row.row.worker.name)),
            css="c-wide",
            key="route",
        ),
        Column(
            head=_("Updated"),
            cell=lambda row: time_html(row.row.updated_at),
            css="keep",
            key="updated",
            by="updated_at",
        ),
    ),
    csv={
        "uuid": attrgetter("uuid"),
        "miner": attrgetter("sector.miner.address"),
        "number": attrgetter("sector.number"),
        "from": attrgetter("from_store.name"),
        "to": attrgetter("to_store.name"),
        "host": attrgetter("worker.name"),
        "state": attrgetter("state"),
        "error": attrgetter("error"),
        "began": lambda row: row.created_at.isoformat(),
        "updated": lambda row: row.updated_at.isoformat(),
        "by": attrgetter("actor"),
    },
)
urlpatterns: Final = MOVES.urls
