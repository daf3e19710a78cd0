"""Rebuilding a sector's files over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run, verdicts_body
from apps.api.v1.sector_runs import RunAbortView, RunOutput, RunRetryView, run_body
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.messages.services.signer_trials import Verdicts
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.services.runs.rebuild import RebuildPlan, rebuild_begin, rebuild_plan, rebuild_verdicts_read
from poolsite.wire.jobs import JobKind


class RebuildPlanOutput(serializers.Serializer[Any]):
    """Which host would rebuild the replica, and from what; a faulty sector also sends its recovery."""

    hosts = serializers.ListField(child=serializers.CharField())
    payload_bytes = serializers.IntegerField()
    is_update = serializers.BooleanField()
    pledge = serializers.CharField(help_text="attoFIL; always 0, as the pledge stays locked")
    gas = serializers.CharField(
        help_text="attoFIL of the recovery message; 0 for a sector that is not faulty"
    )
    signer = serializers.CharField(
        help_text="why the signer would not sign the recovery message; empty if it would"
    )
    approval = serializers.CharField(
        help_text="rule by which the recovery message would wait for a second person; empty: none"
    )


def plan_body(plan: RebuildPlan, verdicts: Verdicts) -> dict[str, Any]:
    """Return what a rebuild would do, as JSON."""
    return {
        "hosts": list(plan.hosts),
        "payload_bytes": plan.payload,
        "is_update": plan.is_update,
        "pledge": "0",
        "gas": str(plan.gas),
        **verdicts_body(verdicts),
    }


class SectorRebuildView(PoolView):
    """`/sectors/{uuid}/rebuild`: a lost replica once more."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    write_parameters = PARAMETERS
    bodiless_methods = ("POST",)
    asks_network = True

    @extend_schema(request=None, responses={201: RunOutput, 200: RebuildPlanOutput}, parameters=[DRY_RUN])
    def post(self, request: Request, uuid: str) -> Response:
        """Rebuild the replica from its ticket and data; `dry_run` only returns the host and sources."""
        sector = sector_get(self.principal, uuid)
        if is_dry_run(request):
            return Response(plan_body(rebuild_plan(sector), rebuild_verdicts_read(sector)))
        key = request.headers.get("Idempotency-Key")
        return created(run_body(rebuild_begin(sector, by=self.principal, now=clock.now(), key=key)))


class RebuildRetryView(RunRetryView):
    """`/sectors/{uuid}/rebuild/retry`: go on with a rebuild."""

    kind = JobKind.REBUILD


class RebuildAbortView(RunAbortView):
    """`/sectors/{uuid}/rebuild/abort`: end a rebuild."""

    kind = JobKind.REBUILD


urlpatterns = [
    path("sectors/<str:uuid>/rebuild", SectorRebuildView.as_view(), name="v1-sector-rebuild"),
    path("sectors/<str:uuid>/rebuild/retry", RebuildRetryView.as_view(), name="v1-rebuild-retry"),
    path("sectors/<str:uuid>/rebuild/abort", RebuildAbortView.as_view(), name="v1-rebuild-abort"),
]
