"""Gas over REST: forecast and spending."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.day_ranges import NAMES, days_asked, days_parameters
from apps.api.v1.scope import SCOPE_PARAMETERS, scope_asked
from apps.api.v1.views import PoolView
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.messages.selectors.base_fee import base_fee_history, cheap_window
from apps.messages.selectors.queue_costs import queue_costs
from apps.messages.selectors.spend import SUMMED_BY, spend_summed
from apps.miners.selectors.scope import SCOPE, viewer_in

DAYS_USUAL = 7


class BaseFeeSpan(serializers.Serializer[Any]):
    """The base fee over a span of the day, in attoFIL."""

    start = serializers.IntegerField(help_text="Unix time")
    low = serializers.CharField()
    mean = serializers.CharField()
    high = serializers.CharField()


class CheapWindow(serializers.Serializer[Any]):
    """The two cheapest hours of the day."""

    start = serializers.IntegerField(help_text="seconds after midnight, UTC")
    end = serializers.IntegerField()
    mean = serializers.CharField(help_text="attoFIL")


class QueueCost(serializers.Serializer[Any]):
    """What the waiting messages of one kind and method will cost, in attoFIL."""

    kind = serializers.CharField()
    method = serializers.IntegerField()
    to = serializers.CharField(allow_null=True)
    waiting = serializers.IntegerField()
    in_flight = serializers.IntegerField()
    gas = serializers.IntegerField()
    is_guess = serializers.BooleanField(help_text="no message of it has landed yet")
    cost_now = serializers.CharField()
    cost_cheap = serializers.CharField(allow_null=True, help_text="in the cheap window")


class GasOutput(serializers.Serializer[Any]):
    """The base fee and what the queue will cost."""

    base_fee = serializers.CharField(help_text="attoFIL")
    history = BaseFeeSpan(many=True)
    cheap_window = CheapWindow(allow_null=True)
    queue = QueueCost(many=True)


class SpendSumOutput(serializers.Serializer[Any]):
    """What some messages cost; of what they have in common it has the fields by which they are summed."""

    to = serializers.CharField(required=False)
    method = serializers.IntegerField(required=False)
    kind = serializers.CharField(required=False)
    tenant = serializers.CharField(required=False, allow_null=True)
    from_addr = serializers.CharField(required=False)
    day = serializers.DateField(required=False)
    messages = serializers.IntegerField()
    gas_used = serializers.IntegerField()
    cost = serializers.CharField(help_text="attoFIL")


class SpendPage(serializers.Serializer[Any]):
    """Spending, dearest first; days newest first."""

    results = SpendSumOutput(many=True)


class GasView(PoolView):
    """`/gas`: the base fee of the last day and what the queue will cost."""

    filters = SCOPE

    @extend_schema(parameters=SCOPE_PARAMETERS, responses=GasOutput)
    def get(self, request: Request) -> Response:
        """Return the day's history, the cheapest two hours, and the forecast at both base fees."""
        head = head_current()
        if head is None:
            raise NetworkUnknown(gettext("no chain head is known yet"))
        history = base_fee_history(head=head, epoch_s=network_current().epoch_s)
        window = cheap_window(history)
        costs = queue_costs(viewer_in(self.principal, scope_asked(request)), now=clock.now())
        return Response(
            {
                "base_fee": str(head.base_fee),
                "history": [
                    {"start": one.start_s, "low": str(one.low), "mean": str(one.mean), "high": str(one.high)}
                    for one in history
                ],
                "cheap_window": None
                if window is None
                else {"start": window.start_s, "end": window.end_s, "mean": str(window.mean)},
                "queue": [
                    {
                        "kind": one.kind,
                        "method": one.method,
                        "to": one.to or None,
                        "waiting": one.waiting,
                        "in_flight": one.in_flight,
                        "gas": one.gas,
                        "is_guess": one.is_guess,
                        "cost_now": str(one.cost(int(head.base_fee))),
                        "cost_cheap": None if window is None else str(one.cost(window.mean)),
                    }
                    for one in costs
                ],
            }
        )


class SpendView(PoolView):
    """`/gas/spend`: what landed messages cost."""

    filters = ("by", *SCOPE, *NAMES)

    @extend_schema(
        parameters=[
            OpenApiParameter("by", str, enum=list(SUMMED_BY)),
            *SCOPE_PARAMETERS,
            *days_parameters(usual=DAYS_USUAL),
        ],
        responses=SpendPage,
    )
    def get(self, request: Request) -> Response:
        """Sum spending by method, tenant, sender or day."""
        by = request.query_params.get("by", "method")
        if by not in SUMMED_BY:
            raise BadValue(gettext("must be one of {words}").format(words=", ".join(SUMMED_BY)), field="by")
        seen = viewer_in(self.principal, scope_asked(request))
        sums = spend_summed(seen, by=by, days=days_asked(request, usual=DAYS_USUAL))
        names = [name.replace("tenant__name", "tenant") for name in SUMMED_BY[by]]
        results = [
            {
                **dict(zip(names, one.key, strict=True)),
                "messages": one.messages,
                "gas_used": one.gas_used,
                "cost": str(one.cost),
            }
            for one in sums
        ]
        return Response({"results": results})


urlpatterns = [
    path("gas", GasView.as_view(), name="api-gas"),
    path("gas/spend", SpendView.as_view(), name="api-gas-spend"),
]
