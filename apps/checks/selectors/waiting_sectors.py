"""New sectors that wait for a host, and which hosts may begin them by their roles and rules."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import Case, Count, Min, Value, When

from apps.messages.selectors.recovery import recovery_row
from apps.miners.models import Role
from apps.miners.selectors.roles import role_is_in_force
from apps.miners.states import RoleKind, RoleState
from apps.sectors.models import DAMOCLES, HostReport, Job, Worker
from apps.sectors.selectors.hosts import worker_machine
from apps.sectors.states import JobState
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import JobKind
from poolsite.wire.sealing_rule_values import NEW_PLANS
from poolsite.wire.sealing_rules import PLAN, SEALING, THREADS, SealingRules, rule_key, rules_of

WAITED: Final = timedelta(minutes=15)
"""A host with a free slot and room has taken a new sector long before."""


@dataclass(frozen=True, slots=True)
class WaitingSectors:
    """New sectors of one miner and size that no host has begun."""

    tenant_id: int
    miner_id: int
    """The miner's key."""
    actor_id: int
    size: int
    has_data: bool
    count: int
    since: datetime

    @property
    def miner(self) -> str:
        """Return the miner's address."""
        return f"f0{self.actor_id}"

    @property
    def role(self) -> RoleKind:
        """Return the role in which a host begins them, where the miner's hosts have roles."""
        return RoleKind.DEAL if self.has_data else RoleKind.SEAL


def sectors_waiting(viewer: Principal, *, at: datetime) -> list[WaitingSectors]:
    """Return the new sectors that have waited for long, those of each miner, size and kind together."""
    jobs = Job.objects.filter(
        kind=JobKind.SEAL, state=JobState.READY, sticky_worker=None, sector__paused_at=None
    ).filter(updated_at__lt=at - WAITED)
    if viewer.miners:
        jobs = jobs.filter(miner__actor_id__in=viewer.miners)
    if not viewer.is_operator:
        jobs = jobs.filter(miner__tenant_id=viewer.own_id)
    has_data = Case(When(sector__pieces=[], then=Value(value=False)), default=Value(value=True))
    keys = ("miner__tenant_id", "miner_id", "miner__actor_id", "sector__sector_size")
    rows = jobs.order_by().values_list(*keys, has_data).annotate(Count("pk"), Min("updated_at"))
    return sorted((WaitingSectors(*row) for row in rows), key=lambda one: one.since)


def tenants_sealing() -> set[int]:
    """Return the keys of the tenants of which a host works on a sector."""
    rows = Job.objects.filter(kind=JobKind.SEAL, state=JobState.LEASED).order_by()
    return set(rows.values_list("miner__tenant_id", flat=True).distinct())


@dataclass(frozen=True, slots=True)
class HostRules:
    """Hosts of a tenant on one machine with equal settings: which sectors they may begin."""

    tenant_id: int
    machine: str
    """By which roles know it; empty where no role is of it."""
    settings: Mapping[str, str]
    """Settings that the host reported, by key; of many hosts only those that limit new sectors."""


@dataclass(frozen=True, slots=True)
class SealingHosts:
    """Sealing hosts, with what bars them from beginning a sector until a person changes it."""

    rules: tuple[HostRules, ...]
    tenants_of_damocles: frozenset[int]
    """Tenants that have damocles-workers, too."""
    ruled: frozenset[tuple[int, str]]
    """Miners and roles that some host was given: others may not do this for them."""
    held: frozenset[tuple[str, int, str]]
    """Which machine holds which of these."""

    def has_role(self, host: HostRules, one: WaitingSectors) -> bool:
        """Return whether a host may begin them by its roles."""
        is_free = (one.miner_id, one.role) not in self.ruled
        return is_free or (host.machine, one.miner_id, one.role) in self.held

    def has_rule(self, host: HostRules, one: WaitingSectors) -> bool:
        """Return whether the host's own rules, or those of one of its threads, take them."""
        deals = [one.size] if one.has_data else None
        rules = sealing_rules(host.settings)
        return any(
            each.takes.takes(miner_id=one.actor_id, sector_size=one.size, deals=deals) for each in rules
        )

    def may_begin(self, host: HostRules, one: WaitingSectors) -> bool:
        """Return whether neither roles nor rules bar a host of the tenant from beginning them."""
        is_own = host.tenant_id == one.tenant_id
        return is_own and self.has_role(host, one) and self.has_rule(host, one)

    def may_ever_begin(self, one: WaitingSectors) -> bool:
        """Return whether some host may begin them once it has a free slot.

        What a damocles-worker begins is not known here: it has rules of its own.
        """
        own = [rules for rules in self.rules if rules.tenant_id == one.tenant_id]
        is_bounded = own and one.tenant_id not in self.tenants_of_damocles
        return not is_bounded or any(self.may_begin(rules, one) for rules in own)


