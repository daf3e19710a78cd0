"""Leases of roles: prolonged by heartbeats, taken over once they have run out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from apps.core.marked_texts import gettext
from apps.messages.selectors.recovery import recovery_row
from apps.messages.services.recovery.detect import restore_check
from apps.miners.errors import RoleFenced
from apps.miners.models import Miner, Role
from apps.miners.reasons import LEASE_EXPIRED, NO_HOLDER, TAKEN_OVER
from apps.miners.selectors.roles import role_is_restored
from apps.miners.services.roles import (
    ROLE_LEASE,
    restored_holds_release,
    role_acquire,
    role_find,
    role_release,
    role_successor_choose,
    roles_publish,
)
from apps.miners.states import RoleState


def roles_heartbeat(
    *, tenant_id: int, host: str, kinds: Collection[str], now: datetime, miner: Miner | None = None
) -> list[Role]:
    """Note that a host can do these kinds: its leases go on, and it takes over what has lost its holder.

    Returns the roles that hosts lost by it.  Its row locks need the caller's transaction.  For one lease
    after a restore nobody takes over: a holder of which the backup does not know may be at work so long.
    `miner`: what speaks for the host works for it alone; None: for all of the tenant's.
    """
    host_roles = Role.objects.filter(host=host, kind__in=kinds, miner__tenant_id=tenant_id)
    if miner is not None:
        host_roles = host_roles.filter(miner=miner)
    wanted = host_roles.filter(state__in=[RoleState.STANDBY, RoleState.HELD])
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
    lost = restored_holds_release(rows, restored_at=restored_at, now=now)
    own = [row for row in rows if row.host == host and row.kind in kinds]
    for row in own:
        row.heard_at = now
    Role.objects.filter(pk__in=[row.pk for row in own]).update(heard_at=now)
    held = [row.pk for row in own if row.state == RoleState.HELD and row.is_exclusive]
    Role.objects.filter(pk__in=held).update(lease_until=now + ROLE_LEASE)
    if restored_at is not None and now < restored_at + ROLE_LEASE:
        return lost
    ready = [row for row in own if row.state == RoleState.STANDBY]
    return lost + [lost_role for row in ready for lost_role in _lapsed_acquire(row, rows, now=now)]


def _lapsed_acquire(row: Role, rows: list[Role], *, now: datetime) -> list[Role]:
    """Transfer to a host what nobody holds any more, unless another one goes first."""
    same = [one for one in rows if (one.miner_id, one.kind) == (row.miner_id, row.kind)]
    holder = next((one for one in same if one.state == RoleState.HELD), None)
    if holder is not None and (holder.lease_until is None or holder.lease_until > now):
        return []
    if role_successor_choose(same, kind=row.kind, now=now) is not row:
        return []
    note = NO_HOLDER()
    if holder is not None:
        note = LEASE_EXPIRED(host=holder.host)
        role_release(holder, now=now, note=TAKEN_OVER(host=row.host))
    role_acquire(row, now=now, note=note)
    roles_publish(row.miner)
    return [] if holder is None else [holder]


@transaction.atomic
def role_renew(miner: Miner, *, host: str, kind: str, token: int, now: datetime) -> Role:
    """Prolong the lease of a holder that names its token.

    Raises RoleUnknown; RoleFenced with who holds the role since when, for a lease that was given away.
    """
    rows = list(Role.objects.select_for_update(no_key=True).filter(miner=miner, kind=kind).order_by("pk"))
    row = role_find(rows, host=host, kind=kind)
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
            host=row.host, kind=row.kind, note=row.note or gettext_noop("no host does")
        )
    since = f"{holder.since:%Y-%m-%d %H:%M:%S} UTC"
    return (
        gettext("{host} holds {kind} since {since} under token {token}: {note}")
        .format(host=holder.host, kind=row.kind, since=since, token=holder.token, note=row.note)
        .rstrip(": ")
    )
