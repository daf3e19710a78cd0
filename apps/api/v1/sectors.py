"""Sectors over REST: the list, and one."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import CURSOR, LIMIT
from apps.api.v1.sector_output import SectorDetail, SectorOutput, detail_body, sectors_body
from apps.api.v1.views import PoolView
from apps.sectors.selectors.sector_filters import SectorFilters
from apps.sectors.selectors.sectors import sector_get, sectors_listed


class SectorPage(serializers.Serializer[Any]):
    """One page, newest first."""

    results = SectorOutput(many=True)
    next = serializers.CharField(allow_null=True)


class SectorsView(ListView):
    """`/sectors`: the caller's sectors."""

    noun = SectorFilters

    @extend_schema(parameters=[*parameters_of(SectorFilters), CURSOR, LIMIT], responses=SectorPage)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """List sectors, newest first; `cursor` is the `next` of the previous page."""
        rows, following = self.newest(sectors_listed(self.principal))
        return Response({"results": sectors_body(rows), "next": following})


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