RULES: Final = f"""
    SELECT DISTINCT tenant_id, CASE WHEN machine = ANY(%(machines)s) THEN machine ELSE '' END,
        jsonb_path_query_array(
            coalesce(report.settings, '[]'),
            '$[*] ? (@.key starts with "{SEALING}" || @.key starts with "{THREADS}")'
        )
    FROM (SELECT *, CASE host WHEN '' THEN name ELSE host END AS machine FROM {Worker._meta.db_table}) one
    LEFT JOIN {HostReport._meta.db_table} report ON report.worker_id = one.id
    WHERE retired_at IS NULL AND kinds ? %(kind)s AND tenant_id = ANY(%(tenants)s)
"""  # noqa: S608  # constants


def sealing_hosts(waiting: Sequence[WaitingSectors], *, at: datetime) -> SealingHosts:
    """Return what the sealing hosts of those tenants obey whose sectors wait."""
    tenants = {one.tenant_id for one in waiting}
    roles = Role.objects.filter(
        miner__in={one.miner_id for one in waiting}, kind__in=(RoleKind.SEAL, RoleKind.DEAL)
    ).exclude(state=RoleState.REMOVED)
    given = list(roles)
    restored_at = recovery_row().restored_at if given else None
    held = frozenset(
        (role.host, role.miner_id, role.kind)
        for role in given
        if role_is_in_force(role, now=at, restored_at=restored_at)
    )
    damocles = Worker.objects.filter(
        retired_at=None, tenant__in=tenants, kinds__contains=[DAMOCLES]
    ).order_by()
    machines = list({machine for machine, _, _ in held})
    values: dict[str, Any] = {"machines": machines, "kind": JobKind.SEAL, "tenants": list(tenants)}
    with connection.cursor() as cursor:
        cursor.execute(RULES, values)
        rules = tuple(
            HostRules(tenant, machine, settings_by_key(json.loads(settings)))
            for tenant, machine, settings in cursor.fetchall()
        )
    return SealingHosts(
        rules=rules,
        tenants_of_damocles=frozenset(damocles.values_list("tenant_id", flat=True).distinct()),
        ruled=frozenset((role.miner_id, role.kind) for role in given),
        held=held,
    )


def settings_by_key(settings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the settings that a host told, by key."""
    return {one["key"]: one["value"] for one in settings}


def hosts_of_waiting(tenants: Collection[int], most: int) -> dict[Worker, HostRules]:
    """Return the first sealing hosts of some tenants, with what they obey."""
    rows = Worker.objects.filter(retired_at=None, tenant__in=tenants, kinds__contains=[JobKind.SEAL])
    hosts = list(rows.order_by("name", "pk")[:most])
    reports = HostReport.objects.filter(worker__in=hosts).values_list("worker_id", "settings")
    by_host = {worker: settings_by_key(settings) for worker, settings in reports}
    return {host: HostRules(host.tenant_id, worker_machine(host), by_host.get(host.pk, {})) for host in hosts}


def sealing_rules(settings: Mapping[str, str]) -> list[SealingRules]:
    """Return the rules of a host by its settings, or of each of its threads that begins sectors."""
    by_thread: dict[int, dict[str, str]] = {0: {}}
    for key, value in settings.items():
        found = rule_key(key) if key.startswith((SEALING, THREADS)) else None
        if found is not None:
            by_thread.setdefault(found[0], {})[found[1]] = value
    own = by_thread.pop(0)
    threads = [own | of for of in by_thread.values() if of.get(PLAN, NEW_PLANS[0]) in NEW_PLANS]
    return [_rules(values) for values in threads or ([] if by_thread else [own])]


def _rules(values: Mapping[str, str]) -> SealingRules:
    """Return rules as the host would read them; of a newer host's that cannot be read, none."""
    try:
        return rules_of({name: value for name, value in values.items() if name != PLAN})
    except (ValueError, KeyError, OverflowError):
        return SealingRules()
