"""Trying a host's sealing role: one sector is pledged for it, whose number must be the miner's highest.

Source: filguard's guide to adding a seal-miner, which pledges one by hand and compares the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max

from apps.core.marked_texts import gettext
from apps.miners.errors import NoStandby, RoleUnknown
from apps.miners.models import Miner, Role
from apps.miners.services.roles import roles_lock, roles_publish
from apps.miners.states import RoleKind, RoleState
from apps.sectors.models import Job, Sector
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.hosts import workers_of_host
from apps.sectors.services.sealing.pledge import pledge_create
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState


@dataclass(frozen=True, slots=True)
class RoleTest:
    """How far a role's trial is."""

    sector: Sector
    highest: int
    """Of the miner before the trial."""
    host: str
    """Which host has begun it; empty: none yet."""

    @property
    def is_highest(self) -> bool:
        """Return whether the number is above all that were there, so no other program gives numbers out."""
        return self.sector.number > self.highest

    @property
    def has_started(self) -> bool:
        """Return whether the host has made the first stage."""
        return self.sector.state != SectorState.ALLOCATED


@transaction.atomic
def role_test(
    miner: Miner,
    *,
    host: str,
    allocated: Sequence[range],
    principal: Principal,
    now: datetime,
    key: str = "",
) -> Sector:
    """Pledge one sector that this host alone may seal; the same `key` again gives the same sector.

    `allocated` as in `pledge_create`.

    Raises RoleUnknown, NoStandby if no sealer on the host is there, and what `pledge_create` raises.
    """
    rows = roles_lock(miner)
    role = next((row for row in rows if (row.host, row.kind) == (host, RoleKind.SEAL)), None)
    if role is None or role.state != RoleState.HELD:
        raise RoleUnknown(RoleKind.SEAL, host)
    since = now - timedelta(seconds=sealing_policy().worker_away_s)
    workers = workers_of_host(miner.tenant_id, host).filter(seen_at__gte=since, is_paused=False)
    sealer = next((one for one in workers.order_by("-seen_at") if JobKind.SEAL in one.kinds), None)
    if sealer is None:
        raise NoStandby(gettext("no sealer on {host} is online").format(host=host), field="host")
    own = Sector.objects.filter(miner=miner).aggregate(top=Max("number"))["top"]
    highest = max([-1 if own is None else own, *(span.stop - 1 for span in allocated)])
    of_host = key and f"{host}:{key}"
    pledge = pledge_create(
        miner, count=1, actor=principal.actor, now=now, allocated=allocated, key=of_host, by=principal
    )
    sector: Sector = pledge.sectors.get()
    if role.test_pledge == pledge.uuid:
        return sector
    Job.objects.filter(sector=sector).update(sticky_worker=sealer, priority=1)
    Role.objects.filter(pk=role.pk).update(test_pledge=pledge.uuid, test_highest=highest, updated_at=now)
    roles_publish(miner)
    return sector


def role_tests_load(roles: Sequence[Role]) -> dict[int, RoleTest]:
    """Return the last trial of each role by the role's key."""
    tried = {role.test_pledge: role for role in roles if role.test_pledge is not None}
    sectors = Sector.objects.filter(pledge__uuid__in=tried).select_related("pledge", "job__worker")
    tests = {}
    for sector in sectors:
        assert sector.pledge is not None, "found by its pledge"
        role, worker = tried[sector.pledge.uuid], sector.job.worker
        started = worker.name if worker is not None else ""
        tests[role.pk] = RoleTest(sector, role.test_highest, started)
    return tests
