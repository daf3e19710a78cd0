"""Retry, pause and abort of a sector over REST, and removal of its unsealed copy."""

from __future__ import annotations

from typing import ClassVar, Final

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import parameter_bool
from apps.api.v1.sector_output import SectorDetail, detail_body
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.services.runs.unsealing import unsealed_remove
from apps.sectors.services.sealing.steps import sector_abort, sector_retry, sector_stop
from poolsite.wire.pipeline import SECTOR_STATES

END_STAGE: Final = OpenApiParameter(
    "end_stage", bool, description="its host ends what it computes for the sector, too: it may hang"
)


class RetryInput(InputSerializer):
    """The state to continue from; by default the failed stage is retried."""

    state = serializers.ChoiceField(choices=SECTOR_STATES, required=False)


class AbortInput(InputSerializer):
    """Why a sector is aborted."""

    reason = serializers.CharField(max_length=500)


class SectorRetryView(PoolView):
    """`/sectors/{uuid}/retry`: go on with a paused sector."""

    @extend_schema(request=RetryInput, responses=SectorDetail)
    def post(self, request: Request, uuid: str) -> Response:
        """Retry the failed stage, or go back to an earlier state of the table."""
        body = RetryInput(data=request.data)
        body.is_valid(raise_exception=True)
        sector = sector_get(self.principal, uuid)
        sector_retry(
            sector,
            actor=self.principal.actor,
            now=clock.now(),
            state=body.validated_data.get("state"),
            by=self.principal,
        )
        return Response(detail_body(sector_get(self.principal, uuid)))


class SectorPauseView(PoolView):
    """`/sectors/{uuid}/pause`: stop a sector where it is."""

    bodiless_methods = ("POST",)
    write_parameters = ("end_stage",)

    @extend_schema(request=None, responses=SectorDetail, parameters=[END_STAGE])
    def post(self, request: Request, uuid: str) -> Response:
        """Pause a sector; its files and state are kept, and what its host computes unless `end_stage`."""
        sector_stop(
            sector_get(self.principal, uuid),
            actor=self.principal.actor,
            now=clock.now(),
            ends_stage=parameter_bool(request, "end_stage"),
            by=self.principal,
        )
        return Response(detail_body(sector_get(self.principal, uuid)))


class SectorAbortView(PoolView):
    """`/sectors/{uuid}/abort`: give a sector up."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(request=AbortInput, responses=SectorDetail)
    def post(self, request: Request, uuid: str) -> Response:
        """Abort a sector permanently; refused once it is proven on chain."""
        body = AbortInput(data=request.data)
        body.is_valid(raise_exception=True)
        sector = sector_get(self.principal, uuid)
        reason = body.validated_data["reason"]
        sector_abort(sector, actor=self.principal.actor, reason=reason, now=clock.now(), by=self.principal)
        return Response(detail_body(sector_get(self.principal, uuid)))


class SectorUnsealedView(PoolView):
    """`/sectors/{uuid}/unsealed`: the unsealed copies of its pieces."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Remove the unsealed copies; a later request for a piece unseals it again."""
        unsealed_remove(sector_get(self.principal, uuid), by=self.principal)
        return Response(status=204)


urlpatterns = [
    path("sectors/<str:uuid>/retry", SectorRetryView.as_view(), name="v1-sector-retry"),
    path("sectors/<str:uuid>/pause", SectorPauseView.as_view(), name="v1-sector-pause"),
    path("sectors/<str:uuid>/unsealed", SectorUnsealedView.as_view(), name="v1-sector-unsealed"),
    path("sectors/<str:uuid>/abort", SectorAbortView.as_view(), name="v1-sector-abort"),
]
