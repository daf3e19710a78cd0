"""Gas: the base fee of the day, what was spent, what the queue will cost, the guards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from apps.checks.results import Topic
from apps.dashboard import numbers
from apps.dashboard.lines.cards import Stat, Verdict, plural
from apps.dashboard.lines.gas import (
    AutoBumpLine,
    GuardLine,
    QueueLine,
    auto_bump_line,
    base_fee_area,
    clock_words,
    guard_line,
    queue_lines,
)
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import verdict_by
from apps.messages.selectors.base_fee import BaseFeeSpan, base_fee_history, base_fee_rank, cheap_window
from apps.messages.selectors.gas import (
    auto_bump_rules,
    guards_spent,
    guards_visible,
    queue_costs,
    spend_since,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.charts import Area
    from apps.dashboard.regions.scene import Scene
    from apps.messages.selectors.base_fee import CheapWindow
    from apps.messages.selectors.gas import QueueCost

CHEAP_SHARE: Final = 0.75
"""Cheaper than in three quarters of the day is called cheap."""
DEAR_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Forecast:
    """The base fee of the day and the forecast that rests on it."""

    history: list[BaseFeeSpan]
    window: CheapWindow | None
    base_fee: int
    rank: float | None
    costs: list[QueueCost]

    @property
    def cost_now(self) -> int:
        """attoFIL for the whole queue at the present base fee."""
        return sum(cost.cost(self.base_fee) for cost in self.costs)

    @property
    def cost_cheap(self) -> int | None:
        """The same in the cheap window."""
        return None if self.window is None else sum(cost.cost(self.window.mean) for cost in self.costs)


def forecast_of(scene: Scene) -> Forecast:
    """Read the day and the queue once."""
    if scene.head is None or scene.network is None:
        return Forecast([], None, 0, None, queue_costs(scene.viewer, now=scene.at))
    history = base_fee_history(head=scene.head, epoch_s=scene.network.epoch_s)
    base_fee = int(scene.head.base_fee)
    return Forecast(
        history=history,
        window=cheap_window(history),
        base_fee=base_fee,
        rank=base_fee_rank(history, base_fee),
        costs=queue_costs(scene.viewer, now=scene.at),
    )


def verdict_of(forecast: Forecast, scene: Scene) -> Verdict:
    """Say in one sentence whether gas is cheap now and when it will be."""
    report = scene.report_of(Topic.GAS)
    if not forecast.history:
        return verdict_by(report, Verdict("", "No head of the chain is known yet."))
    rank = forecast.rank or 0.0
    is_level = max(one.high for one in forecast.history) == min(one.low for one in forecast.history)
    if is_level:
        strong, rest = "Gas is stable:", "the base fee has not moved in the hours that are known."
    elif rank >= CHEAP_SHARE:
        strong, rest = "Gas is cheap now:", f"it was dearer in {numbers.percent(rank, 1)} of the day."
    elif rank <= DEAR_SHARE:
        cheaper = numbers.percent(1 - rank, 1)
        strong, rest = "Gas is expensive now:", f"it was cheaper in {cheaper} of the day."
    else:
        strong, rest = "Gas is as usual:", f"it was dearer in {numbers.percent(rank, 1)} of the day."
    if forecast.window is not None and not is_level:
        start = forecast.window.next_start_s(scene.at.timestamp())
        rest += f" The cheap hours begin at {clock_words(start)}."
    return verdict_by(report, Verdict(strong, rest))


def stats_of(forecast: Forecast, scene: Scene) -> list[Stat]:
    """The vital signs of the page."""
    fee, unit = numbers.fee(forecast.base_fee) if forecast.history else (numbers.NOTHING, "")
    window = forecast.window
    today = spend_since(scene.viewer, days=1, now=scene.at)
    spent = sum(int(cost) for cost in today.values_list("cost", flat=True))
    many = sum(cost.waiting + cost.in_flight for cost in forecast.costs)
    here = reverse("gas")
    return [
        Stat(
            "base-fee",
            "Base fee",
            fee,
            "of the newest head",
            f"{here}#h-base-fee",
            unit=unit,
        ),
        Stat(
            "cheap",
            "Cheapest two hours",
            numbers.NOTHING if window is None else clock_words(window.start_s),
            "six hours of history are needed"
            if window is None
            else f"{numbers.fee_text(window.mean)}, the day {numbers.fee_text(window.day_mean)}",
            f"{here}#h-base-fee",
        ),
        Stat("spent", "Gas spent today", numbers.fil(spent), "UTC day", f"{here}#h-spend", unit="FIL"),
        Stat(
            "queue",
            "The queue will cost",
            numbers.fil(forecast.cost_now),
            f"{plural(many, 'message')} at this base fee",
            f"{here}#h-queue",
            unit="FIL",
        ),
    ]


def guard_lines(scene: Scene) -> list[GuardLine]:
    """The guards that hold for the viewer, with what their days have cost."""
    base_fee = 0 if scene.head is None else int(scene.head.base_fee)
    viewer = scene.viewer
    guards = list(guards_visible(viewer))
    # What others spent of a budget for everybody is not a tenant's to know.
    own = {guard.pk for guard in guards if viewer.is_operator or guard.tenant_id == viewer.own_id}
    spent = guards_spent([guard for guard in guards if guard.pk in own], base_fee=base_fee, now=scene.at)
    return [
        guard_line(guard, spent=spent.get(guard.pk), is_own=guard.pk in own and viewer.may("sign"))
        for guard in guards
    ]


def auto_bump_lines(scene: Scene) -> list[AutoBumpLine]:
    """The rules for proofs near their deadline."""
    return [auto_bump_line(rule) for rule in auto_bump_rules(scene.viewer)]


def chart_of(forecast: Forecast) -> Area | None:
    """The day's base fee."""
    return base_fee_area(forecast.history, forecast.window)


def queue_of(forecast: Forecast, scene: Scene) -> list[QueueLine]:
    """The forecast by kind of message."""
    return queue_lines(forecast.costs, base_fee=forecast.base_fee, window=forecast.window, scene=scene)


def live_context(scene: Scene) -> dict[str, Any]:
    """What of the page follows heads and messages."""
    forecast = forecast_of(scene)
    return {
        "verdict": verdict_of(forecast, scene),
        "stats": stats_of(forecast, scene),
        "area": chart_of(forecast),
        "queue": queue_of(forecast, scene),
        "queue_now": numbers.fil(forecast.cost_now),
        "queue_cheap": "" if forecast.cost_cheap is None else numbers.fil(forecast.cost_cheap),
    }


def live_region(place: Place) -> Iterable[str]:
    """The stats, the chart and the forecast."""
    context = live_context(place.scene)
    yield fragment("dashboard/_verdict.html", verdict=context["verdict"])
    yield fragment("dashboard/_stats.html", stats=context["stats"])
    yield fragment("gas/_base_fee.html", area=context["area"])
    yield fragment(
        "gas/_queue.html",
        queue=context["queue"],
        queue_now=context["queue_now"],
        queue_cheap=context["queue_cheap"],
    )


def guards_region(place: Place) -> Iterable[str]:
    """The guards: a budget fills as messages land."""
    yield fragment(
        "gas/_guards.html", guards=guard_lines(place.scene), auto_bumps=auto_bump_lines(place.scene)
    )


REGIONS: Final[Regions] = {
    "head": (live_region,),
    "message": (live_region, guards_region),
    "messages": (live_region, guards_region),
    "guard": (guards_region,),
}
