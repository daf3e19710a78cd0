"""Roles that hosts have by their labels: a machine holds exactly those of its workers' groups and its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from django.db import connection

from apps.core.locks import transaction_lock
from apps.miners.models import Miner, Role, RoleGroup
from apps.miners.services.roles import RoleGrant, role_assign, role_remove, roles_lock, roles_publish
from apps.miners.states import RoleState
from apps.sectors.models import Worker
from apps.sectors.selectors.hosts import worker_machine, workers_of_host
from apps.sectors.services.roles.leases import role_heartbeat_find, role_jobs_end
from apps.users.rules.principals import Principal
from apps.users.services.audit import AuditEvent

LABELS_LOCK: Final = 0x4C42
"""Lock class of the labels of a tenant's workers, beside what its groups do."""


def labels_lock(tenant_id: int) -> None:
    """Lock which hosts have which label and what groups do."""
    assert connection.in_atomic_block, "the lock ends with its transaction"
    transaction_lock(LABELS_LOCK, [str(tenant_id)])


def host_labels_read(tenant_id: int) -> dict[str, set[str]]:
    """Return the labels of a tenant's machines; those without any are left out."""
    found: dict[str, set[str]] = {}
    for worker in Worker.objects.filter(tenant_id=tenant_id, retired_at=None).exclude(group=""):
        found.setdefault(worker_machine(worker), set()).add(worker.group)
    return found


def label_role_find(miner: Miner, *, host: str, kind: str) -> RoleGroup | None:
    """Return the role that a host would have by a label of its own, the oldest; None while one does all."""
    if is_combined(Role.objects.filter(miner=miner)):
        return None
    labels = workers_of_host(miner.tenant_id, host).exclude(group="").values("group")
    return RoleGroup.objects.filter(miner=miner, kind=kind, group__in=labels).order_by("pk").first()


def worker_labels_sync(
    worker: Worker,
    *,
    host: str | None = None,
    group: str | None = None,
    by: Principal | None = None,
    now: datetime,
) -> list[AuditEvent]:
    """Move roles to the machine and label that a worker is about to have; None: as they are.

    Returns what to write into the audit log.
    """
    labels = worker_labels_lock(worker, host=host, group=group)
    Worker.objects.select_for_update(no_key=True).get(pk=worker.pk)
    events: list[AuditEvent] = []
    for miner in _miners_of_labels(worker.tenant_id, labels):
        events += miner_labels_sync(miner, labels=labels, by=by, now=now)
    return events


def worker_labels_lock(
    worker: Worker, *, host: str | None = None, group: str | None = None
) -> dict[str, set[str]]:
    """Lock the roles that go with a worker's machine or label; returns the labels of its machines then."""
    labels_lock(worker.tenant_id)
    present = Worker.objects.get(pk=worker.pk)
    machine = worker_machine(present)
    target = machine if host is None else host
    labels = {}
    for name in (machine, target):
        others = workers_of_host(worker.tenant_id, name).exclude(pk=worker.pk)
        labels[name] = set(others.values_list("group", flat=True)) - {""}
    labels[target] |= {present.group if group is None else group} - {""}
    keys = [miner.pk for miner in _miners_of_labels(worker.tenant_id, labels)]
    list(Miner.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk"))
    list(Role.objects.select_for_update(no_key=True).filter(miner__in=keys).order_by("pk"))
    return labels


def _miners_of_labels(tenant_id: int, labels: Mapping[str, Collection[str]]) -> list[Miner]:
    named = {label for of_host in labels.values() for label in of_host}
    groups = RoleGroup.objects.filter(miner__tenant_id=tenant_id, group__in=named)
    by_group = Role.objects.filter(host__in=labels, miner__tenant_id=tenant_id).exclude(group="")
    keys = {
        *groups.values_list("miner_id", flat=True),
        *by_group.exclude(state=RoleState.REMOVED).values_list("miner_id", flat=True),
    }
    return list(Miner.objects.select_related("tenant").filter(pk__in=keys).order_by("pk")) if keys else []


def miner_labels_sync(
    miner: Miner, *, labels: Mapping[str, Collection[str]], by: Principal | None = None, now: datetime
) -> list[AuditEvent]:
    """Sync a miner's roles on these hosts with their labels; returns what to write into the audit log.

    A role that another label goes on with changes its group alone: lease, token and proofs stay.  While one
    host does everything nothing moves; separating looks again.
    """
    rows = roles_lock(miner)
    if is_combined(rows):
        return []
    expected: dict[tuple[str, str], RoleGroup] = {}
    for row in RoleGroup.objects.filter(miner=miner).order_by("pk"):
        for host in (host for host, of_host in labels.items() if row.group in of_host):
            expected.setdefault((host, row.kind), row)
    assigned = {(role.host, role.kind): role for role in rows if is_assigned(role)}
    for key, row in sorted(expected.items()):
        if key not in assigned:
            role_join(miner, row=row, host=key[0], now=now)
        elif assigned[key].group:
            role_move_to_group(assigned[key], row=row, now=now)
    by_group = [role for role in assigned.values() if role.group and role.host in labels]
    # The holder goes last: none of its group may take over what all of them lose.
    for role in sorted(by_group, key=lambda one: one.state == RoleState.HELD):
        if (role.host, role.kind) not in expected:
            role_jobs_end(role_remove(miner, host=role.host, kind=role.kind, now=now), now=now)
    roles_publish(miner)
    return [] if by is None else _role_changes(miner, before=rows, by=by)


def role_join(miner: Miner, *, row: RoleGroup, host: str, now: datetime) -> None:
    """Assign a host the role of its group."""
    grant = RoleGrant(host=host, kind=row.kind, priority=row.priority)
    role = role_assign(
        miner, grant=grant, heard_at=role_heartbeat_find(miner, host=host, kind=row.kind), now=now
    )
    Role.objects.filter(pk=role.pk).update(group=row.group)


def role_move_to_group(role: Role, *, row: RoleGroup, now: datetime) -> None:
    """Assign a role, as it stands, to a group; its host goes on with what it has in hand."""
    if (role.group, role.priority) != (row.group, row.priority):
        Role.objects.filter(pk=role.pk).update(group=row.group, priority=row.priority, updated_at=now)


def _role_changes(miner: Miner, *, before: Iterable[Role], by: Principal) -> list[AuditEvent]:
    """Return a line of the audit log for each role of a miner that is not as it was."""
    earlier = {role.pk: _role_fields(role) for role in before}
    events = []
    for role in Role.objects.filter(miner=miner).order_by("pk"):
        was, facts = earlier.get(role.pk), _role_fields(role)
        if was == facts:
            continue
        action = "miner.role-change"
        if not is_assigned(role):
            action = "miner.role-remove"
        elif was is None or was["state"] == RoleState.REMOVED:
            action = "miner.role-give"
        event = AuditEvent(principal=by, action=action, target=miner.address, before=was, after=facts)
        events.append(event)
    return events


def _role_fields(role: Role) -> dict[str, Any]:
    """Return how a role stands, for the audit log."""
    return {
        "host": role.host,
        "role": role.kind,
        "state": role.state,
        "token": role.token,
        "group": role.group,
        "priority": role.priority,
    }


def is_assigned(role: Role) -> bool:
    """Return whether the host has the role."""
    return role.state != RoleState.REMOVED


def is_combined(rows: Iterable[Role]) -> bool:
    """Return whether one host does everything for the miner of these roles."""
    return any(role.before_combine and is_assigned(role) for role in rows)
