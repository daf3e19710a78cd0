"""What the list of sectors is narrowed to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from apps.checks.findings.sector_ends import expires_soon
from apps.miners.errors import MinerUnknown
from apps.miners.selectors.miners import miner_get
from apps.sectors.rules.sector_names import sector_name_parse
from apps.sectors.selectors.sector_pages import of_host
from apps.sectors.selectors.sectors import sectors_visible
from poolsite.wire.pipeline import FINAL_STATES, SectorState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

    from apps.dashboard.page_data import PageData
    from apps.sectors.models import Sector
    from apps.users.rules.principals import Principal

STATES: Final = (
    ("", _("All"), "", ""),
    ("work", _("In progress"), "run", "run"),
    ("failed", _("Failed"), "bad", "bad"),
    ("paused", _("Awaiting a decision"), "warn", "warn"),
    ("active", _("Active"), "ok", "ok"),
    ("sealed", _("Not active"), "warn", "warn"),
    ("expiring", _("Expires within 30 d"), "warn", "warn"),
    ("changing", _("Terminating or extending"), "run", "run"),
    ("terminated", _("Terminated"), "", ""),
    ("aborted", _("Aborted"), "", ""),
)
"""Filters of the list: key, label, tone, icon."""
PLACES: Final = (("miner", _("Miner")), ("host", _("Host")), ("store", _("Store")))
"""Further filters: name and label."""


@dataclass(frozen=True, slots=True)
class ListFilter:
    """What the list is narrowed to; the URL has it, so that it is the saved view."""

    state: str = ""
    q: str = ""
    miner: str = ""
    host: str = ""
    store: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ListFilter:
        """Read it from a query or a form."""
        return cls(**{name: str(values.get(name) or "").strip()[:110] for name in cls.__slots__})

    @property
    def query(self) -> dict[str, str]:
        """Return what is narrowed."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}

    @property
    def places(self) -> dict[str, str]:
        """Return what stands beside state and search."""
        return {"miner": self.miner, "host": self.host, "store": self.store}

    @property
    def is_placed(self) -> bool:
        """Return whether anything beside state and search is narrowed."""
        return any(self.places.values())


def narrowed(viewer: Principal, wanted: ListFilter, *, data: PageData) -> QuerySet[Sector]:
    """Return the viewer's sectors that fit."""
    rows = filtered(sectors_visible(viewer), state=wanted.state, q=wanted.q, data=data)
    if wanted.miner:
        try:
            rows = rows.filter(miner=miner_get(viewer, wanted.miner))
        except MinerUnknown:
            return rows.none()
    if wanted.host:
        rows = rows.filter(of_host(viewer, wanted.host))
    return rows.filter(store=wanted.store) if wanted.store else rows


def filtered(rows: QuerySet[Sector], *, state: str, q: str, data: PageData) -> QuerySet[Sector]:
    """Apply state and search; each has an index."""
    if state == "work":
        rows = rows.exclude(state__in=FINAL_STATES)
    elif state in ("failed", "paused"):
        stopped = rows.exclude(paused_at=None)
        rows = stopped.filter(paused_by="") if state == "failed" else stopped
    elif state == "active":
        rows = rows.filter(state=SectorState.PROVING, active=True)
    elif state == "sealed":
        rows = rows.filter(state=SectorState.PROVING, active=False)
    elif state == "expiring":
        rows = rows.filter(expires_soon(data))
    elif state == "changing":
        rows = rows.filter(pk__in=list(data.changes))
    elif state in ("aborted", "terminated"):
        rows = rows.filter(state=state.upper())
    if (place := sector_name_parse(q)) is not None:
        rows = rows.filter(miner__actor_id=place[0], number=place[1])
    elif q:
        rows = rows.filter(number=int(q)) if q.isdecimal() and len(q) < 19 else rows.filter(store=q[:110])
    return rows
