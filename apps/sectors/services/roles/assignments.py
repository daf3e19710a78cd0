"""Roles of hosts with all that hangs on them: the leases of jobs end with the role they were given for."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Q

from apps.core.errors import NotAllowed
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.core.marked_texts import gettext
from apps.miners.errors import RoleBusy, RoleOfGroup
from apps.miners.models import Miner, Role
from apps.miners.selectors.roles import roles_of
from apps.miners.services.combine import roles_combine, roles_separate
from apps.miners.services.role_failover import role_fail_over
from apps.miners.services.role_leases import roles_heartbeat
from apps.miners.services.roles import (
    RoleGrant,
    role_assign,
    role_remove,
    roles_publish,
    roles_restored_release,
)
from apps.miners.states import RoleKind
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.selectors.hosts import worker_machine, workers_of_host
from apps.sectors.services.roles.labels import label_role_find, labels_lock, role_move_to_group
from apps.sectors.services.roles.leases import ROLES_OF_JOBS, able_require, role_heartbeat_find, role_jobs_end
from apps.sectors.states import JobState
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import FINAL_STATES, SectorState


def worker_roles_renew(worker: Worker, *, now: datetime) -> None:
    """Prolong the leases of a worker's host and let it take over what ran out."""
    kinds = {kind for job in worker.kinds for kind in ROLES_OF_JOBS.get(job, ())}
    lost = roles_heartbeat(tenant_id=worker.tenant_id, host=worker_machine(worker), kinds=kinds, now=now)
    if lost:
        Worker.objects.select_for_update(no_key=True).get(pk=worker.pk)
    for role in lost:
        role_jobs_end(role, now=now)


@transaction.atomic
def host_roles_renew(
    tenant_id: int, *, host: str, kinds: Collection[str], now: datetime, miner: Miner | None = None
) -> None:
    """Prolong a host's leases of these kinds, of one miner or all, and let it take over what ran out."""
    for lost in roles_heartbeat(tenant_id=tenant_id, host=host, kinds=kinds, now=now, miner=miner):
        role_jobs_end(lost, now=now)


def may_assign(principal: Principal) -> bool:
    """Return whether somebody may give and take the roles of the miners that they see."""
    return principal.may("sign")


def roles_begin(miner: Miner, *, principal: Principal, now: datetime) -> None:
    """Lock a miner's roles for an act; what a backup brought back counts for nothing.  Raises NotAllowed."""
    if not may_assign(principal):
        raise NotAllowed(gettext("changing roles requires the sign permission"))
    for lost in roles_restored_release(miner, now=now):
        role_jobs_end(lost, now=now)


@transaction.atomic
def host_role_assign(miner: Miner, *, grant: RoleGrant, principal: Principal, now: datetime) -> Role:
    """Assign a role to a host.  Raises NotAllowed, MinerNotReady, RoleUnable."""
    roles_begin(miner, principal=principal, now=now)
    able_require(miner, hosts=[grant.host], kind=grant.kind)
    role = role_assign(
        miner, grant=grant, heard_at=role_heartbeat_find(miner, host=grant.host, kind=grant.kind), now=now
    )
    role.group = ""  # an assignment of the host's own outlives its label
    role.save(update_fields=["group"])
    _audit(principal, "miner.role-give", role)
    return role


@transaction.atomic
def host_role_remove(miner: Miner, *, host: str, kind: str, principal: Principal, now: datetime) -> Role:
    """Remove a role of a host; sectors that it has begun stay its own.

    Where a label of the host has the role, too, the host keeps it by that.  Raises NotAllowed, RoleUnknown;
    RoleOfGroup for one that it has by its label alone.
    """
    labels_lock(miner.tenant_id)
    roles_begin(miner, principal=principal, now=now)
    has = roles_of(miner).filter(host=host, kind=kind).first()
    if has is not None and has.group:
        raise RoleOfGroup(host, has.group)
    label = None if has is None else label_role_find(miner, host=host, kind=kind)
    if has is not None and label is not None:
        role_move_to_group(has, row=label, now=now)
        roles_publish(miner)
        role = Role.objects.select_related("miner").get(pk=has.pk)
    else:
        role = role_remove(miner, host=host, kind=kind, now=now)
        role_jobs_end(role, now=now)
    _audit(principal, "miner.role-remove", role)
    return role


