"""Rules of automatic fee bumps over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import AmountField, InputSerializer
from apps.api.v1.views import PoolView
from apps.messages.selectors.gas_guards import auto_bump_rules
from apps.messages.services.guards import auto_bump_set
from apps.users.selectors.tenants import tenant_chosen

if TYPE_CHECKING:
    from apps.messages.models import AutoBumpRule


class AutoBumpInput(InputSerializer):
    """When a tenant's proofs raise their fees."""

    tenant = serializers.CharField(required=False, max_length=100)
    is_on = serializers.BooleanField(default=True)
    within_epochs = serializers.IntegerField(min_value=1, max_value=(1 << 30) - 1)
    every_epochs = serializers.IntegerField(min_value=1, max_value=(1 << 30) - 1)
    max_fee = AmountField(required=False)


class AutoBumpPage(serializers.Serializer[Any]):
    """All rules."""

    results = AutoBumpInput(many=True)


class AutoBumpView(PoolView):
    """`/gas/auto-bump`: when proofs pay more because their deadline is near."""

    filters = ()

    perms = {**PoolView.perms, "PUT": "sign"}
    whole_methods = ("PUT",)

    @extend_schema(responses=AutoBumpPage)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """List the tenants' rules."""
        return Response({"results": [_auto_bump_body(row) for row in auto_bump_rules(self.principal)]})

    @extend_schema(request=AutoBumpInput, responses=AutoBumpInput)
    def put(self, request: Request) -> Response:
        """Set a tenant's rule."""
        body = AutoBumpInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = dict(body.validated_data)
        tenant = tenant_chosen(self.principal, data.pop("tenant", None))
        return Response(_auto_bump_body(auto_bump_set(principal=self.principal, tenant=tenant, **data)))


def _auto_bump_body(row: AutoBumpRule) -> dict[str, Any]:
    return {
        "tenant": row.tenant.name,
        "is_on": row.is_on,
        "within_epochs": row.within_epochs,
        "every_epochs": row.every_epochs,
        "max_fee": str(row.max_fee),
    }


urlpatterns = [
    path("gas/auto-bump", AutoBumpView.as_view(), name="api-gas-auto-bump"),
]
