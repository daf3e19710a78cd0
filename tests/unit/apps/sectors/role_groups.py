"""Hosts with labels, and groups of them that are given roles."""

from __future__ import annotations

from datetime import datetime

from apps.miners.models import Miner, RoleGroup
from apps.miners.selectors.roles import roles_of
from apps.miners.states import RoleKind
from apps.sectors.models import Worker
from apps.sectors.services.hosts.settings import worker_group_set
from apps.sectors.services.roles.groups import (
    GroupGrant,
    group_role_assign,
)
from tests import people
from tests.unit.apps.sectors.roles import machine
from tests.unit.apps.sectors.sealing import NOON

WINDOW, SEAL = RoleKind.WINDOW, RoleKind.SEAL


def labelled(name: str, label: str = "posts") -> Worker:
    worker = machine(name)
    Worker.objects.filter(pk=worker.pk).update(group=label)
    worker.refresh_from_db()
    return worker


def give(miner: Miner, group: str = "posts", kind: str = WINDOW, *, at: datetime = NOON) -> RoleGroup:
    return group_role_assign(
        miner, grant=GroupGrant(group=group, kind=kind), principal=people.principal(), now=at
    )


def states(miner: Miner, kind: str = WINDOW) -> dict[str, str]:
    return {row.host: row.state for row in roles_of(miner) if row.kind == kind}


def label_set(worker: Worker, group: str) -> None:
    worker_group_set(worker, group=group, actor="x", by=people.principal())
