"""Removing the files of sectors that the chain has ended, over REST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.serializers import InputSerializer, SectorField
from apps.api.v1.views import PoolView
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.sectors import sector_get, sectors_picked
from apps.sectors.services.stores.file_removals import REMOVALS_MAX, removals_plan, removals_request

if TYPE_CHECKING:
    from apps.sectors.models import Sector


class RemoveFilesInput(InputSerializer):
    """Why the files are removed."""

    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class RemoveManyInput(RemoveFilesInput):
    """Many sectors at once."""

    sectors = serializers.ListField(child=SectorField(), min_length=1, max_length=REMOVALS_MAX)


class FileRemovalOutput(serializers.Serializer[Any]):
    """One sector; `refusal` says why its files are kept."""

    sector = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    refusal = serializers.CharField()
    bytes = serializers.IntegerField(help_text="bytes that are freed, at least")
    hosts = serializers.ListField(child=serializers.CharField())


class FileRemovalsOutput(serializers.Serializer[Any]):
    """What is removed, and what is kept."""

    bytes = serializers.IntegerField()
    sectors = FileRemovalOutput(many=True)


class RemovingView(PoolView):
    """What removes files: the plan alone, or the plan once the hosts were told."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    confirmed_methods: ClassVar[tuple[str, ...]] = ("POST",)
    write_parameters = PARAMETERS
    asks_network = True

    def remove(self, sectors: Sequence[Sector], *, reason: str) -> Response:
        """Answer with the plan, after telling the hosts unless it is a dry run."""
        work = sealing_context_read()
        if is_dry_run(self.request):
            plan = removals_plan(sectors, work=work)
        else:
            plan = removals_request(sectors, by=self.principal, work=work, reason=reason)
        rows = [
            {
                "sector": str(one.sector.uuid),
                "miner": one.sector.miner.address,
                "number": one.sector.number,
                "refusal": one.refusal,
                "bytes": one.size,
                "hosts": list(one.hosts),
            }
            for one in plan
        ]
        return Response({"bytes": sum(one.size for one in plan), "sectors": rows})


class SectorRemoveFilesView(RemovingView):
    """`/sectors/{uuid}/remove-files`: free the disk of a sector that the chain has ended."""

    @extend_schema(request=RemoveFilesInput, parameters=[DRY_RUN], responses=FileRemovalsOutput)
    def post(self, request: Request, uuid: str) -> Response:
        """Order its hosts to remove its files permanently; its timeline records when they are done."""
        body = RemoveFilesInput(data=request.data)
        body.is_valid(raise_exception=True)
        return self.remove([sector_get(self.principal, uuid)], reason=body.validated_data["reason"])


class SectorsRemoveFilesView(RemovingView):
    """`/sectors:remove-files`: the same for many."""

    @extend_schema(request=RemoveManyInput, parameters=[DRY_RUN], responses=FileRemovalsOutput)
    def post(self, request: Request) -> Response:
        """Order the hosts to remove the files of each; those that must be kept are listed and left out."""
        body = RemoveManyInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        return self.remove(sectors_picked(self.principal, data["sectors"]), reason=data["reason"])


urlpatterns = [
    path("sectors/<str:uuid>/remove-files", SectorRemoveFilesView.as_view(), name="v1-sector-remove-files"),
    path("sectors:remove-files", SectorsRemoveFilesView.as_view(), name="v1-sectors-remove-files"),
]
