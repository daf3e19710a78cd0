"""Charts of what was: figures in equal steps of time as lines or bars, and the same as a table.

The template draws them; a script shows the table's row where somebody points, or goes by the arrow keys.
A step of which nothing is known is a gap, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from apps.core.clock import DAY
from apps.core.formatting import NOTHING
from apps.core.local_time import day_text, here_of
from apps.dashboard.charts import Tick

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Number = int | float
Band = tuple[Sequence[Number], Sequence[Number]]
"""Lowest and highest value of each step."""
DASHES: Final = ("", "6 4", "2 3")
"""Lines differ by more than their colours."""
MARKS: Final = 4
"""Parts of the time axis on a wide screen."""
BAR_SHARE: Final = 0.8
"""Part of its step that a bar fills, and a line of one step alone."""
PLOT_TOP_PX: Final = 8.0
PLOT_HEIGHT_PX: Final = 140.0
TOP: Final = 4.0
FOOT: Final = 98.0
"""Heights at which the highest and the lowest value are drawn, in a box of 100; 0 is at the top."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The time of a chart."""

    steps: Sequence[datetime]
    """When each begins."""
    step: timedelta
    shade: tuple[datetime, datetime] | None = None
    """A time that is told apart."""
    is_ahead: bool = False
    """Whether it lies ahead: then its first step is told, else the newest."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure over time."""

    label: StrOrPromise
    values: Sequence[Number | None]
    """One for each step; None: not known."""
    tone: str = "run"
    dash: str = ""
    is_bars: bool = False
    bands: Sequence[Band] = ()
    """Between what it may be, the wider before the narrower."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line as path data in a box of 100 by 100."""

    label: StrOrPromise
    tone: str
    dash: str
    is_bars: bool
    path: str


