"""Failing an exclusive role over to a host on standby."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.miners.errors import NoStandby
from apps.miners.models import Miner, Role
from apps.miners.reasons import FAILED_OVER, FAILED_OVER_FROM, FAILED_OVER_TO
from apps.miners.selectors.roles import role_is_heard
from apps.miners.services.roles import (
    role_acquire,
    role_find,
    role_release,
    role_successor_choose,
    roles_lock,
    roles_publish,
)
from apps.miners.states import EXCLUSIVE_ROLES, ROLE_LEASE_S, RoleState


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
        role_release(holder, now=now, note=FAILED_OVER_TO(host=target.host))
    role_acquire(
        target,
        now=now,
        note=FAILED_OVER_FROM(host=holder.host) if holder else FAILED_OVER(),
    )
    roles_publish(miner)
    return holder, target


def _standby_choose(rows: list[Role], kind: str, to_host: str, *, now: datetime) -> Role:
    """Return the row that is to take over.  Raises RoleUnknown, NoStandby."""
    if to_host:
        row = role_find(rows, host=to_host, kind=kind)
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
    found = role_successor_choose(rows, kind=kind, now=now)
    if found is None:
        raise NoStandby(
            gettext("no other host with the role {kind} sent a heartbeat in the last {seconds} s").format(
                kind=kind, seconds=ROLE_LEASE_S
            )
        )
    return found
