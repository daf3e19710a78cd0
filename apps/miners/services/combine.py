"""All roles of a miner on one host, and back: what stood before is written into the rows themselves.

Source: filguard's way back to a single lotus-miner, which first stops all that run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from django.db import transaction

from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.miners.errors import NoStandby, RolesNotCombined
from apps.miners.models import Miner, Role
from apps.miners.reasons import COMBINED_ON, SEPARATED
from apps.miners.services.roles import (
    RoleGrant,
    role_acquire,
    role_assign,
    role_release,
    roles_lock,
    roles_publish,
)
from apps.miners.states import ROLE_LEASE_S, RoleKind, RoleState

NOTHING: Final = "NONE"
"""In `Role.before_combine`: the host had no such role."""
COMBINED: Final = (RoleKind.SEAL, RoleKind.DEAL, RoleKind.WINDOW, RoleKind.WINNING, RoleKind.ALLOCATOR)
"""What a single host does; there is no other host that it could back up."""


@transaction.atomic
def roles_combine(
    miner: Miner, *, host: str, heard: Mapping[str, datetime | None], now: datetime
) -> list[Role]:
    """Combine all roles on one host and park those of the others.

    `heard` says by kind when a program of the host that can do it was last heard of.  Raises NoStandby if
    nothing of the host proves windows, since they would be missed; RolesNotCombined if they are combined
    already; MinerNotReady.
    """
    rows = roles_lock(miner)
    seen = heard.get(RoleKind.WINDOW)
    if seen is None or (now - seen).total_seconds() > ROLE_LEASE_S:
        raise NoStandby(
            gettext("no prover on {host} sent a heartbeat in the last {seconds} s").format(
                host=host, seconds=ROLE_LEASE_S
            ),
            field="host",
        )
    combined = next((row.host for row in rows if row.before_combine and row.state == RoleState.HELD), "")
    if combined:
        raise RolesNotCombined(
            gettext("the roles are already combined on {combined}: separate them first").format(
                combined=combined
            )
        )
    before = {row.pk: row.state for row in rows}
    for row in rows:
        if row.host != host and row.state in (RoleState.HELD, RoleState.STANDBY):
            role_release(row, now=now, note=COMBINED_ON(host=host), event="PARK")
            Role.objects.filter(pk=row.pk).update(before_combine=before[row.pk])
    for kind in COMBINED:
        current = next((row for row in rows if (row.host, row.kind) == (host, kind)), None)
        was = NOTHING if current is None or current.state == RoleState.REMOVED else current.state
        row = role_assign(
            miner, grant=RoleGrant(host=host, kind=kind), heard_at=heard.get(kind) or seen, now=now
        )
        Role.objects.filter(pk=row.pk).update(before_combine=was)
    return roles_lock(miner)


@transaction.atomic
def roles_separate(miner: Miner, *, now: datetime) -> list[Role]:
    """Put every role back to where it was before the roles were combined.

    Raises RolesNotCombined.
    """
    rows = [row for row in roles_lock(miner) if row.before_combine]
    if all(row.state == RoleState.REMOVED for row in rows):
        raise RolesNotCombined(gettext("the roles of this miner are not combined on one host"))
    for row in rows:
        if row.state == RoleState.REMOVED:
            continue
        if row.before_combine == NOTHING:
            role_release(row, now=now, note=SEPARATED(), event="REMOVE")
        elif row.state == RoleState.HELD and row.before_combine == RoleState.STANDBY:
            role_release(row, now=now, note=SEPARATED())
        elif row.state == RoleState.PARKED:
            advance(row, "GIVE", since=now, note=SEPARATED(), updated_at=now)
    for row in rows:
        if row.state == RoleState.STANDBY and row.before_combine == RoleState.HELD:
            role_acquire(row, now=now, note=SEPARATED())
    Role.objects.filter(pk__in=[row.pk for row in rows]).update(before_combine="")
    roles_publish(miner)
    return roles_lock(miner)
