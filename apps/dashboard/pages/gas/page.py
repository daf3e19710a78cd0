"""Gas: the base fee of the day, what was spent, what the queue will cost, the guards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Stat, Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData, data_in_scope
from apps.dashboard.pages.gas.guard_rows import auto_bump_rows, guard_rows
from apps.dashboard.pages.gas.guards import guards_fragment
from apps.dashboard.pages.gas.methods import method_rule_rows
from apps.dashboard.pages.gas.queue import queue_rows
from apps.dashboard.pages.gas.spending import DAYS, GROUPS, HEADS, period_of, spend_rows, spend_total
from apps.dashboard.pagination import Facet
from apps.dashboard.registry import NavItem
from apps.dashboard.scope import scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.dashboard.trend_charts import Axis, Line, Trend, trend
from apps.messages.selectors.base_fee import (
    BaseFeeSpan,
    CheapWindow,
    base_fee_history,
    base_fee_shares,
    cheap_window,
)
from apps.messages.selectors.method_gas import SAMPLED, SAMPLED_DAYS, method_gas
from apps.messages.selectors.queue_costs import QueueCost, queue_costs
from apps.messages.selectors.spend import spend_since, spend_summed
from apps.miners.selectors.scope import SCOPE
from apps.users.rules.principals import Principal


def time_of(at_s: float) -> datetime:
    """Return the time of so many seconds since 1970."""
    return datetime.fromtimestamp(at_s, tz=UTC)


def clock_text(at_s: float) -> str:
    """Time of day: `14:30`."""
    return f"{localtime(time_of(at_s)):%H:%M}"


def base_fee_trends(history: Sequence[BaseFeeSpan], window: CheapWindow | None) -> list[Trend]:
    """Draw the day's base fee; nothing if there are fewer than two points to join."""
    if len(history) < 2:
        return []
    step_s = history[0].width_s
    by_step = {span.start_s // step_s: span for span in history}
    steps = range(min(by_step), max(by_step) + 1)
    means = [None if (span := by_step.get(step)) is None else span.mean for step in steps]
    extremes = ([span.low for span in history], [span.high for span in history])
    note = shade = None
    if window is not None:
        note = gettext("Cheapest from {start} to {end}.").format(
            start=clock_text(window.start_s), end=clock_text(window.end_s)
        )
        shade = (time_of(window.start_s), time_of(window.end_s))
    shown = trend(
        "base-fee",
        gettext("Base fee"),
        [Line(gettext("mean"), means, bands=[extremes] if len(history) == len(steps) else [])],
        axis=Axis([time_of(step * step_s) for step in steps], timedelta(seconds=step_s), shade=shade),
        text=lambda value: formatting.fee_text(round(value)),
        note=note or "",
    )
    return [shown]


CHEAP_SHARE: Final = 0.75
"""Cheaper than in three quarters of the day is called cheap."""
DEAR_SHARE: Final = 0.9
"""Dearer than in nine tenths of the day is called expensive."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The base fee of the day and the forecast that rests on it."""

    history: list[BaseFeeSpan]
    window: CheapWindow | None
    base_fee: int
    shares: tuple[float, float] | None
    """Of the day, with a higher and with a lower base fee than now."""
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
        shares=base_fee_shares(history, base_fee),
        costs=queue_costs(data.viewer, now=data.at),
    )


def verdict_of(forecast: Forecast, data: PageData) -> Verdict:
    """Return in one sentence whether gas is cheap now and when it will be."""
    report = data.report_of(Topic.GAS)
    if not forecast.history:
        return verdict_by(report, Verdict("", _("No chain head yet.")))
    higher, lower = forecast.shares or (0.0, 0.0)
    is_level = max(one.high for one in forecast.history) == min(one.low for one in forecast.history)
    if is_level:
        strong = gettext("Gas is stable:")
        rest = gettext("the base fee has not changed in the recorded hours.")
    elif not lower:
        strong, rest = gettext("Gas is cheap now:"), gettext("at no time of the last day was it lower.")
    elif higher >= CHEAP_SHARE:
        strong, rest = gettext("Gas is cheap now:"), _higher_text(higher)
    elif lower >= DEAR_SHARE:
        strong, rest = (
            gettext("Gas is expensive now:"),
            gettext("lower than now for {share} of the last day.").format(share=formatting.percent(lower, 1)),
        )
    else:
        strong, rest = gettext("Base fee is normal:"), _higher_text(higher)
    if forecast.window is not None and not is_level:
        start = forecast.window.next_start_s(data.at.timestamp())
        rest += gettext(" The cheapest hours start at {start}.").format(start=clock_text(start))
    return verdict_by(report, Verdict(strong, rest))


def _higher_text(share: float) -> str:
    return gettext("higher than now for {share} of the last day.").format(share=formatting.percent(share, 1))


