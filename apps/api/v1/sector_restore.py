"""Sectors that were given up, brought back over REST."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.services.sealing.restore import Restoration, restoration_plan, sector_restore


class RestoreInput(InputSerializer):
    """The reason, and whether a sector that had clients' data is sealed without it."""

    force = serializers.BooleanField(required=False, default=False)
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class RestorationOutput(serializers.Serializer[Any]):
    """The state that the sector returns to; `refusal` says why it cannot."""

    uuid = serializers.UUIDField()
    refusal = serializers.CharField(allow_blank=True)
    state = serializers.CharField(allow_blank=True, help_text="its next state")
    has_files = serializers.BooleanField(help_text="whether it stays recorded in its store")


def restoration_body(plan: Restoration) -> dict[str, Any]:
    """Return where a sector goes, as JSON."""
    return {
        "uuid": str(plan.sector.uuid),
        "refusal": plan.refusal,
        "state": plan.state,
        "has_files": plan.has_files,
    }


class SectorRestoreView(PoolView):
    """`/sectors/{uuid}/restore`: an aborted or terminated sector comes back."""

    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(request=RestoreInput, responses=RestorationOutput, parameters=[DRY_RUN])
    def post(self, request: Request, uuid: str) -> Response:
        """Return it to proving if it is live on chain; reseal it if its number was never used on chain."""
        body = RestoreInput(data=request.data)
        body.is_valid(raise_exception=True)
        data, sector, work = body.validated_data, sector_get(self.principal, uuid), sealing_context_read()
        if is_dry_run(request):
            return Response(restoration_body(restoration_plan(sector, force=data["force"], work=work)))
        plan = sector_restore(
            sector, force=data["force"], reason=data["reason"], by=self.principal, work=work
        )
        return Response(restoration_body(plan))


urlpatterns = [path("sectors/<str:uuid>/restore", SectorRestoreView.as_view(), name="v1-sector-restore")]
