"""Reading the course of wins, expected wins and rewards over the last month, for a chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from django.db.models import IntegerField, Min, Q, Sum, Value
from django.db.models.functions import Extract, Floor

from apps.blocks.models import MiningDay, Round
from apps.blocks.selectors.rounds import UNDRAWN
from apps.blocks.states import RoundState
from apps.core.clock import DAY_S
from apps.miners.models import Miner

COURSE_DAYS: Final = 30
COURSE_SPANS: Final = 48


@dataclass(slots=True)
class MiningSpan:
    """What a part of a course brought."""

    start_s: float
    """Seconds since 1970."""
    wins: int = 0
    expected: float = 0.0
    reward: int = 0
    """attoFIL of the blocks on the chain, less penalties."""


def mining_course(miners: Sequence[Miner], *, now: datetime) -> list[MiningSpan]:
    """Return wins, expectation and rewards of the last month by day; of a young pool in `COURSE_SPANS`.

    Rounds that began after `now`, which is taken before they are read, belong to the next page.
    """
    # From midnight, as the first day's sum has the rounds of all of it.
    since = datetime.combine((now - timedelta(days=COURSE_DAYS)).date(), time(), tzinfo=UTC)
    rounds = Round.objects.filter(miner__in=miners, at__gte=since, at__lte=now).order_by()
    days = MiningDay.objects.filter(miner__in=miners, day__gte=since.date()).order_by("day")
    oldest = rounds.aggregate(at=Min("at"))["at"]
    if oldest is None:
        return []
    first = oldest.timestamp()
    width = max((now.timestamp() - first) / COURSE_SPANS, 1.0)
    if earliest := days.first():
        width = float(DAY_S)
        first = min(datetime.combine(earliest.day, time(), tzinfo=UTC).timestamp(), first // width * width)
    count = min(int((now.timestamp() - first) // width) + 1, COURSE_SPANS)  # none that only begins now
    spans = [MiningSpan(first + index * width) for index in range(count)]
    place = Floor((Extract("at", "epoch") - Value(first)) / Value(width), output_field=IntegerField())
    sums = rounds.annotate(place=place).values("place")
    totals: Iterable[Any] = sums.annotate(
        wins=Sum("win_count"),
        drawn=Sum("expected", filter=~UNDRAWN),
        brought=Sum("block__reward", filter=Q(state=RoundState.INCLUDED)),
        fined=Sum("block__penalty", filter=Q(state=RoundState.INCLUDED)),
    )
    for row in totals:
        span = spans[min(max(row["place"], 0), count - 1)]
        span.wins += row["wins"]
        span.expected += row["drawn"] or 0.0
        span.reward += int(row["brought"] or 0) - int(row["fined"] or 0)
    for day, expected in days.values_list("day").annotate(expected=Sum("expected")):
        at = datetime.combine(day, time(), tzinfo=UTC).timestamp()
        spans[min(max(int((at - first) // width), 0), count - 1)].expected += expected
    return spans
