"""Reading which hosts have which roles for a miner, and which of them are in force."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from apps.messages.selectors.recovery import recovery_row
from apps.miners.models import Miner, Role, RoleGroup
from apps.miners.selectors.miners import miners_visible
from apps.miners.states import EXCLUSIVE_ROLES, ROLE_LEASE_S, RoleState
from apps.users.rules.principals import Principal


def roles_of(miner: Miner) -> QuerySet[Role]:
    """Return the roles of a miner's hosts, by host."""
    return Role.objects.filter(miner=miner).exclude(state=RoleState.REMOVED).order_by("host", "pk")


def roles_of_miners(miners: Collection[int]) -> QuerySet[Role]:
    """Return the same of several miners."""
    rows = Role.objects.filter(miner__in=miners).exclude(state=RoleState.REMOVED)
    return rows.order_by("miner", "host", "pk")


def roles_seen(viewer: Principal) -> QuerySet[Role]:
    """Return the roles of all miners that this caller may see, with the miners, by miner and host."""
    rows = Role.objects.filter(miner__in=miners_visible(viewer).values("pk")).select_related("miner")
    return rows.exclude(state=RoleState.REMOVED).order_by("miner_id", "host", "pk")


def miners_with_roles(viewer: Principal) -> QuerySet[Miner]:
    """Return the viewer's miners for which some host has a role."""
    return miners_visible(viewer).filter(Exists(_own_roles()))


def miners_without_roles(viewer: Principal) -> QuerySet[Miner]:
    """Return the viewer's miners on chain for which no host has a role."""
    return miners_visible(viewer).exclude(actor_id=None).exclude(Exists(_own_roles()))


def _own_roles() -> QuerySet[Role]:
    return Role.objects.filter(miner=OuterRef("pk")).exclude(state=RoleState.REMOVED)


def hosts_with_roles(viewer: Principal) -> QuerySet[Role, str]:
    """Return the names of the hosts with a role for one of the viewer's miners."""
    return roles_seen(viewer).order_by("host").values_list("host", flat=True).distinct()


def role_groups_of(miner: Miner) -> list[RoleGroup]:
    """Return the roles of a miner that groups of hosts have, by group."""
    return list(RoleGroup.objects.filter(miner=miner).order_by("group", "pk"))


def role_is_heard(role: Role, *, now: datetime) -> bool:
    """Return whether a program of the host that can do this was heard of within a lease."""
    return role.heard_at is not None and role.heard_at > now - timedelta(seconds=ROLE_LEASE_S)


def role_is_in_force(role: Role, *, now: datetime, restored_at: datetime | None) -> bool:
    """Return whether a host may work in a role now: one that is exclusive needs a lease that runs."""
    runs = role.lease_until is None or role.lease_until > now
    return role.state == RoleState.HELD and runs and not role_is_restored(role, restored_at)


def role_is_restored(role: Role, restored_at: datetime | None) -> bool:
    """Return whether a hold is of a backup that was read in: another host may have taken the role since."""
    is_older = restored_at is not None and role.since < restored_at
    return is_older and role.state == RoleState.HELD and role.is_exclusive


@dataclass(frozen=True, slots=True)
class UnheldRole:
    """A role that hosts of a miner were given and none does."""

    kind: str
    hosts: tuple[str, ...]
    heard_at: datetime | None
    """When the last of these hosts was heard of."""


def roles_unheld(miners: Sequence[Miner], *, now: datetime) -> dict[int, list[UnheldRole]]:
    """Return the exclusive roles that nobody holds and no host is about to take, by the miner's key."""
    by_kind: dict[tuple[int, str], list[Role]] = {}
    assigned = Role.objects.filter(miner__in=miners, kind__in=EXCLUSIVE_ROLES).exclude(
        state=RoleState.REMOVED
    )
    for role in assigned.order_by("miner_id", "kind", "host"):
        by_kind.setdefault((role.miner_id, role.kind), []).append(role)
    restored_at = recovery_row().restored_at if by_kind else None
    found: dict[int, list[UnheldRole]] = {}
    for (miner_id, kind), roles in by_kind.items():
        if any(
            role_is_in_force(role, now=now, restored_at=restored_at) or role_is_heard(role, now=now)
            for role in roles
            if role.state != RoleState.PARKED
        ):
            continue
        heard = max((role.heard_at for role in roles if role.heard_at is not None), default=None)
        hosts = tuple(role.host for role in roles)
        found.setdefault(miner_id, []).append(UnheldRole(kind, hosts, heard))
    return found


@dataclass(frozen=True, slots=True)
class HostRoles:
    """For which miners a host may work, as its roles stand in this transaction."""

    ruled: dict[str, frozenset[int]]
    """Kind to the keys of the miners of which some host has it: for others every host may do it."""
    held: dict[str, frozenset[int]]
    """Kind to the keys of the miners for which the host holds it."""
    restored_at: datetime | None = None
    """The last restore that was known then."""

    def barred(self, *kinds: str) -> list[int]:
        """Return the keys of the miners for which the host may do none of these kinds."""
        none: frozenset[int] = frozenset()
        first, *rest = (self.ruled.get(kind, none) - self.held.get(kind, none) for kind in kinds)
        return sorted(first.intersection(*rest))


def host_roles(*, tenant_id: int, host: str, now: datetime, lock: bool = False) -> HostRoles:
    """Return for which miners of a tenant a host may work; with `lock` nobody moves its roles meanwhile."""
    rows = Role.objects.filter(miner__tenant_id=tenant_id).exclude(state=RoleState.REMOVED)
    ruled: dict[str, set[int]] = {}
    for miner_id, kind in rows.order_by().values_list("miner_id", "kind").distinct():
        ruled.setdefault(kind, set()).add(miner_id)
    held: dict[str, set[int]] = {}
    restored_at = recovery_row().restored_at if ruled else None
    if ruled:
        host_roles = Role.objects.filter(host=host, miner__tenant_id=tenant_id).order_by("pk")
        for role in host_roles.select_for_update(no_key=True, of=("self",)) if lock else host_roles:
            if role_is_in_force(role, now=now, restored_at=restored_at):
                held.setdefault(role.kind, set()).add(role.miner_id)
    by_kind = [{kind: frozenset(keys) for kind, keys in of.items()} for of in (ruled, held)]
    return HostRoles(ruled=by_kind[0], held=by_kind[1], restored_at=restored_at)
