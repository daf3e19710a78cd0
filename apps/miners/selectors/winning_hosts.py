"""Reading which host proves a miner's wins."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from apps.core.compiled import Compiled
from apps.gateway.hub.routes import host_account
from apps.messages.selectors.recovery import recovery_row
from apps.miners.models import Miner, Role
from apps.miners.selectors.roles import role_is_in_force
from apps.miners.states import RoleKind, RoleState

WINNING: Final[Compiled[Role]] = Compiled(
    "winning_roles",
    lambda miners: Role.objects.filter(miner_id__any=miners, kind=RoleKind.WINNING).exclude(
        state=RoleState.REMOVED
    ),
    miners="bigint[]",
)


def winning_hosts(miners: Collection[int] | QuerySet[Miner, int], *, now: datetime) -> dict[int, str]:
    """Return the host that proves a miner's wins, by the miner's key; none where no host has this role.

    An empty name: some host has it, and nobody holds it now.
    """
    roles = WINNING.rows(miners=list(miners))
    found: dict[int, str] = dict.fromkeys([role.miner_id for role in roles], "")
    restored_at = recovery_row().restored_at if roles else None
    for role in roles:
        if role_is_in_force(role, now=now, restored_at=restored_at):
            found[role.miner_id] = role.host
    return found


def winning_account(tenant: str, actor_id: int, *, now: datetime) -> str:
    """Return the account of the hub whose provers may prove a miner's wins: its tenant's, or one host's."""
    hosts = winning_hosts(Miner.objects.filter(actor_id=actor_id).values_list("pk", flat=True), now=now)
    return host_account(tenant, next(iter(hosts.values()))) if hosts else tenant
