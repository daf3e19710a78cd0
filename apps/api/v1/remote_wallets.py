"""Wallets that the pool connects to over REST: listed, added, switched off and on, removed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import CodeField, InputSerializer
from apps.api.v1.views import PoolView, created
from apps.users.selectors.tenants import tenant_resolve
from apps.wallets.selectors import remote_wallet_keys, remote_wallets
from apps.wallets.services.remote_wallets import (
    NAME_MAX,
    URL_MAX,
    remote_wallet_add,
    remote_wallet_remove,
    remote_wallet_set,
)

if TYPE_CHECKING:
    from apps.wallets.models import RemoteWallet


class RemoteWalletOutput(serializers.Serializer[Any]):
    """One remote wallet; its token is never shown."""

    uuid = serializers.UUIDField()
    name = serializers.CharField()
    tenant = serializers.CharField(source="tenant.name")
    url = serializers.CharField()
    is_enabled = serializers.BooleanField()
    keys = serializers.ListField(child=serializers.CharField(), help_text="Addresses that sign by it now.")
    answered_at = serializers.DateTimeField(allow_null=True, help_text="When it last listed its keys.")
    error = serializers.CharField(help_text="Why it does not serve; empty if it does.")
    error_code = CodeField(source="error")


class RemoteWalletInput(InputSerializer):
    """A wallet to connect to: a URL or multiaddress, also prefixed by its token as in lotus and venus."""

    name = serializers.CharField(max_length=NAME_MAX)
    url = serializers.CharField(max_length=URL_MAX)
    token = serializers.CharField(max_length=2000, default="", allow_blank=True)
    tenant = serializers.CharField(required=False, help_text="Whose keys it has; by default your own.")


class RemoteWalletChange(InputSerializer):
    """Switches the connection to a wallet on or off."""

    is_enabled = serializers.BooleanField()


def bodies_of(rows: Iterable[RemoteWallet]) -> list[dict[str, Any]]:
    """Return remote wallets as JSON."""
    found = list(rows)
    keys = remote_wallet_keys(found)
    for row in found:
        row.keys = keys.get(row.pk, [])  # type: ignore[attr-defined]  # for the serializer
    return [RemoteWalletOutput(row).data for row in found]


class RemoteWalletsView(PoolView):
    """`/remote-wallets`."""

    filters = ()
    perms = {**PoolView.perms, "POST": "admin"}
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)

    @extend_schema(responses=RemoteWalletOutput(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """List the wallets that the pool connects to."""
        return Response(bodies_of(remote_wallets(self.principal)))

    @extend_schema(request=RemoteWalletInput, responses={201: RemoteWalletOutput})
    def post(self, request: Request) -> Response:
        """Add a wallet; the pool connects to it within seconds, and its keys prove themselves."""
        body = RemoteWalletInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        name = data.get("tenant") or self.principal.tenant_name
        tenant = tenant_resolve(self.principal, name=name)
        row = remote_wallet_add(
            principal=self.principal, tenant=tenant, name=data["name"], url=data["url"], token=data["token"]
        )
        return created(bodies_of([row])[0])


class RemoteWalletView(PoolView):
    """`/remote-wallets/{uuid}`."""

    perms = {**PoolView.perms, "PATCH": "admin", "DELETE": "admin"}
    whole_methods = ("PATCH", "DELETE")
    confirmed_methods = ("PATCH", "DELETE")

    @extend_schema(request=RemoteWalletChange, responses=RemoteWalletOutput)
    def patch(self, request: Request, uuid: UUID) -> Response:
        """Switch a wallet off or on: while it is off, none of its keys signs by it."""
        body = RemoteWalletChange(data=request.data)
        body.is_valid(raise_exception=True)
        is_enabled = body.validated_data["is_enabled"]
        row = remote_wallet_set(principal=self.principal, uuid=uuid, is_enabled=is_enabled)
        return Response(bodies_of([row])[0])

    @extend_schema(responses={204: None})
    def delete(self, request: Request, uuid: UUID) -> Response:  # noqa: ARG002  # DRF's form
        """Delete a wallet and its token."""
        remote_wallet_remove(principal=self.principal, uuid=uuid)
        return Response(status=status.HTTP_204_NO_CONTENT)


urlpatterns = [
    path("remote-wallets", RemoteWalletsView.as_view(), name="remote-wallets"),
    path("remote-wallets/<uuid:uuid>", RemoteWalletView.as_view(), name="remote-wallet"),
]
