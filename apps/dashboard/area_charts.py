"""Charts of one value over time, drawn as an area."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

AREA_TOP_PX: Final = 8.0
AREA_HEIGHT_PX: Final = 140.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    """Percent of the width, or px from the top."""
    label: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class AreaBand:
    """A part of the time axis that is told apart, in percent of the width."""

    x: float
    w: float
    label: str


@dataclass(frozen=True, slots=True)
class Area:
    """A line over a time axis with its scale; path data in a 100 by 100 box."""

    line: str
    area: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    band: AreaBand | None
    label: str


def area(
    points: Sequence[tuple[float, float]],
    *,
    label: str,
    x_ticks: Sequence[Tick],
    y_text: Callable[[float], str],
    band: AreaBand | None = None,
) -> Area:
    """Return the line through `points` (place on the axis 0..1, value); the lowest value lies at its foot."""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    drawn = [f"{100 * x:.2f} {96 - 92 * (value - low) / span:.2f}" for x, value in points]
    line = "M" + "L".join(drawn)
    marks = (high,) if high == low else (high, (low + high) / 2, low)
    last = len(x_ticks) - 1
    anchors = {0: "start", last: "end"}
    return Area(
        line=line,
        area=f"{line}L{100 * points[-1][0]:.2f} 100L{100 * points[0][0]:.2f} 100Z",
        x_ticks=tuple(
            Tick(tick.at, tick.label, anchors.get(index, "middle")) for index, tick in enumerate(x_ticks)
        ),
        y_ticks=tuple(
            Tick(round(AREA_TOP_PX + AREA_HEIGHT_PX * (96 - 92 * (mark - low) / span) / 100, 1), y_text(mark))
            for mark in marks
        ),
        band=band,
        label=label,
    )
