"""Rules that make messages wait for a second person, over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.message_input import zero_amount
from apps.api.v1.serializers import AmountField, InputSerializer, MethodField, checked, method_number
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.messages.selectors.approval_choice import approval_rule_describe
from apps.messages.selectors.approvals import approval_rule_get, approval_rules_visible
from apps.messages.services.approval_rules import (
    approval_rule_add,
    approval_rule_removal_cancel,
    approval_rule_removal_request,
    approval_rule_remove,
)
from apps.users.selectors.tenants import tenant_or_all

if TYPE_CHECKING:
    from apps.messages.models import ApprovalRule


class ApprovalRuleInput(InputSerializer):
    """Which messages wait: all that fit everything that is named."""

    tenant = serializers.CharField(required=False, allow_null=True, max_length=100)
    actor = serializers.CharField(default="", allow_blank=True, max_length=32)
    method = MethodField(default=None, allow_null=True)
    above = AmountField(default=zero_amount)


class ApprovalRuleOutput(serializers.Serializer[Any]):
    """One rule; its removal waits for a second person while `removal_by` names the first."""

    uuid = serializers.UUIDField()
    tenant = serializers.CharField(allow_null=True)
    actor = serializers.CharField()
    method = serializers.IntegerField(allow_null=True)
    above = serializers.CharField(help_text="attoFIL; 0: any amount")
    words = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    removal_by = serializers.CharField()
    removal_at = serializers.DateTimeField(allow_null=True)


class ApprovalRulePage(serializers.Serializer[Any]):
    """All rules."""

    results = ApprovalRuleOutput(many=True)


def rule_body(row: ApprovalRule) -> dict[str, Any]:
    """Return one rule as JSON."""
    return {
        "uuid": str(row.uuid),
        "tenant": row.tenant.name if row.tenant else None,
        "actor": row.actor,
        "method": row.method,
        "above": str(row.above),
        "words": approval_rule_describe(row),
        "created_by": row.created_by,
        "created_at": row.created_at,
        "removal_by": row.removal_by,
        "removal_at": row.removal_at,
    }


class ApprovalRulesView(PoolView):
    """`/approval-rules`: which messages wait for a second person."""

    filters = ()

    perms = {**PoolView.perms, "POST": "admin"}
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)

    @extend_schema(operation_id="v1_approval_rules_list", responses=ApprovalRulePage)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """List the rules that hold for the caller's messages."""
        return Response({"results": [rule_body(row) for row in approval_rules_visible(self.principal)]})

    @extend_schema(
        operation_id="v1_approval_rules_add", request=ApprovalRuleInput, responses={201: ApprovalRuleOutput}
    )
    def post(self, request: Request) -> Response:
        """Add a rule; it holds at once for every message without a nonce."""
        data = checked(ApprovalRuleInput(data=request.data))
        tenant = tenant_or_all(self.principal, data.pop("tenant", None))
        data["method"] = method_number(data)
        row = approval_rule_add(principal=self.principal, tenant=tenant, now=clock.now(), **data)
        return created(rule_body(row))


class ApprovalRuleView(PoolView):
    """`/approval-rules/{uuid}`: one rule."""

    perms = {**PoolView.perms, "DELETE": "admin"}
    whole_methods = ("DELETE",)
    confirmed_methods = ("DELETE",)

    @extend_schema(operation_id="v1_approval_rule", responses=ApprovalRuleOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """Return one rule."""
        return Response(rule_body(approval_rule_get(self.principal, uuid)))

    @extend_schema(operation_id="v1_approval_rule_remove", responses={204: None})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """Remove a rule whose removal another person has asked for; for a person's session only."""
        approval_rule_remove(principal=self.principal, rule=approval_rule_get(self.principal, uuid))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ApprovalRuleRemovalView(PoolView):
    """`/approval-rules/{uuid}/removal`: the first of the two people who remove a rule."""

    perms = {**PoolView.perms, "POST": "admin", "DELETE": "admin"}
    whole_methods = ("POST", "DELETE")
    confirmed_methods = ("POST", "DELETE")
    bodiless_methods = ("POST", "DELETE")

    @extend_schema(operation_id="v1_approval_rule_removal", request=None, responses=ApprovalRuleOutput)
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """Request a rule's removal, which another person must agree to; for a person's session only."""
        rule = approval_rule_get(self.principal, uuid)
        row = approval_rule_removal_request(principal=self.principal, rule=rule, now=clock.now())
        return Response(rule_body(row))

    @extend_schema(operation_id="v1_approval_rule_removal_cancel", responses={204: None})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """Turn down a rule's removal, one's own request too; for a person's session only."""
        approval_rule_removal_cancel(principal=self.principal, rule=approval_rule_get(self.principal, uuid))
        return Response(status=status.HTTP_204_NO_CONTENT)


urlpatterns = [
    path("approval-rules", ApprovalRulesView.as_view(), name="api-approval-rules"),
    path("approval-rules/<uuid:uuid>", ApprovalRuleView.as_view(), name="api-approval-rule"),
    path(
        "approval-rules/<uuid:uuid>/removal",
        ApprovalRuleRemovalView.as_view(),
        name="api-approval-rule-removal",
    ),
]
