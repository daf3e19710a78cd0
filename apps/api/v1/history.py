"""What was measured, over REST: figures of miners, hosts, stores, addresses, the base fee and sealing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import moment_value
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.core.clock import DAY
from apps.core.errors import BadValue
from apps.core.languages import list_text
from apps.core.marked_texts import gettext
from apps.history.selectors.series import POINTS_MAX, Point, series
from apps.history.states import HOUR, METRICS, Kind
from apps.miners.selectors.miners import miner_get, miners_visible
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.selectors.stores import store_get
from apps.wallets.selectors import wallet_get

STEPS: Final = {"1h": HOUR, "2h": 2 * HOUR, "6h": 6 * HOUR, "1d": DAY, "7d": 7 * DAY}
STEP_USUAL: Final = "1h"
FILTERS: Final = ("metric", "from", "to", "step")
PARAMETERS: Final = [
    OpenApiParameter("metric", description="only this figure; all without it"),
    OpenApiParameter("from", OpenApiTypes.DATETIME, description="a day before `to` without it"),
    OpenApiParameter("to", OpenApiTypes.DATETIME, description="now without it"),
    OpenApiParameter(
        "step", enum=list(STEPS), description="1h without it; of times whose hours are not kept, a day"
    ),
]


class HistoryFigureOutput(serializers.Serializer[Any]):
    """One figure in one step: whole numbers (bytes, attoFIL, sectors) or decimal ones, as text."""

    value = serializers.CharField(help_text="mean of what is measured, sum of what is counted")
    low = serializers.CharField()
    high = serializers.CharField()


class HistoryPointOutput(serializers.Serializer[Any]):
    """The figures of one step."""

    at = serializers.DateTimeField(help_text="when it begins")
    figures = serializers.DictField(
        child=HistoryFigureOutput(), help_text="by metric; what is not known is absent"
    )


class HistoryOutput(serializers.Serializer[Any]):
    """Figures over some time."""

    step_s = serializers.IntegerField()
    since = serializers.DateTimeField(allow_null=True, help_text="of the first figures; null: there are none")
    units = serializers.DictField(
        child=serializers.CharField(), help_text="by metric: bytes, attoFIL, share (0 to 1), °C, count"
    )
    points = HistoryPointOutput(many=True, help_text="the oldest first")


class HistoryView(PoolView):
    """The figures of one thing."""

    filters: ClassVar[tuple[str, ...] | None] = FILTERS
    kind: ClassVar[Kind]

    def answer(self, request: Request, subjects: Sequence[int]) -> Response:
        """Return the figures of the things with these keys.  Raises BadValue."""
        now = clock.now()
        metric, begin, end, step = self._parameters(request, now=now)
        found = series(self.kind, subjects, begin=begin, end=end, step=step, now=now)
        names = [metric] if metric else sorted(found.points)
        units = METRICS.get(self.kind, {})
        body = {
            "step_s": int(found.step.total_seconds()),
            "since": found.since,
            "units": {name: units.get(name, "count") for name in names},
            "points": [
                {
                    "at": at,
                    "figures": {
                        name: figure_body(point)
                        for name in names
                        if (point := found.of(name)[place]) is not None
                    },
                }
                for place, at in enumerate(found.steps)
            ],
        }
        return Response(HistoryOutput(body).data)

    def _parameters(self, request: Request, *, now: datetime) -> tuple[str, datetime, datetime, timedelta]:
        query: Any = {name: request.query_params.get(name, "") for name in FILTERS}
        known = METRICS.get(self.kind)
        if query["metric"] and known is not None and query["metric"] not in known:
            raise BadValue(gettext("must be one of {names}").format(names=list_text(known)), field="metric")
        step = STEPS.get(query["step"] or STEP_USUAL)
        if step is None:
            raise BadValue(gettext("must be one of {names}").format(names=list_text(STEPS)), field="step")
        end = min(moment_value(query["to"] or None, field="to") or now, now)
        begin = moment_value(query["from"] or None, field="from") or end - DAY
        if begin >= end:
            raise BadValue(gettext("must be before the end"), field="from")
        if (end - begin) / step > POINTS_MAX - 1:
            raise BadValue(
                gettext("is more than {count} steps ago").format(count=POINTS_MAX - 1), field="from"
            )
        return query["metric"], begin, end, step


def figure_body(point: Point) -> dict[str, str]:
    """Return a point as JSON."""
    return {name: str(getattr(point, name)) for name in ("value", "low", "high")}


class MinerHistoryView(HistoryView):
    """`/miners/{address}/history`: power, funds, sectors."""

    kind = Kind.MINER

    @extend_schema(responses=HistoryOutput, parameters=PARAMETERS)
    def get(self, request: Request, address: str) -> Response:
        """Return a miner's power, funds and sectors over time."""
        return self.answer(request, [miner_get(self.principal, address).pk])


class HostHistoryView(HistoryView):
    """`/workers/{uuid}/history`: processors, memory, GPUs, disk, temperatures."""

    kind = Kind.HOST

    @extend_schema(responses=HistoryOutput, parameters=PARAMETERS)
    def get(self, request: Request, uuid: str) -> Response:
        """Return how busy a host was, as it reported it over time."""
        return self.answer(request, [worker_get(self.principal, uuid).pk])


class StoreHistoryView(HistoryView):
    """`/stores/{uuid}/history`: used bytes and size."""

    kind = Kind.STORE

    @extend_schema(responses=HistoryOutput, parameters=PARAMETERS)
    def get(self, request: Request, uuid: str) -> Response:
        """Return how full a store was over time."""
        return self.answer(request, [store_get(self.principal, uuid, now=clock.now()).pk])


class WalletHistoryView(HistoryView):
    """`/wallets/{address}/history`: the balance."""

    kind = Kind.WALLET

    @extend_schema(responses=HistoryOutput, parameters=PARAMETERS)
    def get(self, request: Request, address: str) -> Response:
        """Return the balance of an address over time."""
        return self.answer(request, [wallet_get(self.principal, address).pk])


class GasHistoryView(HistoryView):
    """`/gas/history`: the base fee."""

    kind = Kind.GAS

    @extend_schema(responses=HistoryOutput, parameters=PARAMETERS)
    def get(self, request: Request) -> Response:
        """Return the base fee over time."""
        return self.answer(request, [0])


class SealingHistoryView(HistoryView):
    """`/sealing/history`: sectors sealed, and stages done."""

    kind = Kind.SEALING
    filters = (*FILTERS, "miner")

    @extend_schema(
        responses=HistoryOutput,
        parameters=[*PARAMETERS, OpenApiParameter("miner", description="address; all miners without it")],
    )
    def get(self, request: Request) -> Response:
        """Return how many sectors were sealed, and how often each stage was done, over time."""
        if address := request.query_params.get("miner", ""):
            return self.answer(request, [miner_get(self.principal, address).pk])
        return self.answer(request, list(miners_visible(self.principal).values_list("pk", flat=True)))


urlpatterns = [
    path("miners/<str:address>/history", MinerHistoryView.as_view(), name="v1-miner-history"),
    path("workers/<str:uuid>/history", HostHistoryView.as_view(), name="v1-worker-history"),
    path("stores/<str:uuid>/history", StoreHistoryView.as_view(), name="v1-store-history"),
    path("wallets/<str:address>/history", WalletHistoryView.as_view(), name="v1-wallet-history"),
    path("gas/history", GasHistoryView.as_view(), name="v1-gas-history"),
    path("sealing/history", SealingHistoryView.as_view(), name="v1-sealing-history"),
]
