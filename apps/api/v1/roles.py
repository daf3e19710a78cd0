"""Roles of hosts over REST: who does what for a miner, given, taken, failed over, combined."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.idempotency import caller_key
from apps.api.v1.role_output import RoleList, RoleOutput, role_body, roles_body
from apps.api.v1.sector_output import SectorOutput, sectors_body
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.chain.node.client import chain_client
from apps.core import clock
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.miners.services.role_leases import role_renew
from apps.miners.services.roles import RoleGrant
from apps.miners.states import EXCLUSIVE_ROLES, RoleKind
from apps.sectors.selectors.sectors import sectors_visible, with_batches
from apps.sectors.services.roles.assignments import (
    host_role_assign,
    host_role_fail_over,
    host_role_remove,
    host_roles_combine,
)
from apps.sectors.services.roles.groups import group_roles_separate
from apps.sectors.services.roles.trial import role_test


class RoleGiveInput(InputSerializer):
    """A role to assign; of several hosts on standby, the one with the highest priority takes over."""

    host = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(choices=RoleKind.values)
    priority = serializers.IntegerField(default=0, min_value=-1_000, max_value=1_000)


class RoleInput(InputSerializer):
    """One host's role."""

    host = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(choices=RoleKind.values)


class FailOverInput(InputSerializer):
    """Which role, and to which host; by default the standby with the highest priority."""

    kind = serializers.ChoiceField(choices=EXCLUSIVE_ROLES)
    host = serializers.CharField(max_length=100, default="", allow_blank=True)


class HostInput(InputSerializer):
    """A host."""

    host = serializers.CharField(max_length=100)


class RenewInput(RoleInput):
    """A role holder with the token of its lease."""

    token = serializers.IntegerField(min_value=0)


class RoleView(PoolView):
    """What all of these routes share."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    def body_read(self, request: Request, serializer: type[InputSerializer]) -> dict[str, Any]:
        """Read the body.  Raises ValidationError."""
        body = serializer(data=request.data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)


class RolesView(RoleView):
    """`/miners/{address}/roles`: the roles of a miner's hosts, and one more."""

    filters = ()

    @extend_schema(responses=RoleList)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List the roles."""
        return Response(roles_body(miner_get(self.principal, address)))

    @extend_schema(request=RoleGiveInput, responses={201: RoleOutput})
    def post(self, request: Request, address: str) -> Response:
        """Assign a role to a host: hosts without it no longer do this work for the miner."""
        data = self.body_read(request, RoleGiveInput)
        miner = miner_get(self.principal, address)
        role = host_role_assign(miner, grant=RoleGrant(**data), principal=self.principal, now=clock.now())
        return created(role_body(role))


class RoleRemoveView(RoleView):
    """`/miners/{address}/roles:remove`: a role is taken from a host."""

    @extend_schema(request=RoleInput, responses=RoleOutput)
    def post(self, request: Request, address: str) -> Response:
        """Remove a host's role; a standby takes over an exclusive one."""
        data = self.body_read(request, RoleInput)
        miner = miner_get(self.principal, address)
        return Response(role_body(host_role_remove(miner, **data, principal=self.principal, now=clock.now())))


class RoleFailOverView(RoleView):
    """`/miners/{address}/roles:fail-over`: an exclusive role goes to a standby."""

    @extend_schema(request=FailOverInput, responses=RoleOutput)
    def post(self, request: Request, address: str) -> Response:
        """Fail over at once; further reports of the old holder are rejected."""
        data = self.body_read(request, FailOverInput)
        miner = miner_get(self.principal, address)
        role = host_role_fail_over(
            miner, kind=data["kind"], to_host=data["host"], principal=self.principal, now=clock.now()
        )
        return Response(role_body(role))


class RolesCombineView(RoleView):
    """`/miners/{address}/roles:combine`: one host does everything."""

    @extend_schema(request=HostInput, responses=RoleList)
    def post(self, request: Request, address: str) -> Response:
        """Combine all roles on one host, provided that no other host has a task in progress."""
        data = self.body_read(request, HostInput)
        miner = miner_get(self.principal, address)
        host_roles_combine(miner, host=data["host"], principal=self.principal, now=clock.now())
        return Response(roles_body(miner))


class RolesSeparateView(RoleView):
    """`/miners/{address}/roles:separate`: the hosts get back what they had."""

    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses=RoleList)
    def post(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Undo a combination, provided that no task is in progress."""
        miner = miner_get(self.principal, address)
        group_roles_separate(miner, principal=self.principal, now=clock.now())
        return Response(roles_body(miner))


class RoleRenewView(RoleView):
    """`/miners/{address}/roles:renew`: a holder that is no worker of ours goes on."""

    @extend_schema(request=RenewInput, responses=RoleOutput)
    def post(self, request: Request, address: str) -> Response:
        """Extend a lease by 30 s; refused if another host holds it, which is named."""
        data = self.body_read(request, RenewInput)
        return Response(role_body(role_renew(miner_get(self.principal, address), **data, now=clock.now())))


class RoleTestView(RoleView):
    """`/miners/{address}/roles:test`: one sector for a host, to try its sealing."""

    asks_network = True

    @extend_schema(request=HostInput, responses={201: SectorOutput})
    def post(self, request: Request, address: str) -> Response:
        """Pledge one sector to be sealed by this host; its number must be the miner's highest."""
        data = self.body_read(request, HostInput)
        miner = miner_get(self.principal, address)
        allocated = numbers_allocated(chain_client(), miner.address) if miner.address else []
        sector = role_test(
            miner,
            host=data["host"],
            allocated=allocated,
            principal=self.principal,
            now=clock.now(),
            key=caller_key(request._request),
        )
        [body] = sectors_body(list(with_batches(sectors_visible(self.principal)).filter(pk=sector.pk)))
        return created(body)


ROLES = "miners/<str:address>/roles"
urlpatterns = [
    path(ROLES, RolesView.as_view(), name="v1-miner-roles"),
    path(f"{ROLES}:remove", RoleRemoveView.as_view(), name="v1-miner-role-remove"),
    path(f"{ROLES}:fail-over", RoleFailOverView.as_view(), name="v1-miner-role-fail-over"),
    path(f"{ROLES}:combine", RolesCombineView.as_view(), name="v1-miner-roles-combine"),
    path(f"{ROLES}:separate", RolesSeparateView.as_view(), name="v1-miner-roles-separate"),
    path(f"{ROLES}:renew", RoleRenewView.as_view(), name="v1-miner-role-renew"),
    path(f"{ROLES}:test", RoleTestView.as_view(), name="v1-miner-role-test"),
]
