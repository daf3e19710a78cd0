"""Alerts: the channels that are told, the checks that fail since when, and what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from apps.checks.results import Severity
from apps.checks.selectors import alerts_recent, channels_all, channels_undelivered, notifications_recent
from apps.dashboard import numbers
from apps.dashboard.lines.acts import Act
from apps.dashboard.lines.cards import Verdict, plural
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import checked_text
from apps.dashboard.words import Word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.checks.models import Alert, AlertChannel, Notification
    from apps.dashboard.regions.scene import Scene

ALERTS_SHOWN: Final = 30
NOTIFICATIONS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One channel in the table."""

    name: str
    kind: str
    what: str
    """Which notifications it gets, and how often."""
    word: Word
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One check that fails, or failed."""

    say: str
    title: str
    word: Word
    since: str
    lasted: str


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """One notification."""

    text: str
    channel: str
    at: str
    word: Word
    error: str


def channel_row(row: AlertChannel, *, failing: set[int], may_act: bool) -> ChannelRow:
    """Lay out a channel."""
    word = Word("ok", "on") if row.is_enabled else Word("idle", "off", "pause")
    if row.pk in failing:
        word = Word("bad", "not delivered")
    level = "critical checks" if row.critical_only else "all checks"
    op = "disable" if row.is_enabled else "enable"
    acts = (
        Act("test", "Send test", reverse("alert-channel-act", args=[row.uuid, "test"])),
        Act(op, op.capitalize(), reverse("alert-channel-act", args=[row.uuid, op])),
        Act("remove", "Remove…", reverse("alert-channel-act", args=[row.uuid, "remove"])),
    )
    every = numbers.time_left(row.repeat_s)
    what = f"{level}, each at most once in {every} while it fails"
    return ChannelRow(row.name, str(row.get_kind_display()), what, word, acts if may_act else ())


def alert_row(row: Alert, scene: Scene) -> AlertRow:
    """Lay out an alert."""
    tone = "bad" if row.severity == Severity.CRITICAL else "warn"
    end = row.ended_at or scene.at
    return AlertRow(
        say=row.say[:1].upper() + row.say[1:],
        title=row.title,
        word=Word("ok", "passes again") if row.ended_at is not None else Word(tone, row.severity),
        since=str(numbers.moment(row.since)),
        lasted=numbers.time_left(max((end - row.since).total_seconds(), 0)),
    )


def notification_row(row: Notification) -> NotificationRow:
    """Lay out a notification."""
    if row.delivered_at is not None:
        word = Word("ok", "delivered")
    elif row.next_try_at is None:
        word = Word("bad", "given up")
    else:
        word = Word("warn", f"failed {row.attempts} times") if row.attempts else Word("run", "to be sent")
    return NotificationRow(row.text, row.channel.name, str(numbers.moment(row.created_at)), word, row.error)


def alerts_verdict(scene: Scene, channels: list[ChannelRow]) -> Verdict:
    """Return one sentence: how many checks fail, and which channels are notified."""
    report = scene.report
    failed = len(report.results) - report.passed
    say = f"{plural(failed, 'check')} {'fails' if failed == 1 else 'fail'}." if failed else "All checks pass."
    told = f"Notifications go to {plural(len(channels), 'channel')}."
    return Verdict(say, told if channels else "Nobody is notified: add a channel.", checked_text(report))


def alerts_context(scene: Scene) -> dict[str, Any]:
    """Everything on the page."""
    failing = {row.pk for row in channels_undelivered(scene.at)}
    may_act = scene.viewer.may("admin")
    channels = [channel_row(row, failing=failing, may_act=may_act) for row in channels_all()]
    return {
        "verdict": alerts_verdict(scene, channels),
        "channels": channels,
        "alerts": [alert_row(row, scene) for row in alerts_recent(ALERTS_SHOWN)],
        "notifications": [notification_row(row) for row in notifications_recent(NOTIFICATIONS_SHOWN)],
    }


def alerts_region(place: Place) -> Iterable[str]:
    """The verdict and the tables; buttons of channels stay, they change by a click alone."""
    if not place.viewer.is_operator:
        return
    context = alerts_context(place.scene)
    yield fragment("dashboard/_verdict.html", verdict=context["verdict"])
    yield fragment("alerts/_alerts.html", alerts=context["alerts"])
    yield fragment("alerts/_notifications.html", notifications=context["notifications"])


REGIONS: Final[Regions] = {"notification": (alerts_region,)}
