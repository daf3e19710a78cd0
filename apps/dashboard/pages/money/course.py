"""The days of some miners as charts: what came in and what it cost, and the sum of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from itertools import accumulate
from typing import Final

from django.utils.translation import gettext

from apps.blocks.selectors.money import MinerMoney
from apps.core import formatting
from apps.core.clock import DAY
from apps.dashboard.trend_charts import DASHES, Axis, Line, Number, Trend, trend

POINTS: Final = 120
"""Days that are drawn one by one; of more each point is a week."""
AMOUNTS: Final = ("reward", "deals", "gas", "other_cost", "penalty")


def money_charts(
    money: Iterable[MinerMoney], *, more_gas: Mapping[date, int], net_by_day: Mapping[date, int]
) -> list[Trend]:
    """Return both charts of miners' money and of gas beside it; none where there are no days to compare.

    The net is that of the tile above, of which charges are a part.
    """
    days: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for one in money:
        for line in one.lines:
            sums = days[line.day]
            for name in AMOUNTS:
                sums[name] += getattr(line, name)
        for day, cost in one.gas_by_day.items():
            days[day]["gas"] += cost
    for day, cost in more_gas.items():
        days[day]["gas"] += cost
    for day, net in net_by_day.items():
        if net or day in days:
            days[day]["net"] = net
    if len(days) < 2:
        return []
    first, count = min(days), (max(days) - min(days)).days + 1
    width = 1 if count <= POINTS else 7
    steps = [
        datetime.combine(first, time(), UTC) + DAY * width * place for place in range(-(-count // width))
    ]
    by_place: dict[int, Counter[str]] = {}
    for day, sums in days.items():
        by_place.setdefault((day - first).days // width, Counter()).update(sums)
    parts = [by_place.get(place) for place in range(len(steps))]
    return list(_charts(parts, steps=steps, width=width))


def _charts(
    parts: Sequence[Counter[str] | None], *, steps: Sequence[datetime], width: int
) -> Iterator[Trend]:
    def values(name: str) -> list[Number | None]:
        return [None if one is None else one[name] for one in parts]

    lines = [
        Line(gettext("Rewards"), values("reward"), "ok"),
        Line(gettext("Deals"), values("deals"), "ok", DASHES[1]),
        Line(gettext("Gas"), values("gas"), "run", DASHES[1]),
        Line(gettext("Fees and others"), values("other_cost"), "warn", DASHES[2]),
        Line(gettext("Penalties"), values("penalty"), "bad", DASHES[1]),
    ]
    title = gettext("Earnings and costs a day") if width == 1 else gettext("Earnings and costs a week")
    yield trend("money", title, lines, axis=Axis(steps, DAY * width), text=_atto, low=0)
    sums = accumulate(0 if one is None else one["net"] for one in parts)
    net: list[Number | None] = [
        None if one is None else total for one, total in zip(parts, sums, strict=True)
    ]
    title = gettext("Net since the first day")
    yield trend("net", title, [Line(gettext("Net"), net)], axis=Axis(steps, DAY * width), text=_atto, low=0)


def _atto(value: Number) -> str:
    return formatting.amount_text(int(value))
