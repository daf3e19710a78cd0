"""Roles of hosts: given, taken, failed over by a person or because a lease ran out.

Whoever moves a role locks all role rows of the miner in the order of their keys first; claims lock those of
their own host in the same order.  So a claim comes wholly before a fail-over, which then ends its lease, or
finds the role gone.  What the hosts still have in hand is ended by `apps.sectors.services.roles.assignments`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext

from apps.core.errors import BadValue
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.messages.selectors.recovery import recovery_row, token_floor
from apps.messages.services.recovery.detect import restore_check
from apps.miners.errors import MinerNotReady, NoStandby, RoleFenced, RoleUnknown
from apps.miners.models import Miner, Role, RoleGroup
from apps.miners.selectors import role_is_heard, role_is_restored
from apps.miners.states import EXCLUSIVE_ROLES, ROLE_LEASE_S, MinerState, RoleKind, RoleState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

log = structlog.get_logger(__name__)

HOST_MAX: Final = 100
ROLE_LEASE: Final = timedelta(seconds=ROLE_LEASE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleGrant:
    """What a host is to do for a miner."""

    host: str
    kind: str
    priority: int = 0

    def __post_init__(self) -> None:
        if self.kind not in RoleKind:
            raise BadValue(
                gettext("must be one of {values}").format(values=", ".join(RoleKind.values)), field="kind"
            )
        if not 0 < len(self.host) <= HOST_MAX or not self.host.isprintable():
            raise BadValue(gettext("must have 1 to {most} characters").format(most=HOST_MAX), field="host")


def roles_lock(miner: Miner) -> list[Role]:
    """Lock a miner and its roles, in the one order that all who move roles keep."""
    Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
    return list(Role.objects.select_for_update(no_key=True).filter(miner=miner).order_by("pk"))


def roles_restored_lose(miner: Miner, *, now: datetime) -> list[Role]:
    """End the holds that a backup brought back; returns those rows.  Call it in a transaction."""
    restored_at = restore_check(now=now).restored_at
    return _restored_lose(roles_lock(miner), restored_at, now=now)


def _restored_lose(rows: Iterable[Role], restored_at: datetime | None, *, now: datetime) -> list[Role]:
    gone = [row for row in rows if role_is_restored(row, restored_at)]
    for row in gone:
        role_lose(
            row, now=now, note=gettext("the database was restored: another host may have held it since")
        )
    return gone


@transaction.atomic
def role_give(miner: Miner, grant: RoleGrant, *, heard_at: datetime | None, now: datetime) -> Role:
    """Assign a role to a host; it holds it at once where it is shared, or free and the host is there.

    Again gives the same row with the priority that is asked now.  Raises MinerNotReady.
    """
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(
            gettext("{miner} does not exist on the chain yet").format(miner=miner), field="miner"
        )
    rows = roles_lock(miner)
    row = next((one for one in rows if (one.host, one.kind) == (grant.host, grant.kind)), None)
    if row is None:
        row = Role.objects.create(
            miner=miner,
            host=grant.host,
            kind=grant.kind,
            priority=grant.priority,
            since=now,
            heard_at=heard_at,
        )
    elif row.state in (RoleState.REMOVED, RoleState.PARKED):
        advance(row, "GIVE", since=now, note="", before_combine="", updated_at=now)
    Role.objects.filter(pk=row.pk).update(priority=grant.priority, heard_at=heard_at or row.heard_at)
    row.refresh_from_db()
    if row.state == RoleState.STANDBY and (not row.is_exclusive or role_is_heard(row, now=now)):
        role_take(row, now=now, note="assigned")
    publish_roles(miner)
    return row


def role_take(row: Role, *, now: datetime, note: str) -> bool:
    """Make a host on standby the holder under a new token; False if another host holds an exclusive role.

    After a restore the backup lacks tokens that were given out since it was made: those are passed over.
    """
    newest = Role.objects.filter(miner_id=row.miner_id, kind=row.kind).aggregate(top=Max("token"))["top"] or 0
    newest = max(newest, token_floor())
    lease = now + ROLE_LEASE if row.is_exclusive else None
    try:
        with transaction.atomic():
            advance(
                row, "TAKE", token=newest + 1, lease_until=lease, since=now, note=note[:200], updated_at=now
            )
    except IntegrityError:  # one_holder_of_an_exclusive_role: given to another host this moment
        row.refresh_from_db()
        return False
    log.info("role_taken", miner=str(row.miner), role=row.kind, host=row.host, lease=row.token, why=note)
    return True


def role_lose(row: Role, *, now: datetime, note: str, event: str = "LOSE") -> None:
    """End a host's hold on a role; its token stays, so that its next words are known to be old."""
    advance(row, event, lease_until=None, since=now, note=note[:200], updated_at=now)


