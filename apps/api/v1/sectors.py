"""Sectors over REST: the list, and one."""

from __future__ import annotations

from typing import Any

from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import CURSOR, LIMIT, number, number_parameter
from apps.api.v1.sector_output import SectorDetail, SectorOutput, detail_body, sectors_body
from apps.api.v1.views import PoolView
from apps.core.errors import BadValue
from apps.sectors.selectors.sector_pages import SectorFilter, sectors_page
from apps.sectors.selectors.sectors import sector_get
from poolsite.wire.pipeline import SECTOR_STAGES, SECTOR_STATES, STATE_OF_STAGE

PAGE_DEFAULT = 100
PAGE_MAX = 1_000


class SectorPage(serializers.Serializer[Any]):
    """One page, newest first."""

    results = SectorOutput(many=True)
    next = serializers.CharField(allow_null=True)


class SectorsView(PoolView):
    """`/sectors`: the caller's sectors."""

    filters = ("miner", "number", "host", "store", "state", "stage", "active", "paused", "cursor", "limit")
    repeatable = ("state", "stage")

    @extend_schema(
        parameters=[
            OpenApiParameter("miner", str),
            number_parameter("number", least=0),
            OpenApiParameter(
                "host", str, description="name of the host that is sealing it, or sealed it last"
            ),
            OpenApiParameter("store", str, description="name of the store with its files"),
            OpenApiParameter("state", str, many=True, enum=list(SECTOR_STATES)),
            OpenApiParameter("stage", str, many=True, enum=SECTOR_STAGES),
            OpenApiParameter("active", bool),
            OpenApiParameter("paused", bool),
            CURSOR,
            LIMIT,
        ],
        responses=SectorPage,
    )
    def get(self, request: Request) -> Response:
        """List sectors, newest first; `cursor` is the `next` of the previous page."""
        query = request.query_params
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        before = number(request, "cursor", least=1, default=0, most=10**12)
        filters = SectorFilter(
            miner=query.get("miner", ""),
            number=number(request, "number", least=0, default=0, most=2**63 - 1)
            if query.get("number")
            else None,
            host=query.get("host", ""),
            store=query.get("store", ""),
            states=_states(query.getlist("state"), query.getlist("stage")),
            is_active=_flag(query.get("active"), "active"),
            is_paused=_flag(query.get("paused"), "paused"),
            before=before or None,
        )
        rows = sectors_page(self.principal, filters, limit=limit + 1)
        more = str(rows[limit - 1].pk) if len(rows) > limit else None
        return Response({"results": sectors_body(rows[:limit]), "next": more})


def _states(states: list[str], stages: list[str]) -> tuple[str, ...]:
    for state in states:
        if state not in SECTOR_STATES:
            raise BadValue(gettext("there is no such state"), field="state")
    for stage in stages:
        if stage not in STATE_OF_STAGE:
            raise BadValue(gettext("there is no such stage"), field="stage")
    return (*states, *(STATE_OF_STAGE[stage] for stage in stages))


def _flag(text: str | None, field: str) -> bool | None:
    booleans = {"true": True, "1": True, "false": False, "0": False}
    if text is None:
        return None
    if text.lower() not in booleans:
        raise BadValue(gettext("must be true or false"), field=field)
    return booleans[text.lower()]


class SectorView(PoolView):
    """`/sectors/{uuid}`: one sector."""

    @extend_schema(responses=SectorDetail)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show one sector."""
        return Response(detail_body(sector_get(self.principal, uuid)))


urlpatterns = [
    path("sectors", SectorsView.as_view(), name="v1-sectors"),
    path("sectors/<str:uuid>", SectorView.as_view(), name="v1-sector"),
]
