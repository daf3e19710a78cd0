"""Roles of groups over REST: a role for every host in a group."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.role_output import RoleGroupOutput, role_group_body
from apps.api.v1.roles import RoleView
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import created
from apps.core import clock
from apps.miners.selectors.miners import miner_get
from apps.miners.states import RoleKind
from apps.sectors.services.roles.groups import GroupGrant, group_role_assign, group_role_remove


class RoleGroupInput(InputSerializer):
    """A role of all hosts in a group."""

    group = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(choices=RoleKind.values)


class RoleGroupGiveInput(RoleGroupInput):
    """A role to assign to all hosts in a group, with their standby priority."""

    priority = serializers.IntegerField(default=0, min_value=-1_000, max_value=1_000)


class RoleGroupsView(RoleView):
    """`/miners/{address}/role-groups`: a role for every host in a group."""

    @extend_schema(request=RoleGroupGiveInput, responses={201: RoleGroupOutput})
    def post(self, request: Request, address: str) -> Response:
        """Assign a role to a group: one of its hosts holds an exclusive role, the others stand by."""
        grant = GroupGrant(**self.body_read(request, RoleGroupGiveInput))
        miner = miner_get(self.principal, address)
        row = group_role_assign(miner, grant=grant, principal=self.principal, now=clock.now())
        return created(role_group_body(row))


class RoleGroupRemoveView(RoleView):
    """`/miners/{address}/role-groups:remove`: a role is taken from a group."""

    @extend_schema(request=RoleGroupInput, responses=RoleGroupOutput)
    def post(self, request: Request, address: str) -> Response:
        """Remove a group's role; hosts that have it themselves, or through another label, keep it."""
        data = self.body_read(request, RoleGroupInput)
        miner = miner_get(self.principal, address)
        row = group_role_remove(miner, **data, principal=self.principal, now=clock.now())
        return Response(role_group_body(row))


GROUPS = "miners/<str:address>/role-groups"
urlpatterns = [
    path(GROUPS, RoleGroupsView.as_view(), name="v1-miner-role-groups"),
    path(f"{GROUPS}:remove", RoleGroupRemoveView.as_view(), name="v1-miner-role-groups-remove"),
]