@transaction.atomic
def role_remove(miner: Miner, *, host: str, kind: str, now: datetime) -> Role:
    """Remove a role of a host; another one on standby takes an exclusive one over.  Raises RoleUnknown."""
    rows = roles_lock(miner)
    row = _row_of(rows, host, kind)
    was_held = row.state == RoleState.HELD
    role_lose(row, now=now, note="removed", event="REMOVE")
    if was_held and row.is_exclusive:
        _succeed(rows, row, now=now, note=gettext("removed from {host}").format(host=host))
    publish_roles(miner)
    return row


@transaction.atomic
def role_fail_over(miner: Miner, *, kind: str, to_host: str = "", now: datetime) -> tuple[Role | None, Role]:
    """Fail an exclusive role over to a host on standby; returns who lost it, if anybody, and who has it now.

    Without `to_host` the one with the highest priority.  Raises BadValue, RoleUnknown, NoStandby.
    """
    if kind not in EXCLUSIVE_ROLES:
        raise BadValue(
            gettext("must be an exclusive role: {exclusive_roles}").format(
                exclusive_roles=", ".join(EXCLUSIVE_ROLES)
            ),
            field="kind",
        )
    rows = roles_lock(miner)
    target = _standby_choose(rows, kind, to_host, now=now)
    holder = next((one for one in rows if one.kind == kind and one.state == RoleState.HELD), None)
    if holder is not None:
        role_lose(holder, now=now, note=gettext("failed over to {host}").format(host=target.host))
    role_take(
        target,
        now=now,
        note=gettext("failed over from {host}").format(host=holder.host)
        if holder
        else gettext("failed over"),
    )
    publish_roles(miner)
    return holder, target


def _standby_choose(rows: list[Role], kind: str, to_host: str, *, now: datetime) -> Role:
    """Return the row that is to take over.  Raises RoleUnknown, NoStandby."""
    if to_host:
        row = _row_of(rows, to_host, kind)
        if row.state == RoleState.PARKED:
            text = gettext("the roles of this miner are combined on another host: separate them first")
            raise NoStandby(text, field="host")
        if row.state != RoleState.STANDBY:
            raise NoStandby(
                gettext("{to_host} already holds {kind}").format(to_host=to_host, kind=kind), field="host"
            )
        if not role_is_heard(row, now=now):
            raise NoStandby(
                gettext("{to_host} sent no heartbeat in the last {seconds} s").format(
                    to_host=to_host, seconds=ROLE_LEASE_S
                ),
                field="host",
            )
        return row
    found = _successor(rows, kind, now=now)
    if found is None:
        raise NoStandby(
            gettext("no other host with the role {kind} sent a heartbeat in the last {seconds} s").format(
                kind=kind, seconds=ROLE_LEASE_S
            )
        )
    return found


def _row_of(rows: Iterable[Role], host: str, kind: str) -> Role:
    row = next((one for one in rows if (one.host, one.kind) == (host, kind)), None)
    if row is None or row.state == RoleState.REMOVED:
        raise RoleUnknown(kind, host)
    return row


def _successor(rows: Iterable[Role], kind: str, *, now: datetime) -> Role | None:
    ready = [
        one
        for one in rows
        if one.kind == kind and one.state == RoleState.STANDBY and role_is_heard(one, now=now)
    ]
    return min(ready, key=lambda one: (-one.priority, one.pk), default=None)


def _succeed(rows: Iterable[Role], gone: Role, *, now: datetime, note: str) -> None:
    heir = _successor(rows, gone.kind, now=now)
    if heir is not None:
        role_take(heir, now=now, note=note)