@dataclass(frozen=True, slots=True)
class Trend:
    """A chart as its template takes it."""

    key: str
    title: StrOrPromise
    lines: tuple[Drawn, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    rows: tuple[tuple[str, tuple[tuple[StrOrPromise, str], ...]], ...]
    """Each step's time, and label and text of each line, the oldest first."""
    newest: str
    """Time and texts of the newest step of which something is known; empty without one."""
    label: str
    """The chart in words, for screen readers."""
    note: StrOrPromise = ""
    bands: tuple[str, ...] = ()
    """Between what a line may be, the wider before the narrower, as path data."""
    shade: tuple[float, float] | None = None
    """Beginning and width of a time that is told apart, in percent of the width."""

    @property
    def table_rows(self) -> SafeString:
        """Return the rows of its table; a template takes five times as long for some hundred of them."""
        if not self.rows:
            return SafeString()
        opened = [f'<td class="num" data-label="{escape(label)}">' for label, _ in self.rows[0][1]]
        return SafeString(
            "\n".join(
                f'<tr><th scope="row" class="c-name">{escape(at)}</th>'
                + "".join(f"{tag}{escape(text)}</td>" for tag, (_, text) in zip(opened, cells, strict=True))
                + "</tr>"
                for at, cells in self.rows
            )
        )

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is known of any step."""
        return not self.newest


def trend(
    key: str,
    title: StrOrPromise,
    lines: Sequence[Line],
    *,
    axis: Axis,
    text: Callable[[Number], str],
    low: Number | None = None,
    high: Number | None = None,
    note: StrOrPromise = "",
) -> Trend:
    """Lay out lines and bars of one unit; `low` and `high` are always inside, bars stand on 0, in a pile."""
    tops = _piled(lines)
    values = [value for line in tops for value in line if value is not None]
    bands = [band for line in lines for band in line.bands]
    values += [value for band in bands for side in band for value in side]
    bounds = (low, high, 0 if any(line.is_bars for line in lines) else None)
    scale = Scale.of([*values, *(bound for bound in bounds if bound is not None)])
    rows = tuple(
        (step_text(at, axis.step), tuple((line.label, _text(line.values[place], text)) for line in lines))
        for place, at in enumerate(axis.steps)
    )
    newest = row_text(rows[0]) if axis.is_ahead and rows else _newest(lines, rows)
    return Trend(
        key=key,
        title=title,
        lines=tuple(_drawn(lines, tops, scale)),
        x_ticks=tuple(_x_ticks(axis)),
        y_ticks=tuple(scale.ticks(text)) if newest else (),
        rows=rows,
        newest=newest,
        label=gettext("{title}: {newest}").format(title=title, newest=newest)
        if newest
        else gettext("{title}: nothing known yet").format(title=title),
        note=note,
        bands=tuple(_band(band, y=scale.y) for band in bands),
        shade=_shade(axis),
    )


@dataclass(frozen=True, slots=True)
class Scale:
    """The values of a chart, from the lowest at its foot to the highest at its top."""

    least: Number
    most: Number

    @classmethod
    def of(cls, values: Sequence[Number]) -> Scale:
        """Return the scale that has all of these."""
        return cls(min(values, default=0), max(values, default=0))

    def y(self, value: Number) -> float:
        """Return where a value lies in a box of 100; one that never changed in its middle, unless it is 0."""
        if self.most == self.least:
            return (FOOT + TOP) / 2 if self.least else FOOT
        return FOOT - (FOOT - TOP) * float((value - self.least) / (self.most - self.least))

    def ticks(self, text: Callable[[Number], str]) -> Iterator[Tick]:
        """Yield marks at the highest, the middle and the lowest value: whole ones of whole values."""
        half = self.least + (self.most - self.least) / 2
        middle = round(half) if isinstance(self.least, int) else half
        for mark in dict.fromkeys((self.most, middle, self.least)):
            yield Tick(round(PLOT_TOP_PX + PLOT_HEIGHT_PX * self.y(mark) / 100, 1), text(mark))


def _drawn(lines: Sequence[Line], tops: Sequence[Sequence[Number | None]], scale: Scale) -> Iterator[Drawn]:
    below: list[Number] = [0] * max(map(len, tops), default=0)
    for line, top in zip(lines, tops, strict=True):
        if line.is_bars:
            path = _bars(top, below, y=scale.y)
            below = [under if value is None else value for under, value in zip(below, top, strict=True)]
        else:
            path = "".join(_line(top, y=scale.y))
        yield Drawn(line.label, line.tone, line.dash, line.is_bars, path)


def _newest(lines: Sequence[Line], rows: Sequence[tuple[str, tuple[tuple[StrOrPromise, str], ...]]]) -> str:
    """Return the newest step of which the first line knows something, else any, as one line."""
    for some in (lines[:1], lines):
        for place in reversed(range(len(rows))):
            if any(line.values[place] is not None for line in some):
                return row_text(rows[place])
    return ""


def row_text(row: tuple[str, tuple[tuple[StrOrPromise, str], ...]]) -> str:
    """Return a step as one line, as the script writes it: `28 Nov 15:00 · CPU 40 % · Memory 71 %`."""
    at, cells = row
    return " · ".join([at, *(f"{label} {text}" for label, text in cells)])


def step_text(at: datetime, step: timedelta) -> str:
    """Return a step's time: hours in the person's zone, days as UTC has them."""
    if step >= DAY:
        return day_text(at.astimezone(UTC).date())
    here = here_of(at)
    return f"{day_text(here)} {here:%H:%M}"


def _text(value: Number | None, text: Callable[[Number], str]) -> str:
    return NOTHING if value is None else text(value)


def _piled(lines: Sequence[Line]) -> list[list[Number | None]]:
    """Return the height at which each line or bar ends: bars stand on those before them."""
    below: list[Number] = [0] * max((len(line.values) for line in lines), default=0)
    tops: list[list[Number | None]] = []
    for line in lines:
        if not line.is_bars:
            tops.append(list(line.values))
            continue
        top = [
            None if value is None else under + value for under, value in zip(below, line.values, strict=True)
        ]
        below = [under if value is None else value for under, value in zip(below, top, strict=True)]
        tops.append(top)
    return tops


def _line(values: Sequence[Number | None], *, y: Callable[[Number], float]) -> Iterator[str]:
    """Yield the pieces of a line: one for each run of known steps."""
    width = 100 / max(len(values), 1)
    for place, value in enumerate(values):
        if value is None:
            continue
        x = (place + 0.5) * width
        is_first = place == 0 or values[place - 1] is None
        is_alone = is_first and (place + 1 == len(values) or values[place + 1] is None)
        if is_alone:
            yield f"M{x - width * BAR_SHARE / 2:.2f} {y(value):.2f}h{width * BAR_SHARE:.2f}"
        else:
            yield f"{'M' if is_first else 'L'}{x:.2f} {y(value):.2f}"


def _bars(tops: Sequence[Number | None], below: Sequence[Number], *, y: Callable[[Number], float]) -> str:
    """Return bars from what is below them to their tops."""
    width = 100 / max(len(tops), 1)
    return "".join(
        f"M{(place + (1 - BAR_SHARE) / 2) * width:.2f} {y(under):.2f}V{y(top):.2f}"
        f"h{width * BAR_SHARE:.2f}V{y(under):.2f}z"
        for place, (top, under) in enumerate(zip(tops, below, strict=True))
        if top is not None and top != under
    )


def _band(band: Band, *, y: Callable[[Number], float]) -> str:
    """Return the area between the lowest and the highest values."""
    lows, highs = band
    width = 100 / max(len(lows), 1)
    way = [*enumerate(highs), *reversed(list(enumerate(lows)))]
    points = "L".join(f"{(place + 0.5) * width:.2f} {y(value):.2f}" for place, value in way)
    return f"M{points}Z"


def _shade(axis: Axis) -> tuple[float, float] | None:
    """Return where the time that is told apart lies, and how wide it is, in percent."""
    if axis.shade is None or not axis.steps:
        return None
    whole = axis.step * len(axis.steps)
    start, end = (min(max((at - axis.steps[0]) / whole, 0.0), 1.0) for at in axis.shade)
    return round(100 * start, 2), round(100 * (end - start), 2)


def _x_ticks(axis: Axis) -> Iterator[Tick]:
    """Yield the marks of the time axis: times of a day, else days."""
    steps, step = axis.steps, axis.step
    if not steps:
        return
    places = sorted({round(part * (len(steps) - 1) / MARKS) for part in range(MARKS + 1)})
    is_short = step < DAY and step * (len(steps) - 1) <= DAY
    for place in places:
        at = steps[place]
        if is_short:
            label = f"{here_of(at):%H:%M}"
        else:
            label = day_text(at.astimezone(UTC).date() if step >= DAY else here_of(at).date())
        anchor = "start" if place == 0 else "end" if place == len(steps) - 1 else "middle"
        yield Tick(round(100 * (place + 0.5) / len(steps), 2), label, anchor)
