"""`/api/v1/`: the caller, and the addresses that a GET can read."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.views import PoolView
from poolsite.command.acts import ROOT, acts_read


class IndexOutput(serializers.Serializer[Any]):
    """The caller as the pool knows it, and addresses to continue with."""

    actor = serializers.CharField(help_text="as the audit log names it")
    tenant = serializers.CharField()
    level = serializers.CharField()
    is_operator = serializers.BooleanField()
    document = serializers.CharField(help_text="the OpenAPI document")
    docs = serializers.CharField(help_text="the same for people")
    resources = serializers.DictField(child=serializers.CharField())


@cache
def resources() -> dict[str, str]:
    """Return the routes that a GET without parameters reads, by name."""
    found = {act.path: ROOT + act.path for act in acts_read() if act.method == "GET" and not act.arguments}
    return dict(sorted((path, address) for path, address in found.items() if path))


class IndexView(PoolView):
    """The entry point of REST."""

    @extend_schema(responses=IndexOutput)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """Show who calls, and what there is to read."""
        principal = self.principal
        return Response(
            {
                "actor": principal.actor,
                "tenant": principal.tenant_name,
                "level": principal.perm,
                "is_operator": principal.is_operator,
                "document": "/api/schema/",
                "docs": "/api/docs/",
                "resources": resources(),
            }
        )


urlpatterns = [path("", IndexView.as_view(), name="api-index")]
