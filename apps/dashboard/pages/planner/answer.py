"""The answer of the planner: so many bytes by a date or with so many hosts, over time, and side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import NOTHING, plural
from apps.core.languages import colon_text
from apps.core.local_time import day_begin, day_text, here_of
from apps.dashboard.day_spans import day_read
from apps.dashboard.number_fields import Size
from apps.dashboard.page_data import PageData
from apps.dashboard.trend_charts import Axis, Line, Number, Trend, trend
from apps.sectors.rules.plan_goals import Goal, GoalAnswer, SectorMoney
from apps.sectors.services.plans import KEYS, PlanCosts, PlanValue, sector_money_estimate

if TYPE_CHECKING:
    from apps.miners.models import Miner

FIELDS: Final = ("goal", "by")
"""Fields of the goal, beside those of the farm."""
OTHER_MAX: Final = 2000
PLAN_DASHES: Final = (("", "6 4"), ("2 3", "8 3 2 3"))
"""Dashes of the lines of a plan, and of the plan beside it, so that not only colours tell them apart."""


@dataclass(frozen=True, slots=True)
class GoalTyped:
    """A goal as it stands in the address."""

    size: str
    by: str
    goal: Goal | None
    """None: nothing is asked for, or it was refused."""
    refusal: str


def goal_read(query: Mapping[str, str], *, now: datetime) -> GoalTyped:
    """Return the goal that an address asks for; what cannot be read is refused by its reason."""
    size, by = query.get("goal", "")[:40], query.get("by", "")[:20]
    try:
        count = Size(required=False).clean(size)
    except ValidationError as refusal:
        return GoalTyped(size, by, None, refusal.messages[0])
    until = None
    if by:
        day = day_read(by)
        if day is None:
            return GoalTyped(size, by, None, gettext("enter a date such as 2026-12-31"))
        until = day_begin(day + timedelta(days=1))
        if until <= now:
            return GoalTyped(size, by, None, gettext("the date must be in the future"))
    if not count:
        refused = gettext("enter a size, such as 500 GiB") if by else ""
        return GoalTyped(size, by, None, refused)
    return GoalTyped(size, by, Goal(size=count, until=until), "")


def other_read(text: str) -> dict[str, str]:
    """Return the plan to compare with, as its address has it."""
    query = QueryDict(text[:OTHER_MAX])
    return {key: str(query[key]) for key in ("miner", *KEYS, *FIELDS) if query.get(key)}


def sector_money(costs: PlanCosts | None, miner: Miner | None, data: PageData) -> SectorMoney | None:
    """Return the money of one sector; None where its costs are not known."""
    if costs is None or miner is None or data.network is None:
        return None
    return sector_money_estimate(
        costs.price, size=miner.sector_size, network=data.network, reward=data.reward
    )


def answer_rows(
    answer: GoalAnswer, goal: Goal, values: Mapping[str, PlanValue], *, why: str
) -> list[tuple[str, str]]:
    """Return what a plan needs as names and values, the same ones for each plan.

    `why`: the reason that its costs are not known.
    """
    unknown = why or gettext("not known")

    def amount(atto: int | None) -> str:
        return unknown if atto is None else formatting.amount_text(atto)

    hosts = int(values["hosts"].value)
    return [
        (str(_("Sectors")), formatting.whole(answer.sectors)),
        (str(_("Hosts")), formatting.whole(hosts)),
        (str(_("Sectors per day")), f"{answer.per_day:.1f}"),
        (str(_("Done on")), moment_or(answer.done_at, gettext("never at this pace"))),
        (str(_("Hosts needed by the date")), needed_text(answer, goal)),
        (str(_("Pledge, and most FIL locked")), amount(answer.locked)),
        (str(_("Gas")), amount(answer.gas)),
        (str(_("Daily fee of all")), amount(answer.daily_fee)),
        (str(_("Rewards of all per day")), amount(answer.reward)),
        (str(_("Gas and fees earned back on")), _back_text(answer, unknown)),
        (str(_("Times")), measured_text(values)),
    ]


def _back_text(answer: GoalAnswer, unknown: str) -> str:
    if answer.done_at is None:
        return gettext("never at this pace")
    if answer.reward is None:
        return unknown
    return moment_or(answer.earned_back_at, gettext("not within the sectors' life"))


def moment_or(at: datetime | None, otherwise: str) -> str:
    """Return a day in the person's zone, or what is said where there is none."""
    return otherwise if at is None else day_text(here_of(at).date(), year=True)


