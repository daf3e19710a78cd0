"""Gas guards over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import AmountField, InputSerializer, MethodField, method_number
from apps.api.v1.views import PoolView, created
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.messages.selectors.gas_guards import guard_get, guards_spent, guards_visible
from apps.messages.services.guards import guard_remove, guard_set
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_or_all

if TYPE_CHECKING:
    from apps.messages.models import GasGuard


class GuardInput(InputSerializer):
    """A gas guard; amounts in attoFIL as text, zero means no limit."""

    tenant = serializers.CharField(required=False, allow_null=True, max_length=100)
    kind = serializers.CharField(required=False, allow_blank=True, max_length=32)
    actor = serializers.CharField(required=False, allow_blank=True, max_length=32)
    method = MethodField(required=False, allow_null=True)
    max_fee = AmountField(required=False)
    daily_budget = AmountField(required=False)
    hold_base_fee = AmountField(required=False)
    hold_epochs = serializers.IntegerField(required=False, min_value=0, max_value=1 << 30)


class GuardChange(InputSerializer):
    """New limits of a guard; omitted fields stay unchanged."""

    max_fee = AmountField(required=False)
    daily_budget = AmountField(required=False)
    hold_base_fee = AmountField(required=False)
    hold_epochs = serializers.IntegerField(required=False, min_value=0, max_value=1 << 30)


class GuardOutput(serializers.Serializer[Any]):
    """One guard with its spending of the day."""

    uuid = serializers.UUIDField()
    tenant = serializers.CharField(allow_null=True)
    kind = serializers.CharField()
    actor = serializers.CharField()
    method = serializers.IntegerField(allow_null=True)
    max_fee = serializers.CharField()
    daily_budget = serializers.CharField()
    hold_base_fee = serializers.CharField()
    hold_epochs = serializers.IntegerField()
    spent_today = serializers.CharField(allow_null=True)


class GuardPage(serializers.Serializer[Any]):
    """All guards."""

    results = GuardOutput(many=True)


def guard_bodies(viewer: Principal, rows: list[GasGuard]) -> list[dict[str, Any]]:
    """Lay guards out; what others spent of everybody's budget is not a tenant's to know."""
    head = head_current()
    base_fee = 0 if head is None else int(head.base_fee)
    own = [row for row in rows if viewer.is_operator or row.tenant_id == viewer.own_id]
    spent = guards_spent(own, base_fee=base_fee, now=clock.now())
    return [
        {
            "uuid": str(row.uuid),
            "tenant": row.tenant.name if row.tenant else None,
            "kind": row.kind,
            "actor": row.actor,
            "method": row.method,
            "max_fee": str(row.max_fee),
            "daily_budget": str(row.daily_budget),
            "hold_base_fee": str(row.hold_base_fee),
            "hold_epochs": row.hold_epochs,
            "spent_today": str(spent[row.pk]) if row.pk in spent else None,
        }
        for row in rows
    ]


class GuardsView(PoolView):
    """`/gas/guards`: limits on what gas may cost."""

    filters = ()

    perms = {**PoolView.perms, "POST": "sign"}
    whole_methods = ("POST",)

    @extend_schema(responses=GuardPage)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """List the guards that apply to the caller's messages."""
        return Response({"results": guard_bodies(self.principal, list(guards_visible(self.principal)))})

    @extend_schema(request=GuardInput, responses={201: GuardOutput})
    def post(self, request: Request) -> Response:
        """Create a guard."""
        body = GuardInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = dict(body.validated_data)
        tenant = tenant_or_all(self.principal, data.pop("tenant", None))
        data["method"] = method_number(data)
        row = guard_set(principal=self.principal, tenant=tenant, **data)
        return created(guard_bodies(self.principal, [row])[0])


class GuardView(PoolView):
    """`/gas/guards/{uuid}`: one guard."""

    perms = {**PoolView.perms, "PATCH": "sign", "DELETE": "sign"}
    whole_methods = ("PATCH", "DELETE")

    @extend_schema(request=GuardChange, responses=GuardOutput)
    def patch(self, request: Request, uuid: str) -> Response:
        """Change its limits."""
        body = GuardChange(data=request.data)
        body.is_valid(raise_exception=True)
        guard = guard_get(self.principal, uuid)
        row = guard_set(principal=self.principal, guard=guard, **body.validated_data)
        return Response(guard_bodies(self.principal, [row])[0])

    @extend_schema(responses={204: None})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """Remove the guard."""
        guard_remove(principal=self.principal, guard=guard_get(self.principal, uuid))
        return Response(status=status.HTTP_204_NO_CONTENT)


urlpatterns = [
    path("gas/guards", GuardsView.as_view(), name="api-gas-guards"),
    path("gas/guards/<uuid:uuid>", GuardView.as_view(), name="api-gas-guard"),
]
