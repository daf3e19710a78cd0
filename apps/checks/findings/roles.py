"""Checks of who works for a miner: roles that no host has, moves that a restored database may not know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext_noop

from apps.checks import reasons
from apps.checks.findings.parts import host_part, prover_part
from apps.checks.findings.results import Finding, Link
from apps.checks.findings.text import grouped, miners_named, named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import first_close
from apps.core.reasons import MARKED, lasting
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_with_restored_moves
from apps.miners.selectors.roles import UnheldRole
from apps.miners.states import RoleKind


def roles_unheld(data: CheckData) -> Iterator[Finding]:
    """Roles whose lease ran out with nobody on standby: windows are missed, wins lost."""
    ill = [miner for miner in data.miners if miner.pk in data.roles_unheld]
    for group in grouped(sorted(ill, key=lambda miner: -_per_day(miner, data))):
        roles = [role for miner in group for role in data.roles_unheld[miner.pk]]
        kinds = [
            MARKED(text=str(RoleKind(kind).label)) for kind in dict.fromkeys(role.kind for role in roles)
        ]
        due = _closes_first(group, data)
        yield Finding(
            f"roles-{group[0].address or group[0].pk}",
            reasons.ROLES_UNHELD(kinds=named(kinds), group=miners_named(group)),
            _reason(roles, data),
            link=Link("miner-roles", (group[0].address,)) if len(group) == 1 else None,
            count=len(group),
            per_day=sum(_per_day(miner, data) for miner in group),
            due_s=due,
            due_label=reasons.UNTIL_CLOSES() if due is not None else "",
            breaks=tuple(map(prover_part, group)),
            needs=tuple(
                tuple(host_part(miner.tenant_id, host) for host in role.hosts)
                for miner in group
                for role in data.roles_unheld[miner.pk]
            ),
        )


def moves_restored(data: CheckData) -> Iterator[Finding]:
    """Miners that were moved, at heights that the backup knew: later ones are lost with the database."""
    miners = list(miners_with_restored_moves(data.restored))
    if miners:
        yield Finding(
            "moves-restored",
            reasons.MOVES_RESTORED(miners=named([miner.address for miner in miners])),
            reasons.MOVES_OF_BACKUP(),
            button=gettext_noop("Recovery"),
            count=len(miners),
        )


def _reason(roles: Sequence[UnheldRole], data: CheckData) -> str:
    """Return which hosts have the roles, and since when none of them was heard of."""
    hosts = list(dict.fromkeys(host for role in roles for host in role.hosts))
    heard_last = max((role.heard_at for role in roles if role.heard_at is not None), default=None)
    silent = (
        "" if heard_last is None else reasons.SILENT_FOR(time=lasting((data.at - heard_last).total_seconds()))
    )
    return reasons.ROLES_ASSIGNED(hosts=named(hosts), silent=silent)


def _does(miner: Miner, data: CheckData, kind: RoleKind) -> bool:
    """Return whether a kind is among what nobody does for a miner."""
    return any(role.kind == kind for role in data.roles_unheld[miner.pk])


def _per_day(miner: Miner, data: CheckData) -> int:
    """Return what it costs each day: fees for faults where windows are missed, and the rewards of wins."""
    fees = data.fault_fee_per_day(miner, miner.active_sectors) if _does(miner, data, RoleKind.WINDOW) else 0
    return fees + (data.reward_per_day(miner) if _does(miner, data, RoleKind.WINNING) else 0)


def _closes_first(miners: Sequence[Miner], data: CheckData) -> int | None:
    """Return when the first window with sectors closes for which no host proves."""
    return first_close(data, [miner for miner in miners if _does(miner, data, RoleKind.WINDOW)])
