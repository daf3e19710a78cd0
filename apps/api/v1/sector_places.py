"""Where a sector's files lie, over REST."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.views import PoolView
from apps.core import clock
from apps.proving.sector_places import sector_places
from apps.sectors.selectors.sectors import sector_get

if TYPE_CHECKING:
    from apps.proving.sector_places import SectorPlace


class SectorPlaceOutput(serializers.Serializer[Any]):
    """One place with files of a sector."""

    what = serializers.ChoiceField(choices=["sealed", "update", "work", "piece"])
    store = serializers.CharField()
    host = serializers.CharField()
    path = serializers.CharField(help_text="on that host; of a piece its commitment")
    store_condition = serializers.CharField(help_text="of the store on that host")
    is_counted = serializers.BooleanField(help_text="whether the sector's row names this store")
    condition = serializers.CharField(help_text="of the files there, as in copies; empty: not checked")
    reason = serializers.CharField(help_text="what is wrong with them, or why they could not be read")
    checked_at = serializers.DateTimeField(allow_null=True)


class SectorPlacesOutput(serializers.Serializer[Any]):
    """All of them."""

    results = SectorPlaceOutput(many=True)


def place_body(place: SectorPlace) -> dict[str, Any]:
    """Write one place."""
    return asdict(place)


class SectorPlacesView(PoolView):
    """`/sectors/{uuid}/places`: where its files lie."""

    filters = ()

    @extend_schema(responses=SectorPlacesOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List stores by host and path, the host that works on it, and pieces whose bytes are kept."""
        found = sector_places(sector_get(self.principal, uuid), viewer=self.principal, now=clock.now())
        return Response({"results": [place_body(one) for one in found]})


urlpatterns = [
    path("sectors/<str:uuid>/places", SectorPlacesView.as_view(), name="v1-sector-places"),
]
