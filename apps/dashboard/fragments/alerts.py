"""Alerts: the channels that are told, the checks that fail since when, and what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from apps.checks.results import Severity
from apps.checks.selectors import alerts_recent, channels_all, channels_undelivered, notifications_recent
from apps.core import formatting
from apps.dashboard.fragments.context import FragmentContext, FragmentsByKind, fragment
from apps.dashboard.fragments.todo import checked_text
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.rows.actions import Action
from apps.dashboard.rows.cards import Verdict, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.checks.models import Alert, AlertChannel, Notification
    from apps.dashboard.page_data import PageData

ALERTS_SHOWN: Final = 30
NOTIFICATIONS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One channel in the table."""

    name: str
    kind: str
    what: str
    """Which notifications it gets, and how often."""
    word: StateLabel
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One check that fails, or failed."""

    say: str
    title: str
    word: StateLabel
    since: str
    lasted: str


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """One notification."""

    text: str
    channel: str
    at: str
    word: StateLabel
    error: str


def channel_row(row: AlertChannel, *, failing: set[int], may_act: bool) -> ChannelRow:
    """Lay out a channel."""
    word = StateLabel("ok", "on") if row.is_enabled else StateLabel("idle", "off", "pause")
    if row.pk in failing:
        word = StateLabel("bad", "not delivered")
    level = "critical checks" if row.critical_only else "all checks"
    op = "disable" if row.is_enabled else "enable"
    actions = (
        Action("test", "Send test", reverse("alert-channel-act", args=[row.uuid, "test"])),
        Action(op, op.capitalize(), reverse("alert-channel-act", args=[row.uuid, op])),
        Action("remove", "Remove…", reverse("alert-channel-act", args=[row.uuid, "remove"])),
    )
    every = formatting.time_left(row.repeat_s)
    what = f"{level}, each at most once in {every} while it fails"
    return ChannelRow(row.name, str(row.get_kind_display()), what, word, actions if may_act else ())


def alert_row(row: Alert, data: PageData) -> AlertRow:
    """Lay out an alert."""
    tone = "bad" if row.severity == Severity.CRITICAL else "warn"
    end = row.ended_at or data.at
    return AlertRow(
        say=row.say[:1].upper() + row.say[1:],
        title=row.title,
        word=StateLabel("ok", "passes again") if row.ended_at is not None else StateLabel(tone, row.severity),
        since=str(time_html(row.since)),
        lasted=formatting.time_left(max((end - row.since).total_seconds(), 0)),
    )


def notification_row(row: Notification) -> NotificationRow:
    """Lay out a notification."""
    if row.delivered_at is not None:
        word = StateLabel("ok", "delivered")
    elif row.next_try_at is None:
        word = StateLabel("bad", "given up")
    else:
        word = (
            StateLabel("warn", f"failed {row.attempts} times")
            if row.attempts
            else StateLabel("run", "to be sent")
        )
    return NotificationRow(row.text, row.channel.name, str(time_html(row.created_at)), word, row.error)


def alerts_verdict(data: PageData, channels: list[ChannelRow]) -> Verdict:
    """Return one sentence: how many checks fail, and which channels are notified."""
    report = data.report
    failed = len(report.results) - report.passed
    say = f"{plural(failed, 'check')} {'fails' if failed == 1 else 'fail'}." if failed else "All checks pass."
    told = f"Notifications go to {plural(len(channels), 'channel')}."
    return Verdict(say, told if channels else "Nobody is notified: add a channel.", checked_text(report))


def alerts_context(data: PageData) -> dict[str, Any]:
    """Everything on the page."""
    failing = {row.pk for row in channels_undelivered(data.at)}
    may_act = data.viewer.may("admin")
    channels = [channel_row(row, failing=failing, may_act=may_act) for row in channels_all()]
    return {
        "verdict": alerts_verdict(data, channels),
        "channels": channels,
        "alerts": [alert_row(row, data) for row in alerts_recent(ALERTS_SHOWN)],
        "notifications": [notification_row(row) for row in notifications_recent(NOTIFICATIONS_SHOWN)],
    }


def alerts_fragment(context: FragmentContext) -> Iterable[str]:
    """The verdict and the tables; buttons of channels stay, they change by a click alone."""
    if not context.viewer.is_operator:
        return
    shown = alerts_context(context.data)
    yield fragment("dashboard/_verdict.html", verdict=shown["verdict"])
    yield fragment("alerts/_alerts.html", alerts=shown["alerts"])
    yield fragment("alerts/_notifications.html", notifications=shown["notifications"])


FRAGMENTS: Final[FragmentsByKind] = {"notification": (alerts_fragment,)}
