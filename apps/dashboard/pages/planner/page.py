"""Planner: how many sectors a day other hosts, slots or disks would make, and what they would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.node.client import page_client
from apps.core import formatting
from apps.core.clock import DAY_S
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural, tenths
from apps.core.languages import list_text
from apps.dashboard.labels import STAGES as NAMES
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts.batch_sizes import size_rows
from apps.dashboard.pages.planner.answer import (
    FIELDS,
    GoalTyped,
    answer_rows,
    charts_of,
    goal_read,
    other_read,
    plan_query,
    sector_money,
    target_url,
)
from apps.dashboard.refusals import refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.sectors.rules.batch_sizes import FarmBatches
from apps.sectors.rules.plan_goals import GoalAnswer, SectorMoney, goal_answer
from apps.sectors.rules.planner import COMMIT, DISK, ROOMS_MAX, SEED, STAGES, Outcome, Plan, gains, simulate
from apps.sectors.services.plans import (
    KEYS,
    MEMORY,
    PUBLISHED_BYTES,
    HostGap,
    PlanCosts,
    PlanValue,
    plan_batches_collect,
    plan_costs_estimate,
    plan_farm_collect,
    plan_limit_find,
    plan_read,
)
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner

LASTS_DAYS: Final = 30.0
"""From here on a balance needs no word."""
SOURCES: Final[dict[str, StrOrPromise]] = {
    "measured": _("measured"),
    "host": _("as configured on the hosts"),
    "mean": _("mean of differing hosts"),
    MEMORY: _("as the hosts' memory allows"),
    "published": _("published for 32 GiB, scaled by size; 1 s at least"),
    "guess": _("guess: a disk of 200 MiB/s; 1 s at least"),
    "assumed": _("assumed: no host has reported it"),
    "network": _("set by the network"),
    "typed": _("entered"),
}
NAMED_SOURCES: Final = ("mean", MEMORY)
"""Sources of a stage's slots that its row shows."""
WAIT_NAMES: Final[dict[str, StrOrPromise]] = {
    SEED: _("Pre-commit and seed"),
    COMMIT: _("Commit"),
}
GAIN_NAMES: Final[dict[str, StrOrPromise]] = {
    DISK: _("Room for one more sector per host"),
    "host": _("One more host"),
}
LEAST_GAIN: Final = 0.005
"""Part of the pace below which a gain is none."""


def name_of(step: str) -> str:
    """Return a stage or wait in words."""
    return str(WAIT_NAMES.get(step) or NAMES.get(step, step))


def limit_text(plan: Plan, outcome: Outcome, values: Mapping[str, PlanValue]) -> str:
    """Return what limits the plan."""
    if plan_limit_find(outcome, values=values) == MEMORY:
        return gettext("the memory: not enough on any host for one {name_of} slot").format(
            name_of=name_of(outcome.limit)
        )
    if outcome.limit == DISK and not plan.rooms:
        return gettext("the disk: no room for a sector on any host")
    if outcome.limit == DISK and plan.rooms >= ROOMS_MAX:
        return gettext("{sectors} at a time per host, the maximum that is simulated").format(
            sectors=plural(ROOMS_MAX, "sector")
        )
    if outcome.limit == DISK:
        return gettext("the disk: {sectors} at a time per host").format(sectors=plural(plan.rooms, "sector"))
    return gettext("{name_of}: {slots} per host").format(
        name_of=name_of(outcome.limit), slots=plural(plan.slots.get(outcome.limit, 0), "slot")
    )


def step_rows(
    values: dict[str, PlanValue], outcome: Outcome, wrong: Mapping[str, BadValue]
) -> list[dict[str, Any]]:
    """Lay out the stages and waits with their fields."""
    rows = []
    for step in (*STAGES, SEED, COMMIT):
        slots, seconds = values.get(f"slots_{step}"), values[f"s_{step}"]
        source = SOURCES[seconds.source]
        rows.append(
            {
                "step": step,
                "name": name_of(step),
                "slots": None if slots is None else int(slots.value),
                "seconds": seconds_text(seconds.value),
                "time": formatting.duration(seconds.value),
                "source": list_text((source, plural(seconds.runs, "run"))) if seconds.runs else source,
                "slots_source": ""
                if slots is None or slots.source not in NAMED_SOURCES
                else SOURCES[slots.source],
                "use": outcome.use.get(step),
                "is_limit": step == outcome.limit,
                "error": next((refusal_text(wrong[name]) for name in field_names(step) if name in wrong), ""),
            }
        )
    return rows


