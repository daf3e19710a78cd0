"""Alerts of tenants: the checks of what each has, and never of what another has, to its own channels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from django.db import InterfaceError, OperationalError, transaction

from apps.checks.models import Alert
from apps.checks.report.cache import report_now
from apps.checks.selectors.alerts import tenants_notified
from apps.checks.selectors.data import CheckData
from apps.checks.services.alert_entries import alerts_end
from apps.checks.services.alerts import alerts_update
from apps.users.rules.principals import Principal
from apps.users.states import Perm

if TYPE_CHECKING:
    from datetime import datetime

    from apps.checks.models import Notification
    from apps.checks.report.report import Report
    from apps.users.models import Tenant

log = structlog.get_logger(__name__)


def tenants_alerts_update(*, pool: str, now: datetime) -> list[Notification]:
    """Evaluate the checks for each tenant with channels as its own pages do, and write their notifications.

    One tenant's evaluation that breaks stops no other's.
    """
    tenants = tenants_notified()
    alerts_end_unwatched(watched=tenants, now=now)
    rows: list[Notification] = []
    for tenant in tenants:
        try:
            rows += alerts_update(report=tenant_report_read(tenant), pool=pool, now=now, tenant=tenant)
        except (OperationalError, InterfaceError):
            raise  # an absent database is passed on
        except Exception:  # what nobody has foreseen of one tenant
            log.exception("tenant_alerts_failed", tenant=tenant.name)
    return rows


@transaction.atomic
def alerts_end_unwatched(*, watched: list[Tenant], now: datetime) -> None:
    """End the alerts of tenants whose checks are evaluated no more."""
    rows = Alert.objects.select_for_update().filter(ended_at=None).exclude(tenant=None)
    alerts_end(rows.exclude(tenant__in=watched), at=now)


def tenant_report_read(tenant: Tenant) -> Report:
    """Return what the checks find of what a tenant has, without what is true of the whole pool."""
    viewer = Principal(
        tenant_id=tenant.pk, tenant_name=tenant.name, is_operator=False, perm=Perm.READ, actor="system"
    )
    report = report_now(CheckData(viewer))
    return replace(report, results=tuple(one for one in report.results if not one.check.is_pool_wide))