def needed_text(answer: GoalAnswer, goal: Goal) -> str:
    """Return how many hosts a goal needs by its date."""
    if goal.until is None:
        return NOTHING
    if answer.is_too_soon:
        return gettext("one sector alone takes longer")
    return NOTHING if answer.hosts_needed is None else formatting.whole(answer.hosts_needed)


def measured_text(values: Mapping[str, PlanValue]) -> str:
    """Return whether the plan's times were measured on this farm, and over how many sectors."""
    times = [one for key, one in values.items() if key.startswith("s_")]
    runs = [one.runs for one in times if one.source == "measured"]
    if not runs:
        return gettext("assumed: none was measured on this farm with this sector size")
    least = plural(min(runs), "sector")
    if len(runs) == len(times):
        return gettext("measured on this farm with this sector size, over {sectors} at least").format(
            sectors=least
        )
    return gettext(
        "{measured} of {all} measured on this farm, over {sectors} at least; others assumed"
    ).format(measured=len(runs), all=len(times), sectors=least)


def charts_of(answer: GoalAnswer | None, other: GoalAnswer | None = None) -> list[Trend]:
    """Return the curves of power and FIL of a plan, each in one chart with those of another.

    Both plans have curves of one length, in as many steps; one that is never done has none.
    """
    plans = [
        (name, plan.curve)
        for name, plan in ((gettext("This plan"), answer), (gettext("The other plan"), other))
        if plan is not None and len(plan.curve) > 1
    ]
    if not plans:
        return []
    curve = plans[0][1]
    axis = Axis([point.at for point in curve], curve[1].at - curve[0].at)
    is_pair = other is not None
    power: list[Line] = []
    funds: list[Line] = []
    for (name, points), dashes in zip(plans, PLAN_DASHES, strict=False):
        tones = ("run", "warn", "ok") if not power else ("bad", "idle", "run")

        def named(label: str, name: str = name) -> str:
            return colon_text(name, label) if is_pair else label

        own = gettext("Power") if not is_pair else name
        power.append(Line(own, [point.power for point in points], tones[0], dashes[0]))
        funds += [
            Line(named(gettext("Locked")), [point.locked for point in points], tones[1], dashes[0]),
            Line(
                named(gettext("Earned, less gas and fees")),
                [point.net for point in points],
                tones[2],
                dashes[1],
            ),
        ]
    return [
        trend("plan-power", gettext("Power"), power, axis=axis, text=_size, low=0),
        trend("plan-fil", gettext("FIL"), funds, axis=axis, text=_atto, low=0),
    ]


def _size(value: Number) -> str:
    return formatting.joined_size(int(value))


def _atto(value: Number) -> str:
    return formatting.amount_text(int(value))


def target_url(miner: Miner | None, goal: Goal, answer: GoalAnswer) -> str:
    """Return the address of the miner's target with the plan filled in; empty where there is no miner."""
    if miner is None or not miner.address or answer.per_day <= 0:
        return ""
    size = Size(required=False)
    bytes_day = ceil(answer.per_day) * miner.sector_size  # fewer would miss the plan's date
    filled: dict[str, Any] = {
        "day_bytes": size.prepare_value(bytes_day),
        "power_max": size.prepare_value(int(miner.qa_power) + answer.sectors * miner.sector_size),
    }
    if goal.until is not None:
        filled["until"] = f"{here_of(goal.until - timedelta(seconds=1)):%Y-%m-%d}"
    return f"{reverse('miner-target', args=[miner.address])}?{urlencode(filled)}"


def plan_query(typed: Mapping[str, str], *, miner: str, without: Iterable[str] = ()) -> str:
    """Return a plan as an address has it."""
    query = {"miner": miner, **typed}
    return urlencode({key: text for key, text in query.items() if text and key not in without})