def seconds_text(seconds: float) -> str:
    """Return seconds so that what a form sends back is the same number."""
    return str(int(seconds)) if seconds.is_integer() else repr(seconds)


def field_names(step: str) -> tuple[str, str]:
    """Return the names of a step's fields."""
    return f"slots_{step}", f"s_{step}"


def gain_rows(plan: Plan, outcome: Outcome) -> list[dict[str, Any]]:
    """Lay out what one more of something would give, the best first."""
    rows = []
    for gain in gains(plan):
        more = gain.per_day - outcome.per_day
        if more <= outcome.per_day * LEAST_GAIN:
            continue
        name = GAIN_NAMES.get(gain.what) or gettext("One more {name_of} slot per host").format(
            name_of=name_of(gain.what)
        )
        rows.append({"name": name, "per_day": tenths(gain.per_day), "more": f"+{tenths(more)}"})
    return rows


def cost_rows(costs: PlanCosts, per_day: float) -> list[dict[str, str]]:
    """Lay out the money of one sector and of a day."""
    price = costs.price
    parts = (
        (_("Deposit"), _("counts towards the pledge"), price.deposit),
        (_("Additional pledge"), _("locked while the sector is live"), price.topup),
        (_("Gas"), _("burnt"), price.gas),
        (_("Daily fee, at most"), _("for each live sector"), price.daily_fee),
    )
    rows = []
    for name, sub, atto in parts:
        each, daily = formatting.amounts_text(atto, round(atto * per_day))
        rows.append({"name": str(name), "sub": str(sub), "each": each, "daily": daily})
    return rows


def payer_rows(costs: PlanCosts, data: PageData) -> list[dict[str, str]]:
    """Lay out when each address that pays runs dry."""
    names = data.names
    rows = []
    for payer in costs.payers:
        name = names.wallets.get(payer.address) or names.miners.get(payer.address) or ""
        lasts = payer.days is None or payer.days >= LASTS_DAYS
        left, daily = formatting.amount_text(payer.left), formatting.amount_text(payer.per_day)
        until = None if payer.days is None else payer.days * DAY_S
        rows.append(
            {
                "name": name or formatting.shortened(payer.address),
                "short": formatting.shortened(payer.address),
                "say": gettext("{left} left, {daily} per day").format(left=left, daily=daily),
                "left": formatting.time_left(until),
                "tone": "ok" if lasts else "bad" if (until or 0) < DAY_S else "warn",
                "word": str(_("lasts") if lasts else _("runs out")),
            }
        )
    return rows


def miner_chosen(viewer: Principal, data: PageData, address: str) -> Miner | None:
    """Return the miner that is asked for, or the only one.  Raises Http404."""
    known = [miner for miner in data.miners if miner.address]
    if not address:
        return known[0] if len(known) == 1 else None
    try:
        return miner_get(viewer, address)
    except DomainError:
        raise Http404 from None


def costs_of(miner: Miner | None, outcome: Outcome, data: PageData) -> tuple[PlanCosts | None, str]:
    """Return the money, or why it is not known."""
    if miner is None:
        return None, gettext("choose a miner")
    if data.head is None or data.network is None:
        return None, gettext("no node has answered yet")
    try:
        costs = plan_costs_estimate(
            miner, per_day=outcome.per_day, client=page_client(), head=data.head, network=data.network
        )
    except DomainError as refusal:
        return None, refusal_text(refusal)
    return costs, ""


def plan_typed(
    typed: Mapping[str, str], present: Mapping[str, PlanValue]
) -> tuple[Plan, dict[str, PlanValue], dict[str, BadValue]]:
    """Return the plan with what is typed, and by field what was refused: the rest of it stays."""
    wrong: dict[str, BadValue] = {}
    for key, text in typed.items():
        try:
            plan_read({key: text}, values=present)
        except BadValue as refusal:
            wrong[key] = refusal
    plan, values = plan_read({key: text for key, text in typed.items() if key not in wrong}, values=present)
    return plan, values, wrong