def roles_heartbeat(*, tenant_id: int, host: str, kinds: Collection[str], now: datetime) -> list[Role]:
    """Note that a host can do these kinds: its leases go on, and it takes over what has lost its holder.

    Returns the roles that hosts lost by it.  Call it in a transaction, before jobs are locked.  For one lease
    after a restore nobody takes over: a holder of which the backup does not know may be at work so long.
    """
    mine = Role.objects.filter(host=host, kind__in=kinds, miner__tenant_id=tenant_id)
    wanted = mine.filter(state__in=[RoleState.STANDBY, RoleState.HELD])
    miners = sorted(set(wanted.order_by().values_list("miner_id", flat=True)))
    if not miners:
        return []
    restored_at = restore_check(now=now).restored_at
    rows = list(
        Role.objects.select_for_update(no_key=True, of=("self",))
        .select_related("miner")
        .filter(miner__in=miners)
        .order_by("pk")
    )
    lost = _restored_lose(rows, restored_at, now=now)
    ours = [row for row in rows if row.host == host and row.kind in kinds]
    for row in ours:
        row.heard_at = now
    Role.objects.filter(pk__in=[row.pk for row in ours]).update(heard_at=now)
    held = [row.pk for row in ours if row.state == RoleState.HELD and row.is_exclusive]
    Role.objects.filter(pk__in=held).update(lease_until=now + ROLE_LEASE)
    if restored_at is not None and now < restored_at + ROLE_LEASE:
        return lost
    ready = [row for row in ours if row.state == RoleState.STANDBY]
    return lost + [gone for row in ready for gone in _lapsed_take(row, rows, now=now)]


def _lapsed_take(row: Role, rows: list[Role], *, now: datetime) -> list[Role]:
    """Have a host take over what nobody holds any more, unless another one goes first."""
    same = [one for one in rows if (one.miner_id, one.kind) == (row.miner_id, row.kind)]
    holder = next((one for one in same if one.state == RoleState.HELD), None)
    if holder is not None and (holder.lease_until is None or holder.lease_until > now):
        return []
    if _successor(same, row.kind, now=now) is not row:
        return []
    words = gettext("it had no holder")
    if holder is not None:
        words = gettext("the lease of {host} expired").format(host=holder.host)
        role_lose(holder, now=now, note=gettext("its lease expired: {host} took over").format(host=row.host))
    role_take(row, now=now, note=words)
    publish_roles(row.miner)
    return [] if holder is None else [holder]


@transaction.atomic
def role_renew(miner: Miner, *, host: str, kind: str, token: int, now: datetime) -> Role:
    """Prolong the lease of a holder that names its token.

    Raises RoleUnknown; RoleFenced with who holds the role since when, for a lease that was given away.
    """
    rows = list(Role.objects.select_for_update(no_key=True).filter(miner=miner, kind=kind).order_by("pk"))
    row = _row_of(rows, host, kind)
    if role_is_restored(row, recovery_row().restored_at):
        raise RoleFenced(gettext("the database was restored: assign the role again"), field="token")
    if row.state != RoleState.HELD or row.token != token:
        raise RoleFenced(_fenced_text(rows, row, token), field="token")
    lease = now + ROLE_LEASE if row.is_exclusive else None
    Role.objects.filter(pk=row.pk).update(lease_until=lease, heard_at=now)
    row.lease_until = lease
    return row


def _fenced_text(rows: Iterable[Role], row: Role, token: int) -> str:
    if row.state == RoleState.HELD:
        return gettext("{host} holds {kind} under token {token}; {given} is from an earlier lease").format(
            host=row.host, kind=row.kind, token=row.token, given=token
        )
    holder = next((one for one in rows if one.state == RoleState.HELD), None)
    if holder is None:
        return gettext("{host} does not hold {kind}: {note}").format(
            host=row.host, kind=row.kind, note=row.note or gettext("no host does")
        )
    since = f"{holder.since:%Y-%m-%d %H:%M:%S} UTC"
    return (
        gettext("{host} holds {kind} since {since} under token {token}: {note}")
        .format(host=holder.host, kind=row.kind, since=since, token=holder.token, note=row.note)
        .rstrip(": ")
    )


def roles_forget(miner: Miner) -> None:
    """Remove all roles of a miner, whose lock the caller holds: all hosts work for it again."""
    list(Role.objects.select_for_update().filter(miner=miner).order_by("pk").values_list("pk", flat=True))
    Role.objects.filter(miner=miner).delete()
    RoleGroup.objects.filter(miner=miner).delete()


def publish_roles(miner: Miner) -> None:
    """Have the pages of a miner look at its roles again."""
    publish(Change("role", miner.pk, miner.tenant_id))
