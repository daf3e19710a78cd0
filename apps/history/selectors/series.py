"""Reading what was: a thing's figures over some time, in equal steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Min

from apps.core.clock import DAY
from apps.history.models import Reading
from apps.history.rules import Figure, Number, begin_of
from apps.history.states import HOUR, RETENTION, WALLET_HOURS_RETENTION, Kind

POINTS_MAX: Final = 1_000
"""Steps of one series at most."""


@dataclass(frozen=True, slots=True)
class Point:
    """One metric in one step: of what is measured the mean, of what is counted the sum."""

    value: Number
    low: Number
    high: Number


@dataclass(frozen=True, slots=True)
class Series:
    """A thing's figures in equal steps of time."""

    steps: tuple[datetime, ...]
    """When each begins; all of them, also those of which nothing is known."""
    step: timedelta
    points: Mapping[str, Sequence[Point | None]]
    """By metric, one for each step; None: nothing is known of it."""
    since: datetime | None
    """Since when there are figures, in these steps or earlier ones; None: there are none."""

    def of(self, metric: str) -> Sequence[Point | None]:
        """Return the points of a metric, one for each step."""
        return self.points.get(metric) or [None] * len(self.steps)


def step_of(kind: Kind, *, begin: datetime, step: timedelta, now: datetime) -> timedelta:
    """Return a step, or a day where rows of hours are not kept so far back."""
    hours_kept = WALLET_HOURS_RETENTION if kind == Kind.WALLET else RETENTION[HOUR]
    return max(step, DAY) if begin < now - hours_kept else step


def series(
    kind: Kind, subjects: Collection[int], *, begin: datetime, end: datetime, step: timedelta, now: datetime
) -> Series:
    """Return the figures from `begin` to before `end`; those of several things are added, step by step.

    A step is hours of which days are made, or days, which are of UTC.
    """
    step = step_of(kind, begin=begin, step=step, now=now)
    rows_step = HOUR if step % DAY else DAY
    first = begin_of(begin, min(step, DAY))
    count = min(-(-(end - first) // step), POINTS_MAX)
    steps = tuple(first + step * place for place in range(count))
    rows = Reading.objects.filter(kind=kind, subject__in=list(subjects), step=rows_step)
    parts: dict[str, list[dict[int, Figure]]] = {}
    inside = rows.filter(at__gte=first, at__lt=first + step * count).order_by("at")
    for subject, at, figures in inside.values_list("subject", "at", "figures"):
        place = (at - first) // step
        for name, stored in figures.items():
            of_step = parts.setdefault(name, [{} for _ in steps])[place]
            before = of_step.get(subject)
            figure = Figure(*stored)
            of_step[subject] = figure if before is None else before.plus(figure)
    return Series(
        steps=steps,
        step=step,
        points={name: [_point(kind, of_step) for of_step in places] for name, places in parts.items()},
        since=history_since(kind, subjects),
    )


def history_since(kind: Kind, subjects: Collection[int]) -> datetime | None:
    """Return since when there are figures; None: there are none.

    To the hour, while rows of hours are kept; the row of a day begins with the day.
    """
    rows = Reading.objects.filter(kind=kind, subject__in=list(subjects))
    first = dict(rows.order_by().values_list("step").annotate(first=Min("at")))
    day, hour = first.get(DAY), first.get(HOUR)
    return hour if day is None or (hour is not None and hour - day < DAY) else day


def _point(kind: Kind, of_step: Mapping[int, Figure]) -> Point | None:
    """Return one step's point of all things."""
    each = of_step.values()
    if not each:
        return None
    return Point(
        sum(one.total if kind == Kind.SEALING else one.mean for one in each),
        sum(one.low for one in each),
        sum(one.high for one in each),
    )
