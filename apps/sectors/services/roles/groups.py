"""Roles of groups: every host with the label has them; of an exclusive one the lease stays in the group.

A group's role is a row of its own; each of its hosts has a `Role` that names the group, so leases, fencing
and fail-over are those of hosts.  Hosts come and go with their label (`Worker.group`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.miners.errors import MinerNotReady, RolesNotCombined, RoleUnknown
from apps.miners.models import Miner, Role, RoleGroup
from apps.miners.services.roles import roles_lock
from apps.miners.states import MinerState, RoleKind
from apps.sectors.models import Worker
from apps.sectors.selectors.hosts import worker_machine
from apps.sectors.services.roles.assignments import host_roles_separate, roles_begin
from apps.sectors.services.roles.labels import host_labels_read, is_combined, labels_lock, miner_labels_sync
from apps.sectors.services.roles.leases import able_require
from apps.users.rules.principals import Principal
from apps.users.services.audit import AuditEvent, audit_entries_record

GROUP_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupGrant:
    """What the hosts of a group are to do for a miner."""

    group: str
    kind: str
    priority: int = 0

    def __post_init__(self) -> None:
        if self.kind not in RoleKind:
            raise BadValue(
                gettext("must be one of {kinds}").format(kinds=", ".join(RoleKind.values)), field="kind"
            )
        if not 0 < len(self.group) <= GROUP_MAX or not self.group.isprintable():
            raise BadValue(
                gettext("must have 1 to {limit} characters").format(limit=GROUP_MAX), field="group"
            )


def group_hosts_list(tenant_id: int, *, group: str) -> list[str]:
    """Return the machines of a tenant with a worker that has this label."""
    workers = Worker.objects.filter(tenant_id=tenant_id, group=group, retired_at=None)
    return sorted({worker_machine(worker) for worker in workers})


def groups_list(miner: Miner) -> list[str]:
    """Return the labels that a tenant's workers have."""
    rows = Worker.objects.filter(tenant_id=miner.tenant_id, retired_at=None).exclude(group="")
    return sorted(set(rows.values_list("group", flat=True)))


@transaction.atomic
def group_role_assign(miner: Miner, *, grant: GroupGrant, principal: Principal, now: datetime) -> RoleGroup:
    """Assign a role to a group: its hosts have it now, those that join it later then.

    Raises NotAllowed, MinerNotReady, RoleUnable where none of them can hold it; RolesNotCombined while one
    host does everything.
    """
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(
            gettext("{miner} does not exist on the chain yet").format(miner=miner), field="miner"
        )
    labels_lock(miner.tenant_id)
    roles_begin(miner, principal=principal, now=now)
    _separate_require(roles_lock(miner))
    able_require(miner, hosts=group_hosts_list(miner.tenant_id, group=grant.group), kind=grant.kind)
    before = RoleGroup.objects.filter(miner=miner, group=grant.group, kind=grant.kind).first()
    row, _ = RoleGroup.objects.update_or_create(
        miner=miner, group=grant.group, kind=grant.kind, defaults={"priority": grant.priority}
    )
    labels = host_labels_read(miner.tenant_id)
    of_group = {host: of_host for host, of_host in labels.items() if grant.group in of_host}
    roles = miner_labels_sync(miner, labels=of_group, by=principal, now=now)
    audit_entries_record([_event(principal, miner, before, row), *roles])
    return row


@transaction.atomic
def group_role_remove(
    miner: Miner, *, group: str, kind: str, principal: Principal, now: datetime
) -> RoleGroup:
    """Remove a role of a group; hosts keep what another of their labels has.

    Raises NotAllowed, RoleUnknown, RolesNotCombined.
    """
    labels_lock(miner.tenant_id)
    roles_begin(miner, principal=principal, now=now)
    rows = _separate_require(roles_lock(miner))
    row = RoleGroup.objects.filter(miner=miner, group=group, kind=kind).first()
    if row is None:
        raise RoleUnknown(kind, group)
    row.delete()
    labels = host_labels_read(miner.tenant_id)
    of_group = {role.host: labels.get(role.host, set()) for role in rows if role.group == group}
    roles = miner_labels_sync(miner, labels=of_group, by=principal, now=now)
    audit_entries_record([_event(principal, miner, row, None), *roles])
    return row


@transaction.atomic
def group_roles_separate(miner: Miner, *, principal: Principal, now: datetime) -> None:
    """Separate a miner's roles; hosts that got or lost a label meanwhile join or leave now.

    Raises what `host_roles_separate` raises.
    """
    labels_lock(miner.tenant_id)
    host_roles_separate(miner, principal=principal, now=now)
    labels = host_labels_read(miner.tenant_id)
    for role in Role.objects.filter(miner=miner).exclude(group=""):
        labels.setdefault(role.host, set())
    audit_entries_record(miner_labels_sync(miner, labels=labels, by=principal, now=now))


def _separate_require(rows: list[Role]) -> list[Role]:
    if is_combined(rows):
        raise RolesNotCombined(
            gettext("the roles of this miner are combined on one host: separate them first")
        )
    return rows


def _event(by: Principal, miner: Miner, before: RoleGroup | None, after: RoleGroup | None) -> AuditEvent:
    action = "miner.role-give" if after is not None else "miner.role-remove"
    was, facts = _facts(before), _facts(after)
    return AuditEvent(principal=by, action=action, target=miner.address, before=was, after=facts)


def _facts(row: RoleGroup | None) -> dict[str, Any] | None:
    return None if row is None else {"group": row.group, "role": row.kind, "priority": row.priority}
