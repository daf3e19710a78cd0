"""Settings of hosts over REST: of one host, its group, and those that hosts share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.core.errors import NotAllowed
from apps.core.marked_texts import gettext
from apps.sectors.selectors.hosts import shared_settings_visible, worker_get
from apps.sectors.services.hosts.settings import (
    shared_settings_set,
    values_read,
    worker_group_set,
    worker_settings_resolve,
    worker_settings_set,
)
from apps.users.selectors.tenants import tenant_by_name

if TYPE_CHECKING:
    from apps.sectors.models import SharedSettings


class ValuesInput(InputSerializer):
    """Settings by key, such as `slots.PC1`, `sectors_max`, `sealing.max_retries`; null removes one."""

    values = serializers.DictField(
        child=serializers.CharField(allow_null=True, allow_blank=True, max_length=2_000)
    )


class SharedInput(ValuesInput):
    """Which hosts share them: a tenant's, or those of its group; without a tenant (operator only) all."""

    tenant = serializers.CharField(default="", allow_blank=True, max_length=100)
    group = serializers.CharField(default="", allow_blank=True, max_length=100)


class GroupInput(InputSerializer):
    """The group of a host; empty: none."""

    group = serializers.CharField(allow_blank=True, max_length=100)


class WantedOutput(serializers.Serializer[Any]):
    """Settings sent to the host, by level and key."""

    wanted = serializers.DictField(child=serializers.CharField())


class SharedOutput(serializers.Serializer[Any]):
    """Settings that several hosts share."""

    tenant = serializers.CharField(allow_null=True)
    group = serializers.CharField(allow_blank=True)
    values = serializers.DictField(child=serializers.JSONField())


class SharedList(serializers.Serializer[Any]):
    """Settings of the pool, of the caller's tenants and of their groups."""

    results = SharedOutput(many=True)


def shared_body(row: SharedSettings) -> dict[str, Any]:
    """Return settings that several hosts share, as JSON."""
    tenant = None if row.tenant is None else row.tenant.name
    return {"tenant": tenant, "group": row.group, "values": row.values}


class WorkerSettingsView(PoolView):
    """`/workers/{id}/settings`: settings of one host."""

    whole_methods = ("PUT",)

    @extend_schema(request=ValuesInput, responses=WantedOutput)
    def put(self, request: Request, uuid: str) -> Response:
        """Set some; the host applies them at its next heartbeat, without a restart."""
        body = ValuesInput(data=request.data)
        body.is_valid(raise_exception=True)
        worker = worker_get(self.principal, uuid)
        values = values_read(body.validated_data["values"], is_shared=False)
        worker_settings_set(worker, values=values, actor=self.principal.actor, by=self.principal)
        return Response({"wanted": worker_settings_resolve(worker_get(self.principal, uuid))})


class WorkerGroupView(PoolView):
    """`/workers/{id}/group`: the hosts that share settings with it, and have the roles of its group."""

    perms = {**PoolView.perms, "PUT": "sign"}
    whole_methods = ("PUT",)

    @extend_schema(request=GroupInput, responses=WantedOutput)
    def put(self, request: Request, uuid: str) -> Response:
        """Move a host into a group, or out of any."""
        body = GroupInput(data=request.data)
        body.is_valid(raise_exception=True)
        worker = worker_get(self.principal, uuid)
        group = body.validated_data["group"]
        worker_group_set(worker, group=group, actor=self.principal.actor, by=self.principal)
        return Response({"wanted": worker_settings_resolve(worker_get(self.principal, uuid))})


class SharedSettingsView(PoolView):
    """`/host-settings`: settings of the pool, of tenants and of their groups."""

    whole_methods = ("PUT",)
    filters = ()

    @extend_schema(responses=SharedList)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """List shared settings; the pool's are visible to everybody, as they apply to every host."""
        return Response({"results": [shared_body(row) for row in shared_settings_visible(self.principal)]})

    @extend_schema(
        request=SharedInput,
        responses=SharedOutput,
    )
    def put(self, request: Request) -> Response:
        """Set some for a tenant's hosts, a group, or (operator, without a tenant) for all."""
        body = SharedInput(data=request.data)
        body.is_valid(raise_exception=True)
        data, tenant = body.validated_data, None
        if data["tenant"] or not self.principal.is_operator:
            tenant = tenant_by_name(data["tenant"] or self.principal.tenant_name, field="tenant")
            if not self.principal.is_operator and tenant.pk != self.principal.tenant_id:
                raise NotAllowed(gettext("only the operator can set those of another tenant"), field="tenant")
        elif data["group"]:
            raise NotAllowed(gettext("a group belongs to a tenant: specify it"), field="tenant")
        row = shared_settings_set(
            values_read(data["values"]),
            tenant=tenant,
            group=data["group"],
            actor=self.principal.actor,
            by=self.principal,
        )
        return Response(shared_body(row))


urlpatterns = [
    path("workers/<str:uuid>/settings", WorkerSettingsView.as_view(), name="v1-worker-settings"),
    path("workers/<str:uuid>/group", WorkerGroupView.as_view(), name="v1-worker-group"),
    path("host-settings", SharedSettingsView.as_view(), name="v1-host-settings"),
]
