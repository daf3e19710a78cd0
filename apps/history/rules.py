"""Figures of several moments as one: how often, sum, lowest, highest, newest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

Number = int | float
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Figure(NamedTuple):
    """What one metric was over some time, as rows have it; a tuple, as a page reads thousands."""

    times: int
    """How often it was measured."""
    total: Number
    low: Number
    high: Number
    last: Number

    @classmethod
    def measured(cls, value: Number) -> Figure:
        """Return what was measured once."""
        return cls(1, value, value, value, value)

    @property
    def mean(self) -> Number:
        """Return the average; of whole numbers a whole one, since attoFIL have more digits than floats."""
        is_whole = isinstance(self.total, int)
        return self.total // self.times if is_whole else self.total / self.times

    def plus(self, later: Figure) -> Figure:
        """Return both as one."""
        return Figure(
            self.times + later.times,
            self.total + later.total,
            min(self.low, later.low),
            max(self.high, later.high),
            later.last,
        )


def figures_sum(figures: Iterable[Figure]) -> Figure | None:
    """Return all as one, in the order of their time; None of none."""
    total: Figure | None = None
    for figure in figures:
        total = figure if total is None else total.plus(figure)
    return total


def begin_of(at: datetime, step: timedelta) -> datetime:
    """Return when the step that a moment lies in begins; steps are counted from 1970, UTC."""
    return at - (at - EPOCH) % step
