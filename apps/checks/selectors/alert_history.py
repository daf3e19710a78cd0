"""Alerts of the past: searched by state, check, severity and day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.checks.selectors.alerts import alerts_visible

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.checks.models import Alert
    from apps.users.principals import Principal

STATES: Final = ("open", "acknowledged", "ended")
"""Of alerts: an acknowledged one is open, too."""


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What to search for; empty fields match all."""

    state: str = ""
    """One of `STATES`."""
    check: str = ""
    severity: str = ""
    tenant: str | None = None
    """Name of the tenant whose alerts they are; empty: the whole pool's; None: all."""
    since: datetime | None = None
    until: datetime | None = None
    """The first moment at which one that began is not shown."""


def alerts_find(viewer: Principal, wanted: AlertFilter, *, before: int = 0) -> QuerySet[Alert]:
    """Return the alerts that the caller may know of and asked for, newest first, older than `before`."""
    rows = alerts_visible(viewer)
    if before:
        rows = rows.filter(pk__lt=before)
    if wanted.state:
        rows = rows.filter(ended_at__isnull=wanted.state != "ended")
    if wanted.state == "acknowledged":
        rows = rows.exclude(acknowledged_at=None)
    if wanted.check:
        rows = rows.filter(check_name=wanted.check)
    if wanted.severity:
        rows = rows.filter(severity=wanted.severity)
    if wanted.tenant is not None:
        rows = rows.filter(tenant__name=wanted.tenant) if wanted.tenant else rows.filter(tenant=None)
    if wanted.since is not None:
        rows = rows.filter(began_at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(began_at__lt=wanted.until)
    return rows
