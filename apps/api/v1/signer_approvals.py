"""Approvals over REST: which tenant's signers may serve which account."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import Pages, page_of
from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView
from apps.gateway.services.connection_test import account_approval_decide
from apps.users.selectors.approvals import approvals_visible
from apps.users.selectors.tenants import tenant_by_name


class SignerApprovalOutput(serializers.Serializer[Any]):
    """A signer's request to serve an account, granted or pending."""

    signer = serializers.CharField(source="signer_tenant.name")
    account = serializers.CharField(source="account.name")
    created_at = serializers.DateTimeField()
    approved_at = serializers.DateTimeField(allow_null=True)


class SignerApprovalInput(InputSerializer):
    """A decision on an approval request."""

    signer = serializers.CharField(max_length=50)
    account = serializers.CharField(max_length=50, required=False)
    approve = serializers.BooleanField()


class SignerApprovalsView(PoolView):
    """Which tenants' signers may serve which accounts."""

    pagination_class = Pages
    filters = ("limit", "offset")

    perms = {**PoolView.perms, "POST": "admin"}
    confirmed_methods = ("POST",)
    whole_methods = ("POST",)

    @extend_schema(responses=SignerApprovalOutput(many=True))
    def get(self, request: Request) -> Response:
        """List approval requests, pending and granted."""
        return page_of(self, request, approvals_visible(self.principal), SignerApprovalOutput)

    @extend_schema(request=SignerApprovalInput, responses=SignerApprovalOutput)
    def post(self, request: Request) -> Response:
        """Approve that another tenant's signers serve this account, or revoke that."""
        data = checked(SignerApprovalInput(data=request.data))
        row = account_approval_decide(
            principal=self.principal,
            signer_tenant=tenant_by_name(data["signer"], field="signer"),
            account=tenant_by_name(data.get("account", self.principal.tenant_name), field="account"),
            is_approved=data["approve"],
        )
        return Response(SignerApprovalOutput(row).data)


urlpatterns = [
    path("signer-approvals", SignerApprovalsView.as_view(), name="api-signer-approvals"),
]
