"""Roles of hosts: given, taken, lost and removed.

Whoever moves a role locks all role rows of the miner first; claims lock those of their own host.  So a claim
comes wholly before a fail-over, which then ends its lease, or finds the role gone.  What the hosts still have
in hand is ended by `apps.sectors.services.roles.assignments`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Max

from apps.core.errors import BadValue
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason
from apps.core.transitions import advance
from apps.messages.selectors.recovery import token_floor
from apps.messages.services.recovery.detect import restore_check
from apps.miners.errors import MinerNotReady, RoleUnknown
from apps.miners.models import Miner, Role, RoleGroup
from apps.miners.reasons import ASSIGNED, REMOVED, REMOVED_FROM, RESTORED
from apps.miners.selectors.roles import role_is_heard, role_is_restored
from apps.miners.states import ROLE_LEASE_S, MinerState, RoleKind, RoleState

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
    """Lock a miner and its roles."""
    Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
    return list(Role.objects.select_for_update(no_key=True).filter(miner=miner).order_by("pk"))


@transaction.atomic
def roles_restored_release(miner: Miner, *, now: datetime) -> list[Role]:
    """End the holds that a backup brought back; returns those rows."""
    restored_at = restore_check(now=now).restored_at
    return restored_holds_release(roles_lock(miner), restored_at=restored_at, now=now)


def restored_holds_release(
    rows: Iterable[Role], *, restored_at: datetime | None, now: datetime
) -> list[Role]:
    """Return the holds among these rows that a backup brought back, after ending them."""
    restored = [row for row in rows if role_is_restored(row, restored_at)]
    for row in restored:
        role_release(row, now=now, note=RESTORED())
    return restored


@transaction.atomic
def role_assign(miner: Miner, *, grant: RoleGrant, heard_at: datetime | None, now: datetime) -> Role:
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
        role_acquire(row, now=now, note=ASSIGNED())
    roles_publish(miner)
    return row


def role_acquire(row: Role, *, now: datetime, note: Reason) -> bool:
    """Make a host on standby the holder under a new token; False if another host holds an exclusive role.

    After a restore the backup lacks tokens that were given out since it was made: those are passed over.
    """
    newest = Role.objects.filter(miner_id=row.miner_id, kind=row.kind).aggregate(top=Max("token"))["top"] or 0
    newest = max(newest, token_floor())
    lease = now + ROLE_LEASE if row.is_exclusive else None
    try:
        with transaction.atomic():
            advance(row, "TAKE", token=newest + 1, lease_until=lease, since=now, note=note, updated_at=now)
    except IntegrityError:  # one_holder_of_an_exclusive_role: given to another host this moment
        row.refresh_from_db()
        return False
    log.info("role_taken", miner=str(row.miner), role=row.kind, host=row.host, lease=row.token, why=note)
    return True


def role_release(row: Role, *, now: datetime, note: Reason, event: str = "LOSE") -> None:
    """End a host's hold on a role; its token stays, so that its next reports are known to be old."""
    advance(row, event, lease_until=None, since=now, note=note, updated_at=now)


@transaction.atomic
def role_remove(miner: Miner, *, host: str, kind: str, now: datetime) -> Role:
    """Remove a role of a host; another one on standby takes an exclusive one over.  Raises RoleUnknown."""
    rows = roles_lock(miner)
    row = role_find(rows, host=host, kind=kind)
    was_held = row.state == RoleState.HELD
    role_release(row, now=now, note=REMOVED(), event="REMOVE")
    if was_held and row.is_exclusive:
        _successor_acquire(rows, row, now=now, note=REMOVED_FROM(host=host))
    roles_publish(miner)
    return row


def role_find(rows: Iterable[Role], *, host: str, kind: str) -> Role:
    """Return the row of a host's role.  Raises RoleUnknown, also for one that was removed."""
    row = next((one for one in rows if (one.host, one.kind) == (host, kind)), None)
    if row is None or row.state == RoleState.REMOVED:
        raise RoleUnknown(kind, host)
    return row


def role_successor_choose(rows: Iterable[Role], *, kind: str, now: datetime) -> Role | None:
    """Return the row that takes over next: of those on standby that were heard of, by priority; else None."""
    ready = [
        one
        for one in rows
        if one.kind == kind and one.state == RoleState.STANDBY and role_is_heard(one, now=now)
    ]
    return min(ready, key=lambda one: (-one.priority, one.pk), default=None)


def _successor_acquire(rows: Iterable[Role], lost: Role, *, now: datetime, note: Reason) -> None:
    successor = role_successor_choose(rows, kind=lost.kind, now=now)
    if successor is not None:
        role_acquire(successor, now=now, note=note)


@transaction.atomic
def roles_forget(miner: Miner) -> None:
    """Remove all roles of a miner, whose lock the caller holds: all hosts work for it again."""
    list(Role.objects.select_for_update().filter(miner=miner).order_by("pk").values_list("pk", flat=True))
    Role.objects.filter(miner=miner).delete()
    RoleGroup.objects.filter(miner=miner).delete()


def roles_publish(miner: Miner) -> None:
    """Publish that the pages of a miner read its roles again."""
    publish(Change("role", miner.pk, miner.tenant_id))
