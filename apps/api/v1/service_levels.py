"""What the pool did for a tenant, by month, over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.views import PoolView
from apps.checks.selectors.service_levels import COUNTED, service_days_visible, service_months
from apps.core.errors import NotFound
from apps.users.selectors.tenants import tenant_find

if TYPE_CHECKING:
    from apps.checks.selectors.service_levels import ServiceMonth

TENANT = OpenApiParameter("tenant", str, description="name; the caller's own if omitted")


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
    console_percent_up = serializers.FloatField(
        allow_null=True, help_text="How much of the month on record console, API and gateway were up."
    )


def month_body(one: ServiceMonth) -> dict[str, Any]:
    """Write a month."""
    return {
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
        tenant = tenant_find(request.query_params.get("tenant") or self.principal.tenant_name)
        if tenant is None or not (self.principal.is_operator or tenant.pk == self.principal.own_id):
            raise NotFound(gettext("there is no such tenant"))
        months = service_months(service_days_visible(self.principal).filter(tenant=tenant))
        return Response(ServiceMonthOutput([month_body(one) for one in months], many=True).data)


urlpatterns = [
    path("service-levels", ServiceLevelsView.as_view(), name="api-service-levels"),
]
