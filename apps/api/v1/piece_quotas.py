"""The quota of a tenant's pieces over REST."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView
from apps.pieces.selectors import storage_use
from apps.pieces.services.quotas import LIMIT_MAX, piece_quota_set
from apps.users.selectors.tenants import tenant_by_name, tenants_visible


class PieceQuotaOutput(serializers.Serializer[Any]):
    """How many bytes a tenant's pieces take and may take."""

    used_bytes = serializers.IntegerField(help_text="of all pieces whose bytes are stored or are to come")
    limit_bytes = serializers.IntegerField(help_text="0: no limit")
    is_default = serializers.BooleanField(help_text="whether it is the pool's `PIECE_QUOTA_BYTES`")


class PieceQuotaInput(InputSerializer):
    """The tenant's limit."""

    limit_bytes = serializers.IntegerField(
        min_value=0, max_value=LIMIT_MAX, allow_null=True, help_text="0: no limit; null: the pool's default"
    )


class PieceQuotaView(PoolView):
    """`/tenants/{name}/piece-quota`: how many bytes a tenant's pieces may take."""

    filters = ()
    perms = {**PoolView.perms, "PUT": "admin"}
    operator_methods = ("PUT",)
    confirmed_methods = ("PUT",)
    whole_methods = ("PUT",)

    @extend_schema(responses=PieceQuotaOutput)
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the limit and what is used of it."""
        tenant = tenant_by_name(name, of=tenants_visible(self.principal))
        return Response(asdict(storage_use(tenant.pk)))

    @extend_schema(request=PieceQuotaInput, responses=PieceQuotaOutput)
    def put(self, request: Request, name: str) -> Response:
        """Set the limit; what is stored beyond it stays."""
        data = checked(PieceQuotaInput(data=request.data))
        tenant = tenant_by_name(name)
        return Response(asdict(piece_quota_set(tenant, limit_bytes=data["limit_bytes"], by=self.principal)))


urlpatterns = [path("tenants/<str:name>/piece-quota", PieceQuotaView.as_view(), name="v1-piece-quota")]
