"""The planner over REST: what hosts would make in a day, what one more of something gives, the money."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.day_ranges import day_read
from apps.api.v1.host_output import DriveBatchOutput
from apps.api.v1.pagination import number_parameter
from apps.api.v1.views import PoolView
from apps.chain.node.client import page_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.core.marked_texts import gettext
from apps.miners.selectors.miners import miner_get, reward_estimate
from apps.sectors.rules.plan_goals import Goal, goal_answer
from apps.sectors.rules.planner import gains, simulate
from apps.sectors.services.plans import (
    GAPS,
    KEYS,
    PUBLISHED_BYTES,
    SOURCES,
    PlanCosts,
    plan_batches_collect,
    plan_costs_estimate,
    plan_farm_collect,
    plan_limit_find,
    plan_read,
    sector_money_estimate,
)
from apps.users.rules.principals import Principal

GOAL: Final = ("goal", "by")
GOAL_MAX: Final = 2**60
"""Bytes: an EiB."""


class PlanValueOutput(serializers.Serializer[Any]):
    """One number of the plan, and its source."""

    key = serializers.CharField()
    value = serializers.FloatField()
    origin = serializers.ChoiceField(choices=SOURCES)
    runs = serializers.IntegerField()


class HostGapOutput(serializers.Serializer[Any]):
    """A host that the plan leaves out, or takes to be as the others."""

    name = serializers.CharField()
    why = serializers.ChoiceField(
        choices=GAPS, help_text="no_disk: reported no disk; no_times: no run with this sector size"
    )


class GainOutput(serializers.Serializer[Any]):
    """The gain from adding one of something: a slot of a stage on each host, space on each disk, a host."""

    what = serializers.CharField()
    per_day = serializers.FloatField()


class PlanPayerOutput(serializers.Serializer[Any]):
    """A paying address, in attoFIL, and in how many days it is empty."""

    address = serializers.CharField()
    left = serializers.CharField()
    per_day = serializers.CharField()
    days = serializers.FloatField(allow_null=True)


class PlanCostsOutput(serializers.Serializer[Any]):
    """Costs in attoFIL, at the current head."""

    deposit = serializers.CharField()
    topup = serializers.CharField()
    gas = serializers.CharField()
    gas_is_guess = serializers.BooleanField()
    daily_fee = serializers.CharField()
    locked_per_day = serializers.CharField()
    gas_per_day = serializers.CharField()
    payers = PlanPayerOutput(many=True)


class PlanPointOutput(serializers.Serializer[Any]):
    """A plan at one moment."""

    at = serializers.DateTimeField()
    power = serializers.CharField(help_text="bytes of sectors that are proving")
    locked = serializers.CharField(help_text="attoFIL")
    net = serializers.CharField(allow_null=True, help_text="attoFIL earned, less gas and fees")


class GoalAnswerOutput(serializers.Serializer[Any]):
    """Sectors, hosts and funds that a goal needs; amounts in attoFIL, null where they are not known."""

    sectors = serializers.IntegerField()
    done_at = serializers.DateTimeField(allow_null=True, help_text="null: never at this pace")
    hosts_needed = serializers.IntegerField(allow_null=True, help_text="by the date")
    is_too_soon = serializers.BooleanField(help_text="one sector alone takes longer than to the date")
    locked = serializers.CharField(allow_null=True, help_text="pledge: the most that is locked")
    gas = serializers.CharField(allow_null=True)
    daily_fee = serializers.CharField(allow_null=True)
    reward = serializers.CharField(allow_null=True, help_text="of all sectors in a day")
    earned_back_at = serializers.DateTimeField(
        allow_null=True, help_text="when rewards have paid gas and fees; null: not within the sectors' life"
    )
    curve = PlanPointOutput(many=True)


class PlanOutput(serializers.Serializer[Any]):
    """The result of the plan."""

    values = PlanValueOutput(many=True)
    per_day = serializers.FloatField()
    bytes_per_day = serializers.IntegerField()
    sector_s = serializers.FloatField()
    limit = serializers.CharField()
    use = serializers.DictField(child=serializers.FloatField())
    gains = GainOutput(many=True)
    costs = PlanCostsOutput(allow_null=True)
    costs_error = serializers.CharField(allow_blank=True)
    answer = GoalAnswerOutput(allow_null=True, help_text="null: no goal is given")
    batches = DriveBatchOutput(
        many=True, help_text="of one host, by size: the mean of those that were measured"
    )
    gaps = HostGapOutput(many=True, help_text="hosts of which the plan does not know all")
    batches_measured_on = serializers.IntegerField(help_text="hosts; the others are assumed to be alike")


def costs_body(costs: PlanCosts) -> dict[str, Any]:
    """Return what it costs, as JSON."""
    price = costs.price
    return {
        "deposit": str(price.deposit),
        "topup": str(price.topup),
        "gas": str(price.gas),
        "gas_is_guess": price.is_guess,
        "daily_fee": str(price.daily_fee),
        "locked_per_day": str(costs.locked_per_day),
        "gas_per_day": str(costs.gas_per_day),
        "payers": [
            {"address": one.address, "left": str(one.left), "per_day": str(one.per_day), "days": one.days}
            for one in costs.payers
        ],
    }


def planner_body(viewer: Principal, address: str, changes: Mapping[str, str]) -> dict[str, Any]:
    """Return what the viewer's farm would make with what is given instead of its present numbers.

    Raises BadValue, MinerUnknown.
    """
    unknown = sorted(set(changes) - {"miner", "token", *GOAL, *KEYS})
    if unknown:
        raise BadValue(gettext("there is no such number"), field=unknown[0])
    goal = goal_read(changes)
    miner = miner_get(viewer, address) if address else None
    head = head_current()
    network = None if head is None else network_current()
    present = plan_farm_collect(viewer, miner=miner, network=network, now=clock.now())
    plan, values = plan_read({key: changes.get(key) or "" for key in KEYS}, values=present.values)
    outcome = simulate(plan)
    costs, money, why = None, None, "no miner is given" if miner is None else "no node has answered yet"
    if miner is not None and head is not None and network is not None:
        try:
            found = plan_costs_estimate(
                miner, per_day=outcome.per_day, client=page_client(), head=head, network=network
            )
            costs, why = costs_body(found), ""
            money = sector_money_estimate(
                found.price, size=miner.sector_size, network=network, reward=reward_estimate()
            )
        except DomainError as refusal:
            why = refusal.reason
    size = PUBLISHED_BYTES if miner is None else miner.sector_size
    farm = plan_batches_collect(viewer, miner=miner, now=clock.now())
    answer = None
    if goal is not None:
        answer = goal_answer(goal, outcome, hosts=plan.hosts, sector_size=size, money=money, now=clock.now())
    return {
        "values": [
            {"key": one.key, "value": one.value, "origin": one.source, "runs": one.runs}
            for one in values.values()
        ],
        "per_day": outcome.per_day,
        "bytes_per_day": 0 if miner is None else int(outcome.per_day * miner.sector_size),
        "sector_s": outcome.sector_s,
        "limit": plan_limit_find(outcome, values=values),
        "use": dict(outcome.use),
        "gains": [{"what": gain.what, "per_day": gain.per_day} for gain in gains(plan)],
        "costs": costs,
        "costs_error": why,
        "answer": None if answer is None else GoalAnswerOutput(answer).data,
        "batches": DriveBatchOutput(farm.figures, many=True).data,
        "gaps": [{"name": one.name, "why": one.why} for one in present.gaps],
        "batches_measured_on": farm.measured,
    }


def goal_read(query: Mapping[str, str]) -> Goal | None:
    """Return the goal that is asked for; None if none is.  Raises BadValue."""
    text, until = query.get("goal", ""), day_read(query.get("by", ""), field="by")
    if not text:
        if until is not None:
            raise BadValue(gettext("must not be empty"), field="goal")
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) <= GOAL_MAX):
        raise BadValue(gettext("must be bytes, from 1 to {most}").format(most=GOAL_MAX), field="goal")
    if until is None:
        return Goal(size=int(text), until=None)
    end = datetime.combine(until + timedelta(days=1), time.min, UTC)
    if end <= clock.now():
        raise BadValue(gettext("must be in the future"), field="by")
    return Goal(size=int(text), until=end)


class PlannerView(PoolView):
    """`/planner`: what page *Planner* shows."""

    filters = ("miner", *GOAL, *KEYS)

    @extend_schema(
        parameters=[
            OpenApiParameter("miner", description="address; without it, sectors of 32 GiB and no costs"),
            number_parameter("goal", least=1, description="bytes of new sectors: what they take is `answer`"),
            OpenApiParameter("by", date, description="last UTC day by which they are to be done"),
            *(OpenApiParameter(key, description="replaces the farm's current value") for key in KEYS),
        ],
        responses=PlanOutput,
    )
    def get(self, request: Request) -> Response:
        """Simulate the caller's farm, with the given values instead of its current ones."""
        query = request.query_params
        return Response(planner_body(self.principal, query.get("miner", ""), query))


urlpatterns = [path("planner", PlannerView.as_view(), name="v1-planner")]
