"""The list of hosts by state, group and name, a page at a time; all of it stands in the address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.dashboard.pagination import ROWS, Facet, cursor_read, page_of
from apps.sectors.selectors.host_states import (
    IDLE,
    PAUSED,
    TROUBLE,
    WORKING,
    groups_of_hosts,
    hosts_by_state,
    hosts_chosen,
    hosts_from,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import QueryDict

    from apps.dashboard.labels import StateLabel
    from apps.dashboard.pagination import Pager
    from apps.sectors.models import Worker
    from apps.users.rules.principals import Principal

STATES: Final = (
    ("", _("All"), "", ""),
    (TROUBLE, _("Need attention"), "bad", "bad"),
    (WORKING, _("Working"), "run", "run"),
    (IDLE, _("Idle"), "ok", "ok"),
    (PAUSED, _("Paused"), "idle", "pause"),
)
"""Filters: key, words, tone, icon."""
SEARCH_MAX: Final = 100
GROUPS_MAX: Final = 30
"""Groups that a filter is offered for; others are found by name."""
RANKS: Final = {"bad": 0, "warn": 1}
"""Order of the list: those that need somebody first."""


@dataclass(frozen=True, slots=True)
class HostFilter:
    """Filters, order and page of the list of hosts, read from the URL."""

    state: str = ""
    group: str = ""
    q: str = ""
    after: tuple[int, str, int] | None = None
    """Rank, name and key of the last row of the page before."""

    @classmethod
    def of(cls, query: QueryDict) -> HostFilter:
        """Read an address; what is in no list counts for nothing."""
        state = query.get("state", "")
        rank, _dot, rest = cursor_read(query.get("after", ""), of="hosts").partition(" ")
        key, _dot, name = rest.partition(" ")
        return cls(
            state=state if state in {key for key, *_more in STATES} else "",
            group=query.get("group", "")[:SEARCH_MAX],
            q=query.get("q", "").strip()[:SEARCH_MAX],
            after=(int(rank), name, int(key)) if key else None,
        )

    @property
    def query(self) -> dict[str, str]:
        """Return it as an address has it, without the page."""
        return {"state": self.state, "group": self.group, "q": self.q}

    def url_with(self, **changes: str) -> str:
        """Return an address of the list that differs in this."""
        named = self.query | changes
        query = {name: value for name, value in named.items() if value}
        return f"?{urlencode(query)}" if query else "?"


def order_of(label: StateLabel, worker: Worker) -> tuple[int, str, int]:
    """Return where a host stands in the list."""
    return RANKS.get(label.tone, 2), worker.name, worker.pk


def hosts_page(rows: QuerySet[Worker], wanted: HostFilter) -> tuple[list[int], Pager]:
    """Return the keys of one page of the hosts that are wanted, those that need somebody first."""
    chosen = hosts_chosen(rows, state=wanted.state, group=wanted.group, q=wanted.q)
    shown, pager = page_of(
        hosts_from(chosen, wanted.after, ROWS + 1),
        of="hosts",
        cursor_of=lambda one: f"{one[0]} {one[2]} {one[1]}",
        query=wanted.query,
        is_first=wanted.after is None,
    )
    return [pk for _, _, pk in shown], pager


def facets(rows: QuerySet[Worker], wanted: HostFilter) -> list[Facet]:
    """Return the filters of the list with how many hosts each would show."""
    counts = hosts_by_state(hosts_chosen(rows, group=wanted.group, q=wanted.q))
    return [
        Facet(
            key=key,
            label=str(label),
            href=wanted.url_with(state=key),
            on=key == wanted.state,
            count=formatting.whole(counts.get(key, 0) if key else sum(counts.values())),
            tone=tone,
            icon=icon,
        )
        for key, label, tone, icon in STATES
    ]


def group_facets(viewer: Principal, wanted: HostFilter) -> list[Facet]:
    """Return a filter for each group; the one that is on leads back to all."""
    return [
        Facet(
            key=group,
            label=group,
            href=wanted.url_with(group="" if group == wanted.group else group),
            on=group == wanted.group,
        )
        for group in groups_of_hosts(viewer, GROUPS_MAX)
    ]
