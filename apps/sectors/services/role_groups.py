"""Roles of groups: every host with the label has them; of an exclusive one the lease stays in the group.

A group's role is a row of its own; each of its hosts has a `Role` that names the group, so leases, fencing
and fail-over are those of hosts.  Hosts come and go with their label (`Worker.group`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import transaction

from apps.core.errors import BadValue
from apps.miners.errors import MinerNotReady, RolesNotCombined, RoleUnknown
from apps.miners.models import Miner, Role, RoleGroup
from apps.miners.services.roles import RoleGrant, publish_roles, role_give, role_remove, roles_lock
from apps.miners.states import MinerState, RoleKind, RoleState
from apps.sectors.host_models import Worker
from apps.sectors.host_selectors import worker_machine, workers_of_host
from apps.sectors.services.roles import host_roles_separate, role_heard_at, role_jobs_end, roles_begin
from apps.users.services.audit import audit_record

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from apps.users.principals import Principal

GROUP_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupGrant:
    """What the hosts of a group are to do for a miner."""

    group: str
    kind: str
    priority: int = 0

    def __post_init__(self) -> None:
        if self.kind not in RoleKind:
            raise BadValue(f"must be one of {', '.join(RoleKind.values)}", field="kind")
        if not 0 < len(self.group) <= GROUP_MAX or not self.group.isprintable():
            raise BadValue(f"must have 1 to {GROUP_MAX} characters", field="group")


def group_hosts(tenant_id: int, group: str) -> list[str]:
    """Return the machines of a tenant with a worker that has this label."""
    workers = Worker.objects.filter(tenant_id=tenant_id, group=group, retired_at=None)
    return sorted({worker_machine(worker) for worker in workers})


def groups_of(miner: Miner) -> list[str]:
    """Return the labels that a tenant's workers have."""
    rows = Worker.objects.filter(tenant_id=miner.tenant_id, retired_at=None).exclude(group="")
    return sorted(set(rows.values_list("group", flat=True)))


@transaction.atomic
def group_role_give(miner: Miner, grant: GroupGrant, *, principal: Principal, now: datetime) -> RoleGroup:
    """Give a group a role: its hosts have it now, those that join it later then.

    Raises NotAllowed, MinerNotReady; RolesNotCombined while one host does everything.
    """
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(f"{miner} does not exist on the chain yet", field="miner")
    roles_begin(miner, principal, now=now)
    rows = _separate_require(roles_lock(miner))
    row, _ = RoleGroup.objects.update_or_create(
        miner=miner, group=grant.group, kind=grant.kind, defaults={"priority": grant.priority}
    )
    own = {role.host for role in rows if _is_given(role) and role.kind == grant.kind and not role.group}
    for host in group_hosts(miner.tenant_id, grant.group):
        if host not in own:
            _join(row, host, now=now)
    _audit(principal, "miner.role-give", row)
    publish_roles(miner)
    return row


@transaction.atomic
def group_role_remove(
    miner: Miner, *, group: str, kind: str, principal: Principal, now: datetime
) -> RoleGroup:
    """Take a role from a group and all its hosts.  Raises NotAllowed, RoleUnknown, RolesNotCombined."""
    roles_begin(miner, principal, now=now)
    rows = _separate_require(roles_lock(miner))
    row = RoleGroup.objects.filter(miner=miner, group=group, kind=kind).first()
    if row is None:
        raise RoleUnknown(kind, group)
    theirs = [role for role in rows if _is_given(role) and (role.group, role.kind) == (group, kind)]
    # The holder goes last: none of its group may take over what all of them lose.
    for role in sorted(theirs, key=lambda one: one.state == RoleState.HELD):
        _leave(role, now=now)
    row.delete()
    _audit(principal, "miner.role-remove", row)
    publish_roles(miner)
    return row


def host_groups_sync(
    tenant_id: int, host: str, *, now: datetime, besides: Worker | None = None, group: str = ""
) -> None:
    """Have a machine hold exactly the roles of its workers' groups; roles of its own stay as they are.

    `group`: the label that the worker `besides` is about to have.  Call it in a transaction, before that
    worker is locked, as heartbeats lock roles first too.
    """
    others = workers_of_host(tenant_id, host)
    if besides is not None:
        others = others.exclude(pk=besides.pk)
    labels = {*others.values_list("group", flat=True), group} - {""}
    groups = RoleGroup.objects.filter(miner__tenant_id=tenant_id, group__in=labels).order_by("miner_id", "pk")
    by_group = Role.objects.filter(host=host, miner__tenant_id=tenant_id).exclude(group="")
    stale = by_group.exclude(state=RoleState.REMOVED)
    miners = {*groups.values_list("miner_id", flat=True), *stale.values_list("miner_id", flat=True)}
    for miner in Miner.objects.select_related("tenant").filter(pk__in=miners).order_by("pk"):
        _miner_sync(miner, host, labels, now=now)


def _miner_sync(miner: Miner, host: str, labels: Collection[str], *, now: datetime) -> None:
    rows = roles_lock(miner)
    if _is_combined(rows):
        return  # once its roles are separated, `group_roles_separate` looks again
    wanted: dict[str, RoleGroup] = {}
    for row in RoleGroup.objects.filter(miner=miner, group__in=labels).order_by("pk"):
        wanted.setdefault(row.kind, row)
    for role in rows:
        if role.host == host and role.group and _is_given(role):
            keeps = wanted.get(role.kind)
            if keeps is None or keeps.group != role.group:
                _leave(role, now=now)
    has = {role.kind for role in roles_lock(miner) if role.host == host and _is_given(role)}
    for kind, row in wanted.items():
        if kind not in has:
            _join(row, host, now=now)
    publish_roles(miner)


@transaction.atomic
def group_roles_separate(miner: Miner, *, principal: Principal, now: datetime) -> None:
    """Separate a miner's roles; hosts that got or lost a label meanwhile join or leave now.

    Raises what `host_roles_separate` raises.
    """
    host_roles_separate(miner, principal=principal, now=now)
    hosts = {role.host for role in Role.objects.filter(miner=miner).exclude(group="")}
    for group in {row.group for row in RoleGroup.objects.filter(miner=miner)}:
        hosts.update(group_hosts(miner.tenant_id, group))
    for host in sorted(hosts):
        host_groups_sync(miner.tenant_id, host, now=now)


def _is_given(role: Role) -> bool:
    return role.state != RoleState.REMOVED


def _is_combined(rows: Collection[Role]) -> bool:
    return any(role.before_combine for role in rows)


def _separate_require(rows: list[Role]) -> list[Role]:
    if _is_combined(rows):
        raise RolesNotCombined("one host does everything for this miner: separate its roles first")
    return rows


def _join(row: RoleGroup, host: str, *, now: datetime) -> None:
    grant = RoleGrant(host=host, kind=row.kind, priority=row.priority)
    role = role_give(row.miner, grant, heard_at=role_heard_at(row.miner, host, row.kind), now=now)
    Role.objects.filter(pk=role.pk).update(group=row.group)


def _leave(role: Role, *, now: datetime) -> None:
    role_jobs_end(role_remove(role.miner, host=role.host, kind=role.kind, now=now), now=now)


def _audit(principal: Principal, action: str, row: RoleGroup) -> None:
    after = {"group": row.group, "role": row.kind, "priority": row.priority}
    audit_record(principal=principal, action=action, target=row.miner.address, after=after)
