"""The list of hosts by state, group and name, a page at a time; all of it stands in the address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from apps.dashboard.pagination import ROWS, Facet, cursor_read, page_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import QueryDict

    from apps.dashboard.labels import StateLabel
    from apps.dashboard.pagination import Pager
    from apps.sectors.models import Worker

STATES: Final = (
    ("", _("All"), "", ""),
    ("trouble", _("Need attention"), "bad", "bad"),
    ("working", _("Working"), "run", "run"),
    ("idle", _("Idle"), "ok", "ok"),
    ("paused", _("Paused"), "idle", "pause"),
)
"""Filters: key, words, tone, icon."""
SEARCH_MAX: Final = 100
GROUPS_MAX: Final = 30
"""Groups that a filter is offered for; others are found by name."""
RANKS: Final = {"bad": 0, "warn": 1}
"""Order of the list: those that need somebody first."""

Labelled = tuple["Worker", "StateLabel"]


@dataclass(frozen=True, slots=True)
class HostFilter:
    """What the address asks for."""

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

    def takes(self, one: Labelled) -> bool:
        """Return whether a host is in the list."""
        worker, label = one
        search = self.q.casefold()
        return (
            (not self.group or worker.group == self.group)
            and (not search or search in worker.name.casefold() or search in worker.host.casefold())
            and (not self.state or self.state == state_of(label))
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


def state_of(label: StateLabel) -> str:
    """Return the filter that a host falls under."""
    if label.icon == "pause":
        return "paused"
    return {"bad": "trouble", "warn": "trouble", "run": "working"}.get(label.tone, "idle")


def order_of(one: Labelled) -> tuple[int, str, int]:
    """Return where a host stands in the list."""
    worker, label = one
    return RANKS.get(label.tone, 2), worker.name, worker.pk


def cursor_of(one: Labelled) -> str:
    """Name the last row of a page."""
    rank, name, key = order_of(one)
    return f"{rank} {key} {name}"


def hosts_page(labelled: Sequence[Labelled], wanted: HostFilter) -> tuple[list[Worker], Pager]:
    """Return one page of the hosts that are wanted, those that need somebody first."""
    found = sorted((one for one in labelled if wanted.takes(one)), key=order_of)
    if wanted.after is not None:
        found = [one for one in found if order_of(one) > wanted.after]
    shown, pager = page_of(
        found[: ROWS + 1],
        of="hosts",
        cursor_of=cursor_of,
        query=wanted.query,
        is_first=wanted.after is None,
    )
    return [worker for worker, _label in shown], pager


def facets(labelled: Sequence[Labelled], wanted: HostFilter) -> list[Facet]:
    """Return the filters of the list with how many hosts each would show."""
    found = []
    for key, label, tone, icon in STATES:
        like = HostFilter(state=key, group=wanted.group, q=wanted.q)
        count = sum(like.takes(one) for one in labelled)
        found.append(
            Facet(
                key=key,
                label=str(label),
                href=wanted.url_with(state=key),
                on=key == wanted.state,
                count=str(count),
                tone=tone,
                icon=icon,
            )
        )
    return found


def group_facets(labelled: Sequence[Labelled], wanted: HostFilter) -> list[Facet]:
    """Return a filter for each group; the one that is on leads back to all."""
    groups = sorted({worker.group for worker, _label in labelled if worker.group})
    return [
        Facet(
            key=group,
            label=group,
            href=wanted.url_with(group="" if group == wanted.group else group),
            on=group == wanted.group,
        )
        for group in groups[:GROUPS_MAX]
    ]
