"""Charts of block production: luck with its band, rewards by day, and what of them still vests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from django.utils.timezone import localtime
from django.utils.translation import gettext

from apps.blocks.selectors.luck import quantile
from apps.core import formatting
from apps.core.local_time import day_text, moment_text
from apps.dashboard.area_charts import AREA_HEIGHT_PX, AREA_TOP_PX, Area, Tick, area
from poolsite.filecoin.pledge import EPOCHS_IN_DAY, VESTING_DAYS, locked_reward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.blocks.selectors.mining_course import MiningSpan

X_TICKS: Final = 4
YOUNG_S: Final = 2 * 86_400
"""Of a shorter course the ticks need the time of day."""
VESTING_POINTS: Final = 60


@dataclass(frozen=True, slots=True)
class Column:
    """One column, x and w in percent of the width, y and h in px."""

    x: float
    w: float
    y: float
    h: float
    text: str


@dataclass(frozen=True, slots=True)
class LuckCourse:
    """Wins so far against those expected so far; path data in a 100 by 100 box."""

    wins: str
    expected: str
    half: str
    most: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    label: str


@dataclass(frozen=True, slots=True)
class RewardColumns:
    """Rewards side by side on one time axis."""

    columns: tuple[Column, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    label: str


def time_ticks(first_s: float, last_s: float) -> tuple[Tick, ...]:
    """Return marks on a time axis, by day or by minute."""
    anchors = {0: "start", X_TICKS - 1: "end"}
    shares = [index / (X_TICKS - 1) for index in range(X_TICKS)]
    return tuple(
        Tick(
            round(100 * share, 2),
            tick_text(first_s + share * (last_s - first_s), is_young=last_s - first_s <= YOUNG_S),
            anchors.get(index, "middle"),
        )
        for index, share in enumerate(shares)
    )


def tick_text(at_s: float, *, is_young: bool) -> str:
    """Return a day, or on a young chain a time of day."""
    here = localtime(datetime.fromtimestamp(at_s, tz=UTC))
    return f"{here:%H:%M}" if is_young else day_text(here)


def height_ticks(top: float, texts: Sequence[str]) -> tuple[Tick, ...]:
    """Return marks from 0 up to the chart's top, one for each text."""
    last = max(len(texts) - 1, 1)
    places = [AREA_TOP_PX + AREA_HEIGHT_PX * (100 - 92 * index / last) / 100 for index in range(len(texts))]
    return tuple(Tick(round(at, 1), text) for at, text in zip(places, texts, strict=True)) if top else ()


def luck_course(spans: Sequence[MiningSpan], *, now_s: float) -> LuckCourse | None:
    """Draw wins and expected wins, summed up; None where nothing was to be expected."""
    if not spans or not any(span.expected for span in spans):
        return None
    first = spans[0].start_s
    ends = [span.start_s for span in spans[1:]] + [now_s]
    places = [0.0, *(100 * (end - first) / max(now_s - first, 1) for end in ends)]
    wins = [0, *accumulate(span.wins for span in spans)]
    expected = [0.0, *accumulate(span.expected for span in spans)]
    bands = [[quantile(one, share) for one in expected] for share in (0.05, 0.25, 0.75, 0.95)]
    top = max(wins[-1], bands[3][-1], 1)

    def line(values: Sequence[float]) -> str:
        return "L".join(f"{x:.2f} {100 - 92 * y / top:.2f}" for x, y in zip(places, values, strict=True))

    def band_path(low: Sequence[float], high: Sequence[float]) -> str:
        back = [f"{x:.2f} {100 - 92 * y / top:.2f}" for x, y in zip(places, low, strict=True)][::-1]
        return f"M{line(high)}L{'L'.join(back)}Z"

    return LuckCourse(
        wins=f"M{line(wins)}",
        expected=f"M{line(expected)}",
        half=band_path(bands[1], bands[2]),
        most=band_path(bands[0], bands[3]),
        x_ticks=time_ticks(first, now_s),
        y_ticks=height_ticks(top, ["0", f"{top / 2:.0f}", f"{top:.0f}"] if top > 1 else ["0", "1"]),
        label=(
            gettext(
                "{wins}, {expected:.1f} expected; 50 % of pools with this power have {half_low} "
                "to {half_high}, 90 % {most_low} to {most_high}"
            ).format(
                wins=formatting.plural(wins[-1], "win"),
                expected=expected[-1],
                half_low=bands[1][-1],
                half_high=bands[2][-1],
                most_low=bands[0][-1],
                most_high=bands[3][-1],
            )
        ),
    )


def reward_columns(spans: Sequence[MiningSpan], *, now_s: float) -> RewardColumns | None:
    """Draw what each part of the course brought; None before the first reward."""
    top = max((span.reward for span in spans), default=0)
    if top <= 0:
        return None
    width = 100 / len(spans)
    columns = []
    for index, span in enumerate(spans):
        height = round(AREA_HEIGHT_PX * 0.92 * max(span.reward, 0) / top, 2)
        at = datetime.fromtimestamp(span.start_s, tz=UTC)
        columns.append(
            Column(
                x=round(width * (index + 0.1), 3),
                w=round(width * 0.8, 3),
                y=round(AREA_TOP_PX + AREA_HEIGHT_PX - height, 2),
                h=height,
                text=gettext("from {at}: {reward}").format(
                    at=moment_text(at), reward=formatting.amount_text(span.reward)
                ),
            )
        )
    total = formatting.amount_text(sum(span.reward for span in spans))
    first = datetime.fromtimestamp(spans[0].start_s, tz=UTC)
    return RewardColumns(
        columns=tuple(columns),
        x_ticks=time_ticks(spans[0].start_s, now_s),
        y_ticks=height_ticks(top, ["0", formatting.amount_text(top)]),
        label=gettext("{total} since {first}").format(total=total, first=moment_text(first)),
    )


def vesting_area(rewards: Sequence[tuple[datetime, int]], *, now_s: float, epoch_s: float) -> Area | None:
    """Draw how what is locked now becomes free; None where nothing is locked.

    By the day on which each block was won; the chain's own steps are in `Block.vesting`.
    """
    period_s = VESTING_DAYS * EPOCHS_IN_DAY * epoch_s
    locked = [(day.timestamp(), int(locked_reward(reward))) for day, reward in rewards]

    def left(at_s: float) -> float:
        return sum(amount * max(0.0, 1 - max(at_s - day, 0.0) / period_s) for day, amount in locked)

    if left(now_s) <= 0:
        return None
    points = [
        (index / VESTING_POINTS, left(now_s + period_s * index / VESTING_POINTS))
        for index in range(VESTING_POINTS + 1)
    ]
    ticks = list(time_ticks(now_s, now_s + period_s))
    return area(
        points,
        label=gettext("{points} vesting until {label}").format(
            points=formatting.amount_text(round(points[0][1])), label=ticks[-1].label
        ),
        x_ticks=ticks,
        y_text=lambda value: formatting.amount_text(round(value)),
    )
