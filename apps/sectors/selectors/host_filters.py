"""Filters of the list of hosts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, reduce
from operator import or_
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.core.clock import now
from apps.core.filters import TEXT_MAX, Choices, Words
from apps.miners.selectors.miners import TenantFilters
from apps.sectors.models import Worker
from apps.sectors.selectors.host_groups import away_since, hosts_called
from apps.sectors.selectors.host_speed import host_speeds
from apps.sectors.selectors.host_states import IDLE, PAUSED, TROUBLE, WORKING, host_marks, hosts_stated

HOST_STATES: Final[dict[str, Callable[[HostFilters], Q]]] = {
    "here": lambda _filters: Q(seen_at__gte=away_since(now())),
    "away": lambda _filters: Q(seen_at__lt=away_since(now())),
    PAUSED: lambda _filters: Q(is_paused=True),
    "draining": lambda _filters: Q(is_draining=True),
    TROUBLE: lambda filters: filters.in_words(TROUBLE),
    WORKING: lambda filters: filters.in_words(WORKING),
    IDLE: lambda filters: filters.in_words(IDLE),
}


class HostFilters(TenantFilters):
    """Filters of hosts."""

    name = Words(method="called", about="part of the name, or of the machine's name")
    state = Choices(HOST_STATES, method="of_states")
    group = Words()
    q = Words(label=_("Name of host or machine"), method="called", about="the same as name, or the uuid")

    @cached_property
    def stated(self) -> QuerySet[Any]:
        """Return the viewer's hosts, each with its state as lists say it in words."""
        at = now()
        speeds = host_speeds(self.viewer) if self.page is None else self.page.host_speeds
        slow = [key for key, speed in speeds.items() if speed.slow is not None]
        return hosts_stated(self.viewer, host_marks(self.viewer, slow=slow, now=at), now=at)

    def in_words(self, state: str) -> Q:
        """Return the condition of a state that follows from what a host does and told."""
        if "state" in self.queryset.query.annotations:
            return Q(state=state)
        return Q(pk__in=self.stated.filter(state=state).order_by().values("pk"))

    def called(self, rows: QuerySet[Worker], _name: str, value: str) -> QuerySet[Worker]:
        """Find by a part of the name, or the uuid."""
        return hosts_called(rows, value[:TEXT_MAX])

    def of_states(self, rows: QuerySet[Worker], _name: str, value: list[str]) -> QuerySet[Worker]:
        """Narrow to some states."""
        return rows.filter(reduce(or_, [HOST_STATES[word](self) for word in value]))
