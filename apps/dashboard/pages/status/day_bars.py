"""The bar of each day of a component: from below how long it was down, unknown, degraded and up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.checks.selectors.components import DAYS_SHOWN, Seconds
from apps.checks.states import Condition
from apps.core.formatting import duration
from apps.core.languages import colon_text, list_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from apps.checks.selectors.components import ComponentRecord

HEIGHT_PX: Final = 26.0
LEAST_PX: Final = 9.0
"""What lasted a minute of a day is seen, too, with its mark."""
SHARE: Final = 0.72
"""Part of its place that a bar fills."""
TONES: Final = {
    Condition.DOWN: "bad",
    Condition.UNKNOWN: "idle",
    Condition.DEGRADED: "warn",
    Condition.UP: "ok",
}
MARKS: Final = {Condition.DOWN: "×", Condition.UNKNOWN: "?", Condition.DEGRADED: "!"}


@dataclass(frozen=True, slots=True)
class BarPart:
    """A part of a day's bar, in px from above."""

    y: float
    h: float
    tone: str


@dataclass(frozen=True, slots=True)
class DayBar:
    """One day: x, w and mid in percent of the width; without a part there is no record of it."""

    x: float
    w: float
    mid: float
    parts: tuple[BarPart, ...]
    mark: str
    title: str
    """Empty of a day that was up all the time."""


@dataclass(frozen=True, slots=True)
class ImpairedDay:
    """A day on which a component was not up all the time, for the table."""

    day: date
    component: str
    counted: Seconds


def day_bars(record: ComponentRecord, *, now: datetime) -> tuple[DayBar, ...]:
    """Return the bars of the days up to today."""
    first, place = now.date() - timedelta(days=DAYS_SHOWN - 1), 100 / DAYS_SHOWN
    days = [first + timedelta(days=index) for index in range(DAYS_SHOWN)]
    return tuple(_bar(day, record.days.get(day, Seconds()), x=place * at) for at, day in enumerate(days))


def _bar(day: date, counted: Seconds, *, x: float) -> DayBar:
    worst, width = counted.worst, 100 / DAYS_SHOWN * SHARE
    return DayBar(
        x=round(x, 2),
        w=round(width, 2),
        mid=round(x + width / 2, 2),
        parts=tuple(_parts(counted)),
        mark="" if worst is None else MARKS.get(worst, ""),
        title="" if worst in (None, Condition.UP) else colon_text(day.isoformat(), seconds_text(counted)),
    )


def _parts(counted: Seconds) -> Iterator[BarPart]:
    """Yield the parts from below; each that is there is seen."""
    if not counted.recorded:
        return
    spans = {
        Condition.DOWN: counted.down,
        Condition.UNKNOWN: counted.unknown,
        Condition.DEGRADED: counted.degraded,
    }
    bottom = HEIGHT_PX
    for condition, seconds in spans.items():
        if seconds:
            height = min(max(HEIGHT_PX * seconds / counted.recorded, LEAST_PX), bottom)
            bottom -= height
            yield BarPart(round(bottom, 1), round(height, 1), TONES[condition])
    if counted.up and bottom > 0:
        yield BarPart(0, round(bottom, 1), TONES[Condition.UP])


def seconds_text(counted: Seconds) -> str:
    """Return how long a component was not up, and how."""
    texts = (
        (counted.down, gettext("down {time}")),
        (counted.degraded, gettext("degraded {time}")),
        (counted.unknown, gettext("unknown {time}")),
        (counted.announced, gettext("announced {time}")),
    )
    return list_text(text.format(time=duration(seconds)) for seconds, text in texts if seconds)


def impaired_days(records: tuple[ComponentRecord, ...]) -> list[ImpairedDay]:
    """Return the days on which a component was not up all the time, the newest first."""
    found = [
        ImpairedDay(day, str(record.component.label), counted)
        for record in records
        for day, counted in record.days.items()
        if counted.worst not in (None, Condition.UP)
    ]
    return sorted(found, key=lambda one: one.day, reverse=True)
