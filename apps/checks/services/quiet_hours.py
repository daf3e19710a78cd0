"""Quiet hours of channels: what falls into them waits, and is told in one message at their end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import transaction

from apps.checks.findings.results import Link, Severity
from apps.checks.models import AlertChannel, Notification
from apps.checks.reasons import FROM_POOL, NO_CHAIN
from apps.checks.selectors.quiet_hours import quiet_until, waits_quietly
from apps.checks.states import FAILING, AlertEvent
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, as_reason, lines

SUMMED_MAX: Final = 100
"""Notifications whose texts one summary has; it says how many more there were."""
STATE_EVENTS: Final = (*FAILING, AlertEvent.ENDED)
"""Events that say how an alert is: only the last of an alert counts."""


def quiet_hours_wait(row: Notification, *, now: datetime) -> None:
    """Delay an unsaved notification until the end of its channel's quiet hours, if it is to wait."""
    channel = row.channel
    is_critical = _severity(row) == Severity.CRITICAL
    until = quiet_until(channel, now=now) if waits_quietly(channel, is_critical=is_critical) else None
    if until is not None:
        row.next_try_at, row.is_held = until, True


def _severity(row: Notification) -> str:
    return row.alert.severity if row.alert is not None else ""


def quiet_hours_end(*, now: datetime) -> None:
    """Release what waited for channels whose quiet hours are over: one by itself, several in one message."""
    held = Notification.objects.filter(is_held=True).exclude(next_try_at=None)
    for channel in AlertChannel.objects.filter(pk__in=held.values("channel")).order_by("pk"):
        if quiet_until(channel, now=now) is None:
            _release(channel, now=now)


@transaction.atomic
def _release(channel: AlertChannel, *, now: datetime) -> None:
    """Put what a channel is to be told into one notification; what it was told meanwhile is dropped."""
    if AlertChannel.objects.select_for_update().filter(pk=channel.pk).first() is None:
        return  # it was removed meanwhile
    held = Notification.objects.select_for_update(of=("self",)).filter(channel=channel, is_held=True)
    rows = list(held.exclude(next_try_at=None).select_related("alert").order_by("pk"))
    sent = _newest(channel, rows)
    last = {row.alert_id: row.pk for row in rows if row.event in STATE_EVENTS}
    waiting = [
        row
        for row in rows
        if row.pk > sent.get(row.alert_id, 0)
        and (row.event not in STATE_EVENTS or row.pk == last[row.alert_id])
    ]
    Notification.objects.filter(pk__in={row.pk for row in rows} - {row.pk for row in waiting}).delete()
    if len(waiting) == 1:
        Notification.objects.filter(pk=waiting[0].pk).update(is_held=False, next_try_at=now)
    elif waiting:
        row = _summary(channel, waiting, now=now)
        row.save()
        members = Notification.objects.filter(pk__in=[one.pk for one in waiting])
        members.update(is_held=False, next_try_at=None, told_in=row.uuid)


def _newest(channel: AlertChannel, rows: Sequence[Notification]) -> dict[int | None, int]:
    """Return by alert the newest notification of how it is that did not wait."""
    alerts = {row.alert_id for row in rows if row.alert_id is not None}
    sent = Notification.objects.filter(channel=channel, alert__in=alerts, event__in=STATE_EVENTS)
    sent = sent.filter(is_held=False, told_in=None)
    return dict(sent.order_by("alert", "pk").values_list("alert", "pk"))


def _summary(channel: AlertChannel, rows: Sequence[Notification], *, now: datetime) -> Notification:
    """Return an unsaved notification that tells what these tell, critical checks first: chats cut the end."""
    is_critical = {row.pk: row.event in FAILING and _severity(row) == Severity.CRITICAL for row in rows}
    since = rows[0].created_at
    rows = sorted(rows, key=lambda row: not is_critical[row.pk])
    pool = next((row.body["pool"] for row in rows if row.body.get("pool")), "")
    texts = [_own_text(row, pool) for row in rows[:SUMMED_MAX]]
    head = gettext("[{pool}] {count} notifications of the quiet hours since {since}:").format(
        pool=NO_CHAIN() if NO_CHAIN.made(pool) else pool,
        count=len(rows),
        since=f"{since:%Y-%m-%d %H:%M} UTC",
    )
    more = len(rows) - len(texts)
    end = [gettext("and {rest} more").format(rest=more)] if more else []
    text = lines([head, *texts, *end])
    row = Notification(channel=channel, event=AlertEvent.SUMMARY, text=text, created_at=now, next_try_at=now)
    row.body = {
        "id": str(row.uuid),
        "event": "summary",
        "text": str(text),
        "pool": pool,
        "severity": str(Severity.CRITICAL if any(is_critical.values()) else Severity.WARNING),
        "page": settings.CONSOLE_URL + Link("alerts").address,
        "at": now.isoformat(),
        "notifications": [one.body for one in rows[:SUMMED_MAX]],
    }
    return row


def _own_text(row: Notification, pool: str) -> str:
    """Return what a notification says, without the pool's name before it."""
    text = row.text
    if not isinstance(text, Reason):
        return str(text.removeprefix(f"[{pool}] "))
    is_of_pool = text.code == FROM_POOL.code and text.values["pool"] == pool
    return as_reason(text.values["text"]) if is_of_pool else text
