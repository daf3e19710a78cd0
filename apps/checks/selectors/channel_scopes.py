"""Which channels are told of whose alerts, and which alerts have waited for one long enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Max, Q, QuerySet

from apps.checks.models import Alert, AlertChannel, AlertEntry
from apps.checks.states import AlertEntryKind
from apps.miners.models import Miner
from apps.users.models import Tenant

UNATTENDED: Final = (AlertEntryKind.WITHDRAWN, AlertEntryKind.EXPIRED, AlertEntryKind.WORSENED)
"""Lines after which nobody has an alert any more."""


def channels_told(tenant: Tenant | None) -> QuerySet[AlertChannel]:
    """Return the enabled channels that are told of a tenant's alerts, without one of the whole pool's."""
    rows = AlertChannel.objects.filter(is_enabled=True)
    if tenant is None:
        return rows.filter(tenant=None, only_tenants=[], only_miners=[])
    return rows.filter(Q(tenant=tenant) | Q(pk__in=_followers(tenant)))


def _followers(tenant: Tenant) -> list[int]:
    """Return the operator's channels that are told of a tenant's alerts, or of some of its miners."""
    rows = [row for row in _narrowed() if not row.only_tenants or tenant.pk in row.only_tenants]
    wanted = {actor_id for row in rows for actor_id in row.only_miners}
    own = set(_miners_of(tenant, wanted)) if wanted else set()
    return [row.pk for row in rows if not row.only_miners or not own.isdisjoint(row.only_miners)]


def _narrowed() -> QuerySet[AlertChannel]:
    """Return the operator's channels that are not told of the whole pool."""
    return AlertChannel.objects.filter(tenant=None).exclude(only_tenants=[], only_miners=[])


def _miners_of(tenant: Tenant, actor_ids: set[int]) -> QuerySet[Miner, int]:
    rows = Miner.objects.filter(tenant=tenant, actor_id__in=actor_ids)
    return rows.values_list("actor_id", flat=True)  # type: ignore[return-value]  # not null where it is in


def tenants_followed() -> set[int]:
    """Return the keys of the tenants whose alerts one of the operator's channels is told of."""
    found: set[int] = set()
    for row in _narrowed():
        miners = Miner.objects.filter(actor_id__in=row.only_miners)
        owners = set(miners.values_list("tenant", flat=True)) if row.only_miners else set(row.only_tenants)
        found |= owners.intersection(row.only_tenants) if row.only_tenants else owners
    return found


def tenants_left(channel: AlertChannel) -> list[str]:
    """Return the names of the tenants chosen of a channel that are not deleted."""
    names = Tenant.objects.filter(pk__in=channel.only_tenants, deleted_at=None).order_by("name")
    return list(names.values_list("name", flat=True)) if channel.only_tenants else []


def channels_of_miners(tenant: Tenant) -> list[AlertChannel]:
    """Return those of a tenant's alerts that are told of some of its miners alone."""
    return list(channels_told(tenant).exclude(only_miners=[]))


def unattended(channel: AlertChannel, alerts: Sequence[Alert], *, now: datetime) -> list[Alert]:
    """Return the alerts that nobody has had for as long as a channel waits: it is told of these by now."""
    if not channel.wait_min:
        return list(alerts)
    left = AlertEntry.objects.filter(alert__in=[row.pk for row in alerts], kind__in=UNATTENDED)
    last = dict(left.order_by().values_list("alert").annotate(Max("at")))
    wait = timedelta(minutes=channel.wait_min)
    return [
        row
        for row in alerts
        if not row.is_acknowledged and now - max(row.since, last.get(row.pk, row.since)) >= wait
    ]
