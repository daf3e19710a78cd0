"""Counting what hosts have sealed for each miner, by hours."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from apps.core.clock import DAY
from apps.history.models import Reading
from apps.history.rules import begin_of
from apps.history.states import HOUR, SEALED, Kind
from apps.sectors.models import JobEvent
from poolsite.wire.pipeline import WORKER_STAGES, SectorEvent, SectorState

PART: Final = 5_000
"""Events that are read at a time, the newest first."""
LATE: Final = HOUR
"""Maximum delay with which a host reports an event."""
CATCH_UP: Final = 2 * DAY
"""Maximum time that is counted after a pause in which nothing was counted."""


def uncounted_since(now: datetime) -> datetime:
    """Return the hour from which on sealing is to be counted: that of the newest count, or today's first.

    Counts of hours to come are of a clock that was set back since.
    """
    newest = Reading.objects.filter(kind=Kind.SEALING, step=HOUR, at__lte=now).order_by("-at").first()
    since = begin_of(now, DAY) if newest is None else newest.at - LATE
    return max(since, begin_of(now - CATCH_UP, HOUR))


def sealed_by_hour(since: datetime) -> Mapping[datetime, Mapping[int, Counter[str]]]:
    """Return by hour, then by miner, how often each stage was done, and how many sectors came to proving."""
    found: dict[datetime, dict[int, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    below: int | None = None
    while True:
        rows = JobEvent.objects.order_by("-pk")
        part = list(
            (rows if below is None else rows.filter(pk__lt=below)).values_list(
                "pk", "job__miner_id", "at", "event", "stage", "ms", "is_error", "to_state"
            )[:PART]
        )
        for _, miner, at, event, stage, ms, is_error, to_state in part:
            if at < since or miner is None:
                continue
            counts = found[begin_of(at, HOUR)][miner]
            if ms is not None and stage in WORKER_STAGES and not is_error:
                counts[stage] += 1
            if event == SectorEvent.FINALIZE and to_state == SectorState.PROVING:  # no import, and no note
                counts[SEALED] += 1
        if len(part) < PART or part[-1][2] < since - LATE:
            return found
        below = part[-1][0]