def stats_of(forecast: Forecast, data: PageData) -> list[Stat]:
    """Return the vital signs of the page."""
    fee, unit = formatting.fee(forecast.base_fee) if forecast.history else (formatting.NOTHING, "")
    window = forecast.window
    today = spend_since(data.viewer, days=1, now=data.at)
    spent = sum(int(cost) for cost in today.values_list("cost", flat=True))
    many = sum(cost.waiting + cost.in_flight for cost in forecast.costs)
    here = reverse("gas")
    return [
        Stat(
            "base-fee",
            gettext("Base fee"),
            fee,
            gettext("at the newest head"),
            f"{here}#h-base-fee",
            unit=unit,
        ),
        Stat(
            "cheap",
            gettext("Cheapest two hours"),
            formatting.NOTHING if window is None else clock_text(window.start_s),
            gettext("needs six hours of history")
            if window is None
            else gettext("{mean}, day average {day_mean}").format(
                mean=formatting.fee_text(window.mean), day_mean=formatting.fee_text(window.day_mean)
            ),
            f"{here}#h-base-fee",
        ),
        Stat(
            "spent",
            gettext("Gas spent today"),
            formatting.fil(spent),
            gettext("UTC day"),
            f"{here}#h-spend",
            unit="FIL",
        ),
        Stat(
            "queue",
            gettext("Estimated queue cost"),
            formatting.fil(forecast.cost_now),
            gettext("{messages} at the current base fee").format(messages=plural(many, "message")),
            f"{here}#h-queue",
            unit="FIL",
        ),
    ]


def queue_of(forecast: Forecast, data: PageData) -> list[dict[str, Any]]:
    """Return the forecast by kind of message."""
    return queue_rows(forecast.costs, base_fee=forecast.base_fee, window=forecast.window, data=data)


def live_context(data: PageData) -> dict[str, Any]:
    """Return what of the page follows heads and messages."""
    forecast = forecast_of(data)
    return {
        "verdict": verdict_of(forecast, data),
        "stats": stats_of(forecast, data),
        "charts": base_fee_trends(forecast.history, forecast.window),
        "queue": queue_of(forecast, data),
        "queue_now": formatting.fil(forecast.cost_now),
        "queue_cheap": "" if forecast.cost_cheap is None else formatting.fil(forecast.cost_cheap),
    }


def live_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the stats, the chart and the forecast."""
    shown = live_context(context.data)
    yield fragment("dashboard/_verdict.html", verdict=shown["verdict"])
    yield fragment("dashboard/_stats.html", stats=shown["stats"])
    yield fragment("gas/_base_fee.html", charts=shown["charts"])
    yield fragment(
        "gas/_queue.html",
        queue=shown["queue"],
        queue_now=shown["queue_now"],
        queue_cheap=shown["queue_cheap"],
    )


def scope_note(data: PageData) -> str:
    """Return what of the page is the same in every scope, and what a miner's gas is."""
    shared = gettext("The base fee, the rules per method and the pool's guards are the same for everybody.")
    if not data.is_of_miner:
        return shared
    return gettext("Of a miner: the messages sent to it. {shared}").format(shared=shared)


@require_safe
@sign_in_required
def gas(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the page."""
    by = request.GET.get("by", "")
    by, url, scope = by if by in dict(GROUPS) else "method", reverse("gas"), scope_chosen(request)
    data = data_in_scope(viewer, scope)
    period = period_of(request, data)

    def part(**query: str) -> str:
        return f"{url}?{urlencode({'by': by, **period.query, **query, **scope})}"

    spend = spend_rows(spend_summed(data.viewer, by=by, days=period.days), by=by, data=data)
    return page_render(
        request,
        "gas/page.html",
        title=_("Gas"),
        section="gas",
        page_key="gas",
        data=data,
        scoped=SCOPE,
        scope_note=scope_note(data),
        **live_context(data),
        guards=guard_rows(data),
        auto_bumps=auto_bump_rows(data),
        methods=method_rule_rows(),
        used=method_gas(data.viewer, miners=data.names.miners, now=data.at),
        sampled=SAMPLED,
        sampled_days=SAMPLED_DAYS,
        may_change_methods=viewer.is_operator and viewer.may("sign"),
        spend=spend,
        spend_all=spend_total(spend),
        by=dict(GROUPS)[by],
        by_key=by,
        by_head=HEADS[by],
        groups=[
            Facet(key=key, label=label, href=part(by=key), on=key == by)
            for key, label in GROUPS
            if viewer.is_operator or key != "tenant"
        ],
        since=period.since.isoformat() if period.since else "",
        until=period.until.isoformat() if period.until else "",
        spans=period.facets(url, choices=DAYS, by=by, **scope),
        csv=f"{reverse('gas-csv')}?{urlencode(period.query | scope)}",
        can_set=viewer.may("sign"),
        is_operator=viewer.is_operator,
    )


NAV: Final = NavItem("gas", _("Gas"), "gas", place=(5, 3), jump="g")
urlpatterns: Final = [
    path("gas/", gas, name="gas"),
]
LIVE: Final = {
    "gas": LivePage(
        {
            "head": (live_fragment,),
            "message": (live_fragment, guards_fragment),
            "messages": (live_fragment, guards_fragment),
            "guard": (guards_fragment,),
        },
        findings=live_fragment,
        is_scoped=True,
    )
}
