"""Lines of alerts' histories: few, however often a check fails and passes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from apps.checks.models import Alert, AlertEntry
from apps.checks.states import AlertEntryKind
from apps.core.live import OPERATOR, Change, publish

ENTRIES_MAX: Final = 200
"""Lines of one alert that evaluations write; people's lines are not counted."""
FOUND: Final = (AlertEntryKind.STARTED, AlertEntryKind.CHANGED)
EVALUATED: Final = (*FOUND, AlertEntryKind.ENDED)
FACTOR: Final = 2
"""A count is told of once it is this many times the one told of last, or this part of it."""


def entry_add(
    alert: Alert,
    *,
    kind: AlertEntryKind,
    at: datetime,
    actor: str = "",
    text: str = "",
    until: datetime | None = None,
) -> None:
    """Write one line about an alert as it is now; of evaluations at most `ENTRIES_MAX`."""
    publish(Change("alert", str(alert.uuid), alert.tenant_id or OPERATOR))
    if kind in EVALUATED and alert.entries.filter(kind__in=EVALUATED).count() >= ENTRIES_MAX:
        return
    AlertEntry.objects.create(
        alert=alert,
        at=at,
        kind=kind,
        actor=actor[:200],
        text=text,
        severity=alert.severity,
        count=alert.count,
        until=until,
    )


def change_note(alert: Alert, *, at: datetime) -> None:
    """Write a line if an alert is of another severity or order than the last line says."""
    last = alert.entries.filter(kind__in=FOUND).order_by("-pk").first()
    if last is None:
        return
    less, more = sorted((last.count, alert.count))
    if alert.severity == last.severity and more < FACTOR * less:
        return
    entry_add(alert, kind=AlertEntryKind.CHANGED, at=at, text=alert.say)


def alerts_end(alerts: Iterable[Alert], *, at: datetime) -> None:
    """End alerts, locked by the caller; whoever acknowledged one is done with it."""
    for alert in alerts:
        alert.ended_at = at
        alert.acknowledged_at, alert.acknowledged_by, alert.acknowledged_until = None, "", None
        alert.save(update_fields=["ended_at", "acknowledged_at", "acknowledged_by", "acknowledged_until"])
        entry_add(alert, kind=AlertEntryKind.ENDED, at=at)