@dataclass(frozen=True, slots=True)
class Shown:
    """One plan, computed."""

    miner: Miner | None
    plan: Plan
    values: dict[str, PlanValue]
    wrong: dict[str, BadValue]
    outcome: Outcome
    costs: PlanCosts | None
    why: str
    """Why costs are not known."""
    typed: GoalTyped
    answer: GoalAnswer | None
    money: SectorMoney | None
    gaps: tuple[HostGap, ...]
    """Hosts of which it does not know all."""

    def answered(self, now: datetime, *, shown_days: float = 0.0) -> GoalAnswer | None:
        """Return what its goal takes, with curves that are at least so long; None without a goal."""
        if self.typed.goal is None:
            return None
        return goal_answer(
            self.typed.goal,
            self.outcome,
            hosts=self.plan.hosts,
            sector_size=PUBLISHED_BYTES if self.miner is None else self.miner.sector_size,
            money=self.money,
            now=now,
            shown_days=shown_days,
        )

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Return its answer as names and values."""
        if self.answer is None or self.typed.goal is None:
            return []
        return answer_rows(self.answer, self.typed.goal, self.values, why=self.why)


def plan_shown(viewer: Principal, data: PageData, query: Mapping[str, str]) -> Shown:
    """Compute the plan of an address.  Raises Http404."""
    typed = {key: query.get(key, "")[:20] for key in KEYS}
    miner = miner_chosen(viewer, data, query.get("miner", "")[:40])
    farm = plan_farm_collect(viewer, miner=miner, network=data.network, now=data.at)
    plan, values, wrong = plan_typed(typed, farm.values)
    outcome = simulate(plan)
    costs, why = costs_of(miner, outcome, data)
    goal, money = goal_read(query, now=data.at), sector_money(costs, miner, data)
    shown = Shown(miner, plan, values, wrong, outcome, costs, why, goal, None, money, farm.gaps)
    return replace(shown, answer=shown.answered(data.at))


def as_long(shown: Shown, other: Shown, *, now: datetime) -> Shown:
    """Return a plan whose curves end no earlier than those of another, so that one chart has both."""
    if shown.answer is None or other.answer is None or not (shown.answer.curve and other.answer.curve):
        return shown
    days = (other.answer.curve[-1].at - now).total_seconds() / DAY_S
    return replace(shown, answer=shown.answered(now, shown_days=days))


GAP_TEXTS: Final[dict[str, StrOrPromise]] = {
    "offline": _("Offline, not counted: {hosts}."),
    "paused": _("Paused, not counted: {hosts}."),
    "no_disk": _("No disk reported, counted like the others: {hosts}."),
    "no_times": _("No run with this sector size, counted like the others: {hosts}."),
    "not_read": _("Not counted, the list is too long: {hosts}."),
}
GAPS_NAMED: Final = 10


def gap_texts(gaps: Sequence[HostGap]) -> list[str]:
    """Return, for each reason, the hosts of which a plan does not know all."""
    by_reason: dict[str, list[str]] = {}
    for one in gaps:
        by_reason.setdefault(one.why, []).append(one.name)
    texts = []
    for why, text in GAP_TEXTS.items():
        names = by_reason.get(why, [])
        shown, rest = names[:GAPS_NAMED], len(names) - GAPS_NAMED
        if rest > 0:
            shown.append(gettext("{count} more").format(count=rest))
        if shown:
            texts.append(str(text).format(hosts=list_text(shown)))
    return texts


def goal_context(shown: Shown, other: Shown | None, query: Mapping[str, str]) -> dict[str, Any]:
    """Return what the card of the goal shows: one plan, or two side by side."""
    answer, goal = shown.answer, shown.typed.goal
    address = "" if shown.miner is None else shown.miner.address
    own = {key: query.get(key, "") for key in (*KEYS, *FIELDS)}
    hosts = None if answer is None or answer.hosts_needed == shown.plan.hosts else answer.hosts_needed
    columns = [shown.rows] if other is None or not other.rows else [shown.rows, other.rows]
    labels = [gettext("This plan"), gettext("The other plan")] if len(columns) > 1 else [""]
    return {
        "size": shown.typed.size,
        "example": "100 TiB",
        "by": shown.typed.by,
        "refusal": shown.typed.refusal,
        "rows": [
            (cells[0][0], list(zip(labels, [text for _name, text in cells], strict=True)))
            for cells in zip(*columns, strict=True)
        ],
        "is_pair": len(columns) > 1,
        "other": query.get("other", "") if other is not None else "",
        "charts": charts_of(answer, None if other is None else other.answer),
        "target": "" if answer is None or goal is None else target_url(shown.miner, goal, answer),
        "compare": f"{reverse('planner')}?{urlencode({'other': plan_query(own, miner=address)})}&"
        + plan_query(own, miner=address),
        "alone": f"{reverse('planner')}?{plan_query(own, miner=address)}",
        "hosts": hosts,
        "with_hosts": f"{reverse('planner')}?{plan_query(own | {'hosts': str(hosts)}, miner=address)}",
    }


def batches_context(farm: FarmBatches, hosts: int) -> dict[str, Any]:
    """Return what batches of each size make on so many hosts, and whether that was measured on them."""
    if not farm.measured:
        note = gettext(
            "Not measured: run “python -m workers measure-disks --all” with their drives on the hosts."
        )
    elif farm.measured < hosts:
        note = gettext("Measured on {measured} of {hosts}; the others are assumed to be alike.").format(
            measured=formatting.whole(farm.measured), hosts=plural(hosts, "host")
        )
    else:
        note = gettext("Measured on {hosts}.").format(hosts=plural(farm.measured, "host"))
    if farm.measured > 1:
        note = f"{note} {gettext('Figures are their mean, time and limit those of the slowest.')}"
    label = gettext("With {hosts}").format(hosts=plural(hosts, "host"))
    return {"rows": size_rows(farm.figures, hosts=hosts), "note": note, "hosts": label}


@require_safe
@sign_in_required
def planner(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the numbers of the farm, what they make, what more would give, the money, and a goal's answer."""
    data, query = PageData(viewer), request.GET.dict()
    shown = plan_shown(viewer, data, query)
    compared = other_read(query.get("other", ""))
    other = plan_shown(viewer, data, compared) if compared else None
    if other is not None:
        shown, other = as_long(shown, other, now=data.at), as_long(other, shown, now=data.at)
    miner, outcome, values = shown.miner, shown.outcome, shown.values
    address, size = ("", 0) if miner is None else (miner.address, miner.sector_size)
    per_day_size = " ".join(formatting.size(int(size * outcome.per_day))) if size else ""
    return page_render(
        request,
        "planner/page.html",
        title=_("Planner"),
        section="planner",
        scoped=("miner",),
        data=data,
        wrong=next(iter(shown.wrong.values()), None),
        per_day=tenths(outcome.per_day),
        per_day_size=per_day_size,
        limit=limit_text(shown.plan, outcome, values),
        sector_time=formatting.time_left(outcome.sector_s)
        if outcome.sector_s >= 60
        else formatting.duration(outcome.sector_s),
        gains=gain_rows(shown.plan, outcome),
        farm={
            "values": {key: int(values[key].value) for key in ("hosts", "rooms")},
            "sources": {key: SOURCES[values[key].source] for key in ("hosts", "rooms")},
            "rows": step_rows(values, outcome, shown.wrong),
            "gaps": gap_texts(shown.gaps),
            "rooms_use": outcome.use.get(DISK),
            "fresh": f"{reverse('planner')}?{urlencode({'miner': address})}",
        },
        money={
            "costs": cost_rows(shown.costs, outcome.per_day) if shown.costs is not None else [],
            "payers": payer_rows(shown.costs, data) if shown.costs is not None else [],
            "error": shown.why,
            "gas_is_guess": shown.costs is not None and shown.costs.price.is_guess,
        },
        goal=goal_context(shown, other, query)
        | {
            "miners": sorted((one.name or one.address, one.address) for one in data.miners if one.address),
            "miner": address,
        },
        batches=batches_context(plan_batches_collect(viewer, miner=miner, now=data.at), shown.plan.hosts),
    )


NAV: Final = NavItem("planner", _("Planner"), "columns", place=(3, 3), jump="l")
urlpatterns: Final = [path("planner/", planner, name="planner")]
