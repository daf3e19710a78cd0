"""Tenants over REST."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import Pages, page_of
from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.users.selectors.tenants import TenantFilters, tenant_by_name, tenants_visible
from apps.users.services.tenant_management import tenant_add, tenant_edit


class TenantOutput(serializers.Serializer[Any]):
    """One tenant."""

    name = serializers.CharField()
    comment = serializers.CharField()
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class TenantInput(InputSerializer):
    """A new tenant."""

    name = serializers.RegexField(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=50)
    comment = serializers.CharField(max_length=255, allow_blank=True, default="")


class TenantChange(InputSerializer):
    """Changes to a tenant."""

    comment = serializers.CharField(max_length=255, allow_blank=True, required=False)
    enabled = serializers.BooleanField(required=False)


class TenantsView(ListView):
    """Tenants: the operator's all, a tenant's its own."""

    pagination_class = Pages
    noun = TenantFilters

    perms = {**PoolView.perms, "POST": "admin"}
    operator_methods = ("POST",)
    confirmed_methods = ("POST",)
    whole_methods = ("POST",)

    @extend_schema(parameters=parameters_of(TenantFilters), responses=TenantOutput(many=True))
    def get(self, request: Request) -> Response:
        """List tenants."""
        return page_of(self, request, self.narrowed(tenants_visible(self.principal)), TenantOutput)

    @extend_schema(request=TenantInput, responses={201: TenantOutput})
    def post(self, request: Request) -> Response:
        """Create a tenant."""
        data = checked(TenantInput(data=request.data))
        return created(TenantOutput(tenant_add(principal=self.principal, **data)).data)


class TenantView(PoolView):
    """One tenant."""

    operator_only = True
    perms = {**PoolView.perms, "PATCH": "admin"}
    confirmed_methods = ("PATCH",)
    whole_methods = ("PATCH",)

    @extend_schema(request=TenantChange, responses=TenantOutput)
    def patch(self, request: Request, name: str) -> Response:
        """Change its comment, or disable or enable it."""
        data = checked(TenantChange(data=request.data))
        tenant = tenant_edit(principal=self.principal, tenant=tenant_by_name(name), **data)
        return Response(TenantOutput(tenant).data)


urlpatterns = [
    path("tenants", TenantsView.as_view(), name="api-tenants"),
    path("tenants/<str:name>", TenantView.as_view(), name="api-tenant"),
]
