"""A host's drives for layers over REST: begun anew, once one was replaced or emptied."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.services.hosts.drives import drives_reset, drives_reset_plan


class DrivesResetInput(InputSerializer):
    """Most sectors that may lose layers, and the reason for the audit log."""

    sectors = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=0, help_text="refused if more may by now"
    )
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class SectorsLosingLayers(serializers.Serializer[Any]):
    """Sectors whose layers may lie on the drives."""

    sectors = serializers.IntegerField(help_text="how many they are")
    labelling = serializers.ListField(
        child=serializers.UUIDField(), help_text="in PC1: they begin it anew by themselves"
    )
    labelled = serializers.ListField(
        child=serializers.UUIDField(),
        help_text="before C1, which will lack the layers: send them back to PC1",
    )


class HostDrivesResetView(PoolView):
    """`/workers/{id}/drives:reset`: all layers on the host's drives are lost."""

    whole_methods = ("POST",)
    confirmed_methods: ClassVar[tuple[str, ...]] = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    write_parameters = PARAMETERS

    @extend_schema(request=DrivesResetInput, responses=SectorsLosingLayers, parameters=[DRY_RUN])
    def post(self, request: Request, uuid: str) -> Response:
        """Order the host to begin anew on its drives for layers."""
        body = DrivesResetInput(data=request.data)
        body.is_valid(raise_exception=True)
        data, worker, now = body.validated_data, worker_get(self.principal, uuid), clock.now()
        if is_dry_run(request):
            lost = drives_reset_plan(worker, now=now)
        else:
            lost = drives_reset(
                worker, by=self.principal, now=now, count=data["sectors"], reason=data["reason"]
            )
        return Response(
            {
                "sectors": lost.count,
                "labelling": [str(one.uuid) for one in lost.labelling],
                "labelled": [str(one.uuid) for one in lost.labelled],
            }
        )


urlpatterns = [
    path("workers/<str:uuid>/drives:reset", HostDrivesResetView.as_view(), name="v1-worker-drives-reset"),
]
