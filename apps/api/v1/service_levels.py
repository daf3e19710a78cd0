"""What the pool did for a tenant, by month, over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView
from apps.checks.selectors.service_levels import (
    COUNTED,
    LANDING_EDGES_S,
    ServiceMonth,
    service_days_visible,
    service_months,
)
from apps.checks.selectors.service_targets import targets_in, targets_of, targets_results
from apps.checks.services.service_targets import service_targets_set
from apps.checks.states import TargetResult
from apps.core import clock
from apps.users.selectors.tenants import tenant_by_name, tenants_visible

if TYPE_CHECKING:
    from apps.checks.models import ServiceTargets

RESULTS = tuple(TargetResult.values)
TENANT = OpenApiParameter("tenant", str, description="name; the caller's own if omitted")


def percent_field(text: str) -> serializers.DecimalField:
    """Return a field for a percentage."""
    limits: dict[str, Any] = {"max_digits": 5, "decimal_places": 2, "min_value": 0, "max_value": 100}
    return serializers.DecimalField(**limits, help_text=text)


class ServiceMonthOutput(serializers.Serializer[Any]):
    """One month, as far as its days are counted."""

    tenant = serializers.CharField()
    month = serializers.CharField(help_text="`2026-11`, in UTC")
    counted_until = serializers.DateField(help_text="The last day that is counted.")
    posts_proven = serializers.IntegerField(help_text="WindowPoSts that landed, of windows that closed.")
    posts_missed_pool = serializers.IntegerField(help_text="Missed while the pool was down.")
    posts_missed_tenant = serializers.IntegerField(
        help_text="Missed without a proof from the tenant's provers while the pool was up."
    )
    posts_missed_unknown = serializers.IntegerField()
    wins_published = serializers.IntegerField(help_text="Wins whose block is on the chain.")
    wins_lost_pool = serializers.IntegerField(help_text="No node answered, or the block process ended.")
    wins_lost_tenant = serializers.IntegerField(
        help_text="The tenant's prover or signer was away or refused."
    )
    wins_lost_unknown = serializers.IntegerField(help_text="Orphans, and all other losses.")
    messages_pushed = serializers.IntegerField()
    messages_landed = serializers.IntegerField(help_text="Of these, by 12 hours after the end of their day.")
    landing_p95_s = serializers.IntegerField(
        allow_null=True,
        help_text="95 % of these landed within so many seconds; null: none, or over a day.",
    )
    targets = serializers.DictField(
        child=serializers.ChoiceField(choices=RESULTS),
        help_text="By the name of a target that was set, whether it was met as far as the month is counted.",
    )
    console_percent_up = serializers.FloatField(
        allow_null=True, help_text="How much of the month on record console, API and gateway were up."
    )


class TargetsInput(InputSerializer):
    """What is promised from the running month on; 0 promises nothing."""

    posts_percent = percent_field("Least share of due WindowPoSts that land, without the tenant's misses.")
    wins_percent = percent_field("The same of wins that become blocks.")
    console_percent = percent_field("Least share of the time on record that API and gateway are up.")
    landing_s = serializers.ChoiceField(choices=(0, *LANDING_EDGES_S))


class TargetsOutput(serializers.Serializer[Any]):
    """What is promised."""

    from_month = serializers.SerializerMethodField(help_text="`2026-11`, in UTC")
    posts_percent = serializers.DecimalField(max_digits=5, decimal_places=2)
    wins_percent = serializers.DecimalField(max_digits=5, decimal_places=2)
    console_percent = serializers.DecimalField(max_digits=5, decimal_places=2)
    landing_s = serializers.IntegerField()

    def get_from_month(self, row: Any) -> str:
        """Write the month."""
        return f"{row.from_month:%Y-%m}"


def month_body(one: ServiceMonth, targets: ServiceTargets | None) -> dict[str, Any]:
    """Return a month as JSON."""
    return {
        "targets": dict(targets_results(targets, one)),
        "tenant": one.tenant,
        "month": f"{one.month:%Y-%m}",
        "counted_until": one.until,
        **{name: getattr(one, name) for name in COUNTED},
        "landing_p95_s": one.landing_s,
        "console_percent_up": one.console_percent,
    }


class ServiceLevelsView(PoolView):
    """`/service-levels`."""

    filters = ("tenant",)

    @extend_schema(
        operation_id="service_levels_list", parameters=[TENANT], responses=ServiceMonthOutput(many=True)
    )
    def get(self, request: Request) -> Response:
        """List the months that are counted for a tenant, newest first: 13 at most."""
        wanted = request.query_params.get("tenant") or self.principal.tenant_name
        tenant = tenant_by_name(wanted, field="tenant", of=tenants_visible(self.principal))
        months = service_months(service_days_visible(self.principal).filter(tenant=tenant))
        promised = targets_of(tenant)
        bodies = [month_body(one, targets_in(promised, one.month)) for one in months]
        return Response(ServiceMonthOutput(bodies, many=True).data)


class ServiceTargetsView(PoolView):
    """`/tenants/{name}/service-targets`."""

    operator_only = True
    perms = {**PoolView.perms, "PUT": "admin"}
    whole_methods = ("PUT",)

    @extend_schema(request=TargetsInput, responses=TargetsOutput)
    def put(self, request: Request, name: str) -> Response:
        """Promise a tenant service levels, from the running month on."""
        data = checked(TargetsInput(data=request.data))
        tenant = tenant_by_name(name)
        row = service_targets_set(principal=self.principal, tenant=tenant, now=clock.now(), **data)
        return Response(TargetsOutput(row).data)


urlpatterns = [
    path("tenants/<str:name>/service-targets", ServiceTargetsView.as_view(), name="api-service-targets"),
    path("service-levels", ServiceLevelsView.as_view(), name="api-service-levels"),
]
