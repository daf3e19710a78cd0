"""Where a sector's files lie, over REST."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.views import PoolView
from apps.core import clock
from apps.proving.selectors.sector_places import sector_places
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.selectors.store_scans import sector_findings
from apps.sectors.states import FindingKind

FILE_KINDS: Final = ("sealed", "update", "work", "piece")


class SectorPlaceOutput(serializers.Serializer[Any]):
    """One place with files of a sector."""

    what = serializers.ChoiceField(choices=FILE_KINDS)
    store = serializers.CharField()
    host = serializers.CharField()
    path = serializers.CharField(help_text="on that host; for a piece, its commitment")
    store_condition = serializers.CharField(help_text="condition of the store on that host")
    is_counted = serializers.BooleanField(help_text="whether the sector is recorded in this store")
    condition = serializers.CharField(help_text="condition of the files, as in copies; empty if not checked")
    reason = serializers.CharField(help_text="what is wrong with the files, or why they could not be read")
    checked_at = serializers.DateTimeField(allow_null=True)


class SectorFindingOutput(serializers.Serializer[Any]):
    """Files of a sector that a scan found in a store which is not its recorded one."""

    store = serializers.CharField()
    kind = serializers.ChoiceField(choices=FindingKind.values)
    kinds = serializers.CharField(help_text="kinds of files; empty: all that it needs")


class SectorPlacesOutput(serializers.Serializer[Any]):
    """All places with files of a sector, and what scans found of it where it is not recorded."""

    results = SectorPlaceOutput(many=True)
    findings = SectorFindingOutput(many=True)


class SectorPlacesView(PoolView):
    """`/sectors/{uuid}/places`: where its files lie."""

    filters = ()

    @extend_schema(responses=SectorPlacesOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List stores by host and path, the host working on the sector, and pieces kept unsealed."""
        sector = sector_get(self.principal, uuid)
        places = sector_places(sector, viewer=self.principal, now=clock.now())
        findings = [
            {"store": one.store.name, "kind": one.kind, "kinds": one.kinds} for one in sector_findings(sector)
        ]
        return Response({"results": [asdict(one) for one in places], "findings": findings})


urlpatterns = [
    path("sectors/<str:uuid>/places", SectorPlacesView.as_view(), name="v1-sector-places"),
]
