"""Planner: how many sectors a day other hosts, slots or disks would make, and what they would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.node.client import page_client
from apps.core import formatting
from apps.core.errors import BadValue, DomainError
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.planner.rows import (
    SOURCES,
    cost_rows,
    gain_rows,
    limit_text,
    payer_rows,
    step_rows,
    tenths,
)
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.sectors.rules.planner import DISK, simulate
from apps.sectors.services.plans import KEYS, plan_costs_estimate, plan_read, plan_values_collect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest, HttpResponse

    from apps.miners.models import Miner
    from apps.sectors.rules.planner import Outcome, Plan
    from apps.sectors.services.plans import PlanCosts, PlanValue
    from apps.users.rules.principals import Principal


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
        return None, refusal.reason
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


@require_safe
@sign_in_required
def planner(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the numbers of the farm, what they make, what more would give, and the money."""
    data = PageData(viewer)
    typed = {key: request.GET.get(key, "")[:20] for key in KEYS}
    miner = miner_chosen(viewer, data, request.GET.get("miner", "")[:40])
    present = plan_values_collect(viewer, miner=miner, network=data.network, now=data.at)
    plan, values, wrong = plan_typed(typed, present)
    outcome = simulate(plan)
    costs, why = costs_of(miner, outcome, data)
    address, size = ("", 0) if miner is None else (miner.address, miner.sector_size)
    per_day_size = " ".join(formatting.size(int(size * outcome.per_day))) if size else ""
    return page_render(
        request,
        "planner/page.html",
        title=_("Planner"),
        section="planner",
        data=data,
        wrong=next(iter(wrong.values()), None),
        per_day=tenths(outcome.per_day),
        per_day_size=per_day_size,
        limit=limit_text(plan, outcome, values),
        sector_time=formatting.time_left(outcome.sector_s)
        if outcome.sector_s >= 60
        else formatting.duration(outcome.sector_s),
        gains=gain_rows(plan, outcome),
        farm={
            "miners": [(one.address, one.name or one.address) for one in data.miners if one.address],
            "miner": address,
            "values": {key: int(values[key].value) for key in ("hosts", "rooms")},
            "sources": {key: SOURCES[values[key].source] for key in ("hosts", "rooms")},
            "rows": step_rows(values, outcome, wrong),
            "rooms_use": outcome.use.get(DISK),
            "fresh": f"{reverse('planner')}?{urlencode({'miner': address})}",
        },
        money={
            "costs": cost_rows(costs, outcome.per_day) if costs is not None else [],
            "payers": payer_rows(costs, data) if costs is not None else [],
            "error": why,
            "gas_is_guess": costs is not None and costs.price.is_guess,
        },
    )


NAV: Final = NavItem("planner", _("Planner"), "columns", place=(1, 7))
urlpatterns: Final = [path("planner/", planner, name="planner")]
