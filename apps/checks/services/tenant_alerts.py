"""Alerts of tenants: the checks of what each has, never of what another has, for its people and channels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog
from django.db import InterfaceError, OperationalError, transaction
from redis.exceptions import RedisError

from apps.checks.models import Alert, Notification
from apps.checks.report.cache import report_evaluate
from apps.checks.report.report import Report
from apps.checks.selectors.alerts import tenants_notified, tenants_unnotified
from apps.checks.selectors.channel_scopes import channels_of_miners
from apps.checks.selectors.data import CheckData
from apps.checks.services.alert_entries import alerts_end
from apps.checks.services.alerts import alert_ends_write, alerts_update
from apps.core.redis_clients import redis_client
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.states import Perm

log = structlog.get_logger(__name__)


NOTIFIED_S: Final = 5.0
"""Seconds that one evaluation takes at most for tenants with channels; the next goes on with the others."""
UNNOTIFIED_S: Final = 2.0
"""The same for tenants without any: their people see alerts, and nobody is waiting to be told."""
LAST_KEY: Final = "poolsite:alerts:last:"
"""In Redis: the tenant that was evaluated last, of those with channels and of those without."""


def tenants_alerts_update(*, pool: str, now: datetime) -> list[Notification]:
    """Evaluate the checks for each tenant as its own pages do, and write the notifications of its channels.

    Tenants that nobody signs in for and that have no channels are left out.  Of more than the time is enough
    for, those evaluated longest ago come first.  The operator's channels are told what is over of others.
    """
    notified, unnotified = tenants_notified(), tenants_unnotified()
    watched = [*notified, *unnotified]
    alerts_end_unwatched(watched=watched, now=now)
    rows: list[Notification] = []
    for name, tenants, most_s in (
        ("notified", notified, NOTIFIED_S),
        ("unnotified", unnotified, UNNOTIFIED_S),
    ):
        end = time.monotonic() + most_s
        for tenant in _in_turn(tenants, name=name):
            rows += _tenant_alerts_update(tenant, pool=pool, now=now)
            if time.monotonic() >= end:
                break
    return rows + alert_ends_write(pool=pool, watched=watched, now=now)


def _in_turn(tenants: list[Tenant], *, name: str) -> Iterator[Tenant]:
    """Yield the tenants from the one after that which was yielded last; without Redis from the first one."""
    last = 0
    with suppress(RedisError, OSError):
        last = int(redis_client().get(LAST_KEY + name) or 0)
    for tenant in sorted(tenants, key=lambda one: (one.pk <= last, one.pk)):
        with suppress(RedisError, OSError):
            redis_client().set(LAST_KEY + name, tenant.pk)
        yield tenant


def _tenant_alerts_update(tenant: Tenant, *, pool: str, now: datetime) -> list[Notification]:
    """Evaluate the checks for one tenant; one that breaks stops no other's."""
    try:
        report = tenant_report_read(tenant)
        of_miners = {
            channel.pk: tenant_report_read(tenant, miners=tuple(channel.only_miners))
            for channel in channels_of_miners(tenant)
        }
        return alerts_update(report=report, pool=pool, now=now, tenant=tenant, of_miners=of_miners)
    except (OperationalError, InterfaceError):
        raise  # an absent database is passed on
    except Exception:  # what nobody has foreseen of one tenant
        log.exception("tenant_alerts_failed", tenant=tenant.name)
        return []


@transaction.atomic
def alerts_end_unwatched(*, watched: list[Tenant], now: datetime) -> None:
    """End the alerts of tenants whose checks are evaluated no more."""
    rows = Alert.objects.select_for_update().filter(ended_at=None).exclude(tenant=None)
    alerts_end(rows.exclude(tenant__in=watched).order_by("pk"), at=now)


def tenant_report_read(tenant: Tenant, *, miners: tuple[int, ...] = ()) -> Report:
    """Return what the checks find of what a tenant has, or of some of its miners alone.

    What is true of the whole pool is left out.
    """
    viewer = Principal(
        tenant_id=tenant.pk,
        tenant_name=tenant.name,
        is_operator=False,
        perm=Perm.READ,
        actor="system",
        miners=miners,
    )
    report = report_evaluate(CheckData(viewer))
    return replace(report, results=tuple(one for one in report.results if not one.check.is_pool_wide))
