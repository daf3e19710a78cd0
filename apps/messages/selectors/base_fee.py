"""The base fee of the last day, and the hours in which it was cheapest."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Avg, Count, F, Max, Min

from apps.chain.models import Head
from apps.core.clock import DAY_S

SPANS: Final = 96
"""Points of a whole day's history: one for each quarter of an hour."""
WINDOW_S: Final = 2 * 3600
"""Length of the cheap window."""
HISTORY_MIN_S: Final = 6 * 3600
"""With less history than this no hour can be called the cheapest of the day."""


@dataclass(frozen=True, slots=True)
class BaseFeeSpan:
    """The base fee during one piece of the day, in attoFIL."""

    start_s: int
    """Chain time in seconds since 1970."""
    low: int
    mean: int
    high: int
    heads: int
    width_s: int
    """Each begins in another of the pieces of this width since 1970."""


@dataclass(frozen=True, slots=True)
class CheapWindow:
    """The two hours of the last day in which the base fee was lowest."""

    start_s: int
    end_s: int
    mean: int
    """attoFIL."""
    day_mean: int
    """attoFIL, over all of the history that was read."""

    def next_start_s(self, at_s: float) -> int:
        """Return when the same hours come again, or `start_s` of today's if they are running."""
        days = int(max(at_s - self.end_s, -1) // DAY_S) + 1
        return self.start_s + days * DAY_S


def base_fee_history(*, head: Head, epoch_s: int) -> list[BaseFeeSpan]:
    """Return the last day's base fee, oldest first; a chain younger than a day is cut finer."""
    rows = Head.objects.filter(
        is_canonical=True, height__gt=head.height - DAY_S // epoch_s, height__lte=head.height
    )
    oldest = rows.order_by("height").values_list("timestamp", flat=True).first()
    if oldest is None:
        return []
    span_s = max((head.timestamp - oldest) // SPANS + 1, epoch_s)
    pieces = (
        rows.annotate(piece=F("timestamp") / span_s)
        .values("piece")
        .annotate(
            low=Min("base_fee"),
            mean=Avg("base_fee"),
            high=Max("base_fee"),
            heads=Count("pk"),
            begins=Min("timestamp"),
        )
    )
    return [
        BaseFeeSpan(row["begins"], int(row["low"]), int(row["mean"]), int(row["high"]), row["heads"], span_s)
        for row in pieces.order_by("piece")
    ]


def cheap_window(history: Sequence[BaseFeeSpan]) -> CheapWindow | None:
    """Find the cheapest two hours; None while less than six hours are known."""
    if len(history) < 2 or history[-1].start_s - history[0].start_s < HISTORY_MIN_S:
        return None
    starts = [span.start_s for span in history]
    means: dict[int, float] = {}
    for index, span in enumerate(history):
        if span.start_s + WINDOW_S > starts[-1]:
            break
        means[index] = _mean(history[index : bisect_left(starts, span.start_s + WINDOW_S)])
    best = min(means, key=lambda index: means[index])
    start = history[best].start_s
    return CheapWindow(start, start + WINDOW_S, round(means[best]), round(_mean(history)))


def base_fee_shares(history: Sequence[BaseFeeSpan], base_fee: int) -> tuple[float, float] | None:
    """Return the shares of the day, 0 to 1, with a higher and with a lower base fee; None without history."""
    total = sum(span.heads for span in history)
    if not total:
        return None
    higher = sum(span.heads for span in history if span.mean > base_fee)
    lower = sum(span.heads for span in history if span.mean < base_fee)
    return higher / total, lower / total


def _mean(spans: Sequence[BaseFeeSpan]) -> float:
    return sum(span.mean * span.heads for span in spans) / sum(span.heads for span in spans)
