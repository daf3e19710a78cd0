"""Roles and their groups as REST writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from apps.api.v1.serializers import CODE_HELP
from apps.core import clock
from apps.core.reasons import code_of
from apps.miners.selectors.roles import role_groups_of, role_is_heard, roles_of
from apps.miners.states import RoleKind, RoleState

if TYPE_CHECKING:
    from apps.miners.models import Miner, Role, RoleGroup


class RoleOutput(serializers.Serializer[Any]):
    """One host's role; `lease_until` is set if it is exclusive and held."""

    host = serializers.CharField()
    group = serializers.CharField(
        help_text="label through which the host has it; empty: assigned to the host itself"
    )
    kind = serializers.ChoiceField(choices=RoleKind.values)
    state = serializers.ChoiceField(choices=RoleState.values)
    is_exclusive = serializers.BooleanField()
    priority = serializers.IntegerField()
    since = serializers.DateTimeField()
    lease_until = serializers.DateTimeField(allow_null=True)
    token = serializers.IntegerField()
    is_heard = serializers.BooleanField()
    heard_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField()
    note_code = serializers.CharField(help_text=CODE_HELP)


class RoleGroupOutput(serializers.Serializer[Any]):
    """A role of all hosts in a group."""

    group = serializers.CharField()
    kind = serializers.ChoiceField(choices=RoleKind.values)
    priority = serializers.IntegerField()


class RoleList(serializers.Serializer[Any]):
    """All roles of a miner by host; if there are none, every host of its tenant works for it."""

    results = RoleOutput(many=True)
    groups = RoleGroupOutput(many=True)


def role_body(row: Role) -> dict[str, Any]:
    """Return one role as JSON."""
    return {
        "host": row.host,
        "group": row.group,
        "kind": row.kind,
        "state": row.state,
        "is_exclusive": row.is_exclusive,
        "priority": row.priority,
        "since": row.since,
        "lease_until": row.lease_until,
        "token": row.token,
        "is_heard": role_is_heard(row, now=clock.now()),
        "heard_at": row.heard_at,
        "note": row.note,
        "note_code": code_of(row.note),
    }


def roles_body(miner: Miner) -> dict[str, Any]:
    """Return the roles of a miner's hosts, and those that groups have, as JSON."""
    groups = [role_group_body(row) for row in role_groups_of(miner)]
    return {"results": [role_body(row) for row in roles_of(miner)], "groups": groups}


def role_group_body(row: RoleGroup) -> dict[str, Any]:
    """Return the role of a group as JSON."""
    return {"group": row.group, "kind": row.kind, "priority": row.priority}
