"""Reading how busy hosts' slots were in single hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from apps.history.models import Reading
from apps.history.rules import Figure
from apps.history.states import HOUR, Kind

BUSY: Final = "slots_busy"


def busy_by_hour(hosts: Collection[int], *, since: datetime) -> Mapping[int, Mapping[datetime, float]]:
    """Return by host and hour the mean share of its slots that ran something; an unknown hour is absent."""
    rows = Reading.objects.filter(kind=Kind.HOST, subject__in=list(hosts), step=HOUR, at__gte=since)
    found: dict[int, dict[datetime, float]] = defaultdict(dict)
    for subject, at, stored in rows.order_by().values_list("subject", "at", f"figures__{BUSY}"):
        if stored is not None:
            found[subject][at] = float(Figure(*stored).mean)
    return found


def hosts_busy_since(hosts: Collection[int], since: datetime) -> set[int]:
    """Return the hosts of which a slot ran something in any hour since then."""
    rows = Reading.objects.filter(kind=Kind.HOST, subject__in=list(hosts), step=HOUR, at__gte=since)
    busy = rows.filter(**{f"figures__{BUSY}__1__gt": 0})
    return set(busy.order_by().values_list("subject", flat=True).distinct())
