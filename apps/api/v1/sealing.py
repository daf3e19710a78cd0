"""Sealing over REST: what ran in each slot, each stage's figures, what limits the farm."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.sealing_output import SealingOutput, report_body
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.sectors.selectors.sealing_report import HOURS, filter_read, sealing_report


class SealingView(PoolView):
    """`/sealing`: what page *Sealing* shows."""

    filters = ("miner", "host", "hours")

    @extend_schema(
        parameters=[
            OpenApiParameter("miner", description="address: only this miner's runs and sectors"),
            OpenApiParameter("host", description="uuid: only this host"),
            OpenApiParameter(
                "hours", enum=[str(one) for one in HOURS], description="hours of the window; default 6"
            ),
        ],
        responses=SealingOutput,
    )
    def get(self, request: Request) -> Response:
        """Return slots, queues and times of each stage, bottlenecks, and when sectors will be proving."""
        parameters = {key: request.query_params.get(key, "") for key in ("miner", "host", "hours")}
        filters = filter_read(**parameters)
        report = sealing_report(self.principal, filters, now=clock.now())
        return Response(SealingOutput(report_body(report, filters)).data)


urlpatterns = [path("sealing", SealingView.as_view(), name="v1-sealing")]
