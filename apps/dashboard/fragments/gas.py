"""Gas: the base fee of the day, what was spent, what the queue will cost, the guards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from apps.checks.results import Topic
from apps.core import formatting
from apps.dashboard.fragments.context import FragmentContext, FragmentsByKind, fragment
from apps.dashboard.fragments.todo import verdict_by
from apps.dashboard.rows.cards import Stat, Verdict, plural
from apps.dashboard.rows.gas import (
    AutoBumpLine,
    GuardRow,
    QueueRow,
    auto_bump_row,
    base_fee_area,
    clock_text,
    guard_row,
    queue_rows,
)
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
    from apps.dashboard.page_data import PageData
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


def forecast_of(data: PageData) -> Forecast:
    """Read the day and the queue once."""
    if data.head is None or data.network is None:
        return Forecast([], None, 0, None, queue_costs(data.viewer, now=data.at))
    history = base_fee_history(head=data.head, epoch_s=data.network.epoch_s)
    base_fee = int(data.head.base_fee)
    return Forecast(
        history=history,
        window=cheap_window(history),
        base_fee=base_fee,
        rank=base_fee_rank(history, base_fee),
        costs=queue_costs(data.viewer, now=data.at),
    )


def verdict_of(forecast: Forecast, data: PageData) -> Verdict:
    """Return in one sentence whether gas is cheap now and when it will be."""
    report = data.report_of(Topic.GAS)
    if not forecast.history:
        return verdict_by(report, Verdict("", "No head of the chain is known yet."))
    rank = forecast.rank or 0.0
    is_level = max(one.high for one in forecast.history) == min(one.low for one in forecast.history)
    if is_level:
        strong, rest = "Gas is stable:", "the base fee has not moved in the hours that are known."
    elif rank >= CHEAP_SHARE:
        strong, rest = (
            "Gas is cheap now:",
            f"higher than now for {formatting.percent(rank, 1)} of the last day.",
        )
    elif rank <= DEAR_SHARE:
        cheaper = formatting.percent(1 - rank, 1)
        strong, rest = "Gas is expensive now:", f"lower than now for {cheaper} of the last day."
    else:
        strong, rest = (
            "Base fee is normal:",
            f"higher than now for {formatting.percent(rank, 1)} of the last day.",
        )
    if forecast.window is not None and not is_level:
        start = forecast.window.next_start_s(data.at.timestamp())
        rest += f" The cheap hours begin at {clock_text(start)}."
    return verdict_by(report, Verdict(strong, rest))


def stats_of(forecast: Forecast, data: PageData) -> list[Stat]:
    """The vital signs of the page."""
    fee, unit = formatting.fee(forecast.base_fee) if forecast.history else (formatting.NOTHING, "")
    window = forecast.window
    today = spend_since(data.viewer, days=1, now=data.at)
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
            formatting.NOTHING if window is None else clock_text(window.start_s),
            "six hours of history are needed"
            if window is None
            else f"{formatting.fee_text(window.mean)}, the day {formatting.fee_text(window.day_mean)}",
            f"{here}#h-base-fee",
        ),
        Stat("spent", "Gas spent today", formatting.fil(spent), "UTC day", f"{here}#h-spend", unit="FIL"),
        Stat(
            "queue",
            "The queue will cost",
            formatting.fil(forecast.cost_now),
            f"{plural(many, 'message')} at this base fee",
            f"{here}#h-queue",
            unit="FIL",
        ),
    ]


def guard_rows(data: PageData) -> list[GuardRow]:
    """The guards that hold for the viewer, with what their days have cost."""
    base_fee = 0 if data.head is None else int(data.head.base_fee)
    viewer = data.viewer
    guards = list(guards_visible(viewer))
    # What others spent of a budget for everybody is not a tenant's to know.
    own = {guard.pk for guard in guards if viewer.is_operator or guard.tenant_id == viewer.own_id}
    spent = guards_spent([guard for guard in guards if guard.pk in own], base_fee=base_fee, now=data.at)
    return [
        guard_row(guard, spent=spent.get(guard.pk), is_own=guard.pk in own and viewer.may("sign"))
        for guard in guards
    ]


def auto_bump_rows(data: PageData) -> list[AutoBumpLine]:
    """The rules for proofs near their deadline."""
    return [auto_bump_row(rule) for rule in auto_bump_rules(data.viewer)]


def chart_of(forecast: Forecast) -> Area | None:
    """The day's base fee."""
    return base_fee_area(forecast.history, forecast.window)


def queue_of(forecast: Forecast, data: PageData) -> list[QueueRow]:
    """The forecast by kind of message."""
    return queue_rows(forecast.costs, base_fee=forecast.base_fee, window=forecast.window, data=data)


def live_context(data: PageData) -> dict[str, Any]:
    """What of the page follows heads and messages."""
    forecast = forecast_of(data)
    return {
        "verdict": verdict_of(forecast, data),
        "stats": stats_of(forecast, data),
        "area": chart_of(forecast),
        "queue": queue_of(forecast, data),
        "queue_now": formatting.fil(forecast.cost_now),
        "queue_cheap": "" if forecast.cost_cheap is None else formatting.fil(forecast.cost_cheap),
    }


def live_fragment(context: FragmentContext) -> Iterable[str]:
    """The stats, the chart and the forecast."""
    shown = live_context(context.data)
    yield fragment("dashboard/_verdict.html", verdict=shown["verdict"])
    yield fragment("dashboard/_stats.html", stats=shown["stats"])
    yield fragment("gas/_base_fee.html", area=shown["area"])
    yield fragment(
        "gas/_queue.html",
        queue=shown["queue"],
        queue_now=shown["queue_now"],
        queue_cheap=shown["queue_cheap"],
    )


def guards_fragment(context: FragmentContext) -> Iterable[str]:
    """The guards: a budget fills as messages land."""
    yield fragment(
        "gas/_guards.html", guards=guard_rows(context.data), auto_bumps=auto_bump_rows(context.data)
    )


FRAGMENTS: Final[FragmentsByKind] = {
    "head": (live_fragment,),
    "message": (live_fragment, guards_fragment),
    "messages": (live_fragment, guards_fragment),
    "guard": (guards_fragment,),
}
