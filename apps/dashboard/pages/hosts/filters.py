"""Filters of the list of hosts by state, group and name, read from the URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.dashboard.pagination import facets_of, tags_of
from apps.sectors.selectors.host_states import (
    IDLE,
    PAUSED,
    TROUBLE,
    WORKING,
    groups_of_hosts,
    hosts_by_state,
    hosts_chosen,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import QueryDict

    from apps.dashboard.pagination import Facet
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


@dataclass(frozen=True, slots=True)
class HostFilter:
    """Filters of the list of hosts, read from the URL."""

    state: str = ""
    group: str = ""
    q: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> HostFilter:
        """Read the URL's query; an unknown state is ignored."""
        state = query.get("state", "")
        return cls(
            state=state if state in {key for key, *_more in STATES} else "",
            group=query.get("group", "")[:SEARCH_MAX],
            q=query.get("q", "").strip()[:SEARCH_MAX],
        )

    @property
    def query(self) -> dict[str, str]:
        """Return the filters as a URL's query."""
        return {"state": self.state, "group": self.group, "q": self.q}


def facets(rows: QuerySet[Worker], wanted: HostFilter, viewer: Principal) -> list[Facet]:
    """Return a filter for each state, with the number of its hosts, and one for each group."""
    counts = hosts_by_state(hosts_chosen(rows, group=wanted.group, q=wanted.q))
    counts[""] = sum(counts.values())
    here, groups = reverse("hosts"), groups_of_hosts(viewer, GROUPS_MAX)
    return [
        *facets_of(here, STATES, counts, **wanted.query),
        *tags_of(here, groups, field="group", query=wanted.query),
    ]
