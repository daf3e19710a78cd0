"""Each tenant's use of the pool: hosts, proofs, gas."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Sum

from apps.checks.models import ServiceDay, TenantServiceDay
from apps.core.day_ranges import last_days
from apps.messages.selectors.spend import spend_on
from apps.sectors.selectors.host_groups import hosts_known
from apps.users.rules.principals import Principal

DAYS: Final = 30
"""UTC days over which proofs and gas are added up, today included."""


@dataclass(frozen=True, slots=True)
class TenantUse:
    """The use of one tenant, or of all together."""

    hosts: int = 0
    proofs: int | None = None
    """Proofs of windows that landed; None while no day is counted."""
    gas: int = 0
    """attoFIL of its landed messages."""


def tenant_uses(viewer: Principal, *, now: datetime) -> tuple[dict[int | None, TenantUse], TenantUse]:
    """Return the use by the tenant's key (None: the pool itself) of all that the viewer sees, and its sum."""
    days = last_days(DAYS, now=now)
    hosts = dict(hosts_known(viewer).order_by().values_list("tenant_id").annotate(many=Count("pk")))
    gas = dict(spend_on(viewer, days).order_by().values_list("tenant_id").annotate(sum=Sum("cost")))
    proofs: dict[int, int] | None = None
    if ServiceDay.objects.filter(day__gte=days.first, day__lte=days.last).exists():
        rows = TenantServiceDay.objects.filter(day__day__gte=days.first, day__day__lte=days.last)
        rows = rows if viewer.sees_pool else rows.filter(tenant_id=viewer.own_id)
        proofs = dict(rows.order_by().values_list("tenant_id").annotate(sum=Sum("posts_proven")))
    keys: set[int | None] = {*hosts, *gas, *(proofs or {})}
    found = {
        key: TenantUse(
            hosts=hosts.get(key, 0),
            proofs=None if proofs is None else proofs.get(key or 0, 0),
            gas=int(gas.get(key, 0)),
        )
        for key in keys
    }
    everything = TenantUse(
        hosts=sum(hosts.values()),
        proofs=None if proofs is None else sum(proofs.values()),
        gas=int(sum(gas.values())),
    )
    return found, everything
