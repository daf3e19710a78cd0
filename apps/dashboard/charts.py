"""Chart geometry: what a view hands to `charts/*.html`.  No colours here, and cells alone are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from django.utils.safestring import SafeString

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

STRIP_HEIGHT_PX: Final = 25.0
MARK_Y_PX: Final = 17
CELL_SHARE: Final = 0.78
"""Part of its place on the axis that a cell of a strip fills."""
MARKS: Final = {"warn": "!", "bad": "\u00d7"}
HEIGHTS_PX: Final = {"none": 8.0, "idle": 2.0, "warn": STRIP_HEIGHT_PX, "bad": STRIP_HEIGHT_PX}
"""Heights of cells by their tone; others tell by their height how much time was left."""
PLACES_KEPT: Final = 16
"""Lengths of strips whose places are kept."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    """Percent of the width, or px from the top."""
    label: str
    anchor: str = "middle"


class StripEntry(NamedTuple):
    """One deadline on a strip."""

    tone: str
    """ok, run, warn, bad, none (to come) or idle (no sectors)."""
    share: float
    """0..1: how much of the window was left when the proof landed; it is the height of an ok cell."""
    title: str
    """What a reader hears and a pointer shows."""


class StripCell(NamedTuple):
    """A drawn deadline: x, w, cx in percent of the width, y, h in px."""

    x: float
    w: float
    cx: float
    y: float
    h: float
    tone: str
    mark: str
    title: str

    @property
    def svg(self) -> str:
        """Return its picture."""
        css = f"t-{self.tone}{' quiet' if self.tone == 'ok' else ''}"
        place = f'x="{self.x}%" width="{self.w}%" y="{self.y}" height="{self.h}" rx="1.5"'
        cell = f'<rect class="{css}" {place}>{title_svg(self.title)}</rect>'
        if not self.mark:
            return cell
        place = f'x="{self.cx}%" y="{MARK_Y_PX}" text-anchor="middle"'
        return f'{cell}<text class="mark" {place}>{self.mark}</text>'


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of deadlines on one time axis."""

    cells: tuple[StripCell, ...]
    now: float
    """Where the present stands, in percent of the width."""
    label: str

    @property
    def drawn(self) -> SafeString:
        """Return its cells; a template takes ten times as long for the thousands of a page."""
        return SafeString("".join(cell.svg for cell in self.cells))


def title_svg(text: str) -> str:
    """Return what a pointer shows of a cell; empty without a text."""
    return f"<title>{escape(text)}</title>" if text else ""  # by the library: Django's takes twice as long


def strip(entries: Sequence[StripEntry], *, now: float, label: str) -> Strip:
    """Lay the entries side by side; `now` is 0..1 of the width."""
    places = strip_places(len(entries))
    cells = tuple(_strip_cell(entry, place) for entry, place in zip(entries, places, strict=True))
    return Strip(cells=cells, now=round(100 * now, 2), label=label)


@lru_cache(PLACES_KEPT)
def strip_places(count: int) -> tuple[tuple[float, float, float], ...]:
    """Return x, width and middle of each of so many cells: those of all strips of a page are alike."""
    place = 100 / max(count, 1)
    width = place * CELL_SHARE
    return tuple(
        (round(index * place, 2), round(width, 2), round(index * place + width / 2, 2))
        for index in range(count)
    )


def _strip_cell(entry: StripEntry, place: tuple[float, float, float]) -> StripCell:
    tone, share, title = entry
    height = HEIGHTS_PX.get(tone) or 4 + share * (STRIP_HEIGHT_PX - 4)
    y, drawn = round(STRIP_HEIGHT_PX - height, 1), round(height - (0.5 if tone == "none" else 0), 1)
    return StripCell(*place, y, drawn, tone, MARKS.get(tone, ""), title)


@dataclass(frozen=True, slots=True)
class Spark:
    """A small line without axes, as path data in a 100 by 20 box."""

    line: str
    area: str
    label: str
    tone: str = "run"


def spark(values: Sequence[float], *, label: str) -> Spark | None:
    """Return the line of `values`; None if there are fewer than two to join."""
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    span, step = (high - low) or 1, 100 / (len(values) - 1)
    points = [
        f"{index * step:.1f} {18 - (value - low) / span * 15:.1f}" for index, value in enumerate(values)
    ]
    line = "M" + "L".join(points)
    return Spark(line=line, area=f"{line}L100 20L0 20Z", label=label)


@dataclass(frozen=True, slots=True)
class Bar:
    """A span on a Gantt row, in percent of the width."""

    x: float
    w: float
    mid: float
    tone: str
    mark: str = ""


def gantt_bar(start: float, end: float, *, tone: str) -> Bar:
    """Return a bar from `start` to `end` (0..1 of the axis), never too thin to be seen."""
    width = max(end - start, 0.004)
    mark = MARKS.get(tone, "") if tone == "bad" else ""
    return Bar(
        x=round(100 * start, 2),
        w=round(100 * width, 2),
        mid=round(100 * (start + width / 2), 2),
        tone=tone,
        mark=mark,
    )


@dataclass(frozen=True, slots=True)
class GanttRow:
    """One stage or step on a time axis."""

    stage: StrOrPromise
    took: str
    text: str
    """The row in words, for screen readers."""
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Gantt:
    """What was done one after the other, on one time axis."""

    rows: tuple[GanttRow, ...]
    ticks: tuple[Tick, ...]
    now: float | None
    """Where the present stands, or a limit, in percent of the width; None once nothing more is to be done."""
