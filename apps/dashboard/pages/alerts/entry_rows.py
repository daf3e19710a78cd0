"""The lines of an alert's history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.checks.findings.results import Severity
from apps.checks.selectors.alert_history import alert_acts, alert_notifications
from apps.checks.selectors.alerts import alert_entries
from apps.checks.states import AlertEntryKind
from apps.core.formatting import plural
from apps.core.local_time import moment_text
from apps.core.stored_texts import stored_text
from apps.dashboard.pages.alerts.page import notification_label

if TYPE_CHECKING:
    from datetime import datetime

    from apps.checks.models import Alert, AlertEntry, Notification
    from apps.users.models import AuditEntry
    from apps.users.rules.principals import Principal


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One line of an alert's history."""

    at: datetime
    tone: str
    icon: str
    say: str
    text: str = ""
    """What was found, written or refused, as it is."""


def history_rows(viewer: Principal, alert: Alert, *, now: datetime) -> list[HistoryRow]:
    """Return what was found, sent, done and written, oldest first, as far as the viewer may see it."""
    rows = [entry_row(entry) for entry in alert_entries(alert)]
    rows += [notification_row(row) for row in alert_notifications(viewer, alert)]
    rows += [act_row(row) for row in alert_acts(viewer, alert, now=now)]
    return sorted(rows, key=lambda row: row.at)


def notification_row(row: Notification) -> HistoryRow:
    """Lay out a notification with what became of it."""
    label = notification_label(row)
    say = gettext("Notified {channel}: {event} ({state})").format(
        channel=row.channel.name, event=row.get_event_display(), state=label.word
    )
    return HistoryRow(row.created_at, label.tone, "alerts", say, stored_text(row.error))


def act_row(row: AuditEntry) -> HistoryRow:
    """Lay out a line of the audit log."""
    say = gettext("{actor}: {action}").format(actor=row.actor or "–", action=row.action)
    return HistoryRow(row.at, "idle", "audit", say, row.target)


def entry_row(entry: AlertEntry) -> HistoryRow:
    """Lay out one entry."""
    tone, icon = tone_of(entry)
    written = entry.kind == AlertEntryKind.COMMENTED
    text = entry.text if written else stored_text(entry.text)
    return HistoryRow(entry.at, tone, icon, entry_text(entry), text)


def tone_of(entry: AlertEntry) -> tuple[str, str]:
    """Return tone and icon of an entry."""
    failing = "bad" if entry.severity == Severity.CRITICAL else "warn"
    return {
        AlertEntryKind.STARTED: (failing, failing),
        AlertEntryKind.CHANGED: (failing, failing),
        AlertEntryKind.WORSENED: (failing, failing),
        AlertEntryKind.ENDED: ("ok", "ok"),
        AlertEntryKind.EXPIRED: ("warn", "wait"),
        AlertEntryKind.ACKNOWLEDGED: ("run", "people"),
        AlertEntryKind.WITHDRAWN: ("idle", "people"),
        AlertEntryKind.COMMENTED: ("idle", "messages"),
    }[AlertEntryKind(entry.kind)]


def entry_text(entry: AlertEntry) -> str:
    """Return what an entry tells of, in words."""
    objects = plural(entry.count, "object")
    if entry.kind == AlertEntryKind.ACKNOWLEDGED:
        if entry.until is None:
            return gettext("{actor} acknowledged it until it passes").format(actor=entry.actor)
        return gettext("{actor} acknowledged it until {until}").format(
            actor=entry.actor, until=moment_text(entry.until)
        )
    texts = {
        AlertEntryKind.STARTED: gettext("Started failing: {severity}, {objects}"),
        AlertEntryKind.CHANGED: gettext("Changed: {severity}, {objects}"),
        AlertEntryKind.WORSENED: gettext("Became worse: {objects}. The acknowledgement of {actor} ended"),
        AlertEntryKind.ENDED: gettext("Passes again"),
        AlertEntryKind.EXPIRED: gettext("The acknowledgement of {actor} ran out"),
        AlertEntryKind.WITHDRAWN: gettext("{actor} ended the acknowledgement"),
        AlertEntryKind.COMMENTED: gettext("{actor} commented"),
    }
    text = texts[AlertEntryKind(entry.kind)]
    return text.format(severity=stored_text(entry.severity), objects=objects, actor=entry.actor)