@transaction.atomic
def host_role_fail_over(
    miner: Miner, *, kind: str, to_host: str, principal: Principal, now: datetime
) -> Role:
    """Move an exclusive role to a host on standby.  Raises NotAllowed, BadValue, RoleUnknown, NoStandby."""
    roles_begin(miner, principal=principal, now=now)
    lost, role = role_fail_over(miner, kind=kind, to_host=to_host, now=now)
    if lost is not None:
        role_jobs_end(lost, now=now)
    _audit(principal, "miner.role-fail-over", role, before="" if lost is None else lost.host)
    return role


@transaction.atomic
def host_roles_combine(miner: Miner, *, host: str, principal: Principal, now: datetime) -> list[Role]:
    """Assign all roles of a miner to one host.

    Raises NotAllowed, RoleUnable, RoleBusy, NoStandby, MinerNotReady.
    """
    roles_begin(miner, principal=principal, now=now)
    for kind in RoleKind.values:
        able_require(miner, hosts=[host], kind=kind)
    _idle_require(miner, besides=host, now=now)
    heard = {kind: role_heartbeat_find(miner, host=host, kind=kind) for kind in RoleKind.values}
    rows = roles_combine(miner, host=host, heard=heard, now=now)
    audit_record(
        principal=principal, action="miner.roles-combine", target=miner.address, after={"host": host}
    )
    return rows


@transaction.atomic
def host_roles_separate(miner: Miner, *, principal: Principal, now: datetime) -> list[Role]:
    """Separate the roles: each goes back to the host that had it before they were combined.

    Raises NotAllowed, RoleBusy, RolesNotCombined.
    """
    roles_begin(miner, principal=principal, now=now)
    _idle_require(miner, besides="", now=now)
    rows = roles_separate(miner, now=now)
    audit_record(principal=principal, action="miner.roles-separate", target=miner.address)
    return rows


def _role_tasks_count(miner: Miner, *, besides: str = "", now: datetime) -> dict[str, int]:
    """Count what hosts have in hand for a miner: proofs that are leased, and sectors that they began."""
    others = Q(worker__in=workers_of_host(miner.tenant_id, besides)) if besides else Q(pk=None)
    proofs = Job.objects.filter(
        miner=miner, kind=JobKind.WINDOW_POST, state=JobState.LEASED, lease_until__gte=now
    )
    started = Sector.objects.filter(miner=miner, job__sticky_worker__isnull=False).exclude(
        state__in=[*FINAL_STATES, SectorState.ALLOCATED]
    )
    if besides:
        started = started.exclude(job__sticky_worker__in=workers_of_host(miner.tenant_id, besides))
    counts = {
        RoleKind.WINDOW.value: proofs.exclude(others).count(),
        RoleKind.SEAL.value: started.aggregate(count=Count("pk"))["count"],
    }
    return {kind: count for kind, count in counts.items() if count}


def _idle_require(miner: Miner, *, besides: str, now: datetime) -> None:
    """Refuse while hosts other than `besides` are at work for a miner.  Raises RoleBusy."""
    tasks = _role_tasks_count(miner, besides=besides, now=now)
    if tasks:
        kind = next(iter(tasks))
        raise RoleBusy(
            gettext("{tasks} in progress: let them finish first").format(tasks=_tasks_text(tasks)), field=kind
        )


def _tasks_text(tasks: dict[str, int]) -> str:
    nouns = {RoleKind.WINDOW.value: "proof", RoleKind.SEAL.value: "sector"}
    return list_text(plural(count, nouns[kind]) for kind, count in tasks.items())


def _audit(principal: Principal, action: str, role: Role, *, before: str = "") -> None:
    after = {"host": role.host, "role": role.kind, "state": role.state, "token": role.token}
    if role.group:
        after["group"] = role.group
    audit_record(
        principal=principal,
        action=action,
        target=role.miner.address,
        before={"host": before} if before else None,
        after=after,
    )
