"""What an evaluation means for alerts: which checks began to fail or pass again, and who is notified."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from redis.exceptions import RedisError

from apps.checks.findings.results import Severity
from apps.checks.models import Alert, AlertChannel, Notification
from apps.checks.selectors.alerts import RUN_KEY
from apps.checks.selectors.check_settings import mutes_active
from apps.checks.services.channels import REPEATS_S
from apps.checks.states import FAILING, AlertEvent
from apps.core.redis_clients import redis_client

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from apps.checks.findings.results import Finding
    from apps.checks.report.report import Report, Result
    from apps.users.models import Tenant

MINER_PAGE: Final = "miner"
RETENTION: Final = timedelta(days=30)
"""Alerts that ended and notifications that were sent are kept so long."""
SAY_MAX: Final = 1000
WORSE: Final = 1.25
"""A critical check is notified early once its count is this many times that of the last notification."""


def alerts_run_note(*, now: datetime) -> None:
    """Note that alerts were evaluated and sent; without Redis it is not noted."""
    with suppress(RedisError, OSError):
        redis_client().set(RUN_KEY, now.isoformat())


@transaction.atomic
def alerts_update(
    *, report: Report, pool: str, now: datetime, tenant: Tenant | None = None
) -> list[Notification]:
    """Open and end alerts by an evaluation of all checks, and write each channel's notifications.

    Of a tenant it is what the checks find of what is its own, and its channels are told.
    Run twice with the same report it writes nothing more.  `pool` names the network in notifications.
    """
    alerts = Alert.objects.select_for_update().filter(ended_at=None, tenant=tenant)
    open_ones = {row.check_name: row for row in alerts}
    failing = [
        _alert_record(result, open_ones.pop(result.check.name, None), tenant=tenant, now=now)
        for result in report.results
        if not result.passed
    ]
    Alert.objects.filter(pk__in=[row.pk for row in open_ones.values()]).update(ended_at=now)
    results = {result.check.name: result for result in report.results}
    rows: list[Notification] = []
    muted = mutes_active(now) if tenant is None else {}
    unmuted = [alert for alert in failing if alert.check_name not in muted]
    keys = {name: [finding.key for finding in result.findings] for name, result in results.items()}
    for channel in AlertChannel.objects.select_for_update().filter(is_enabled=True, tenant=tenant):
        for alert, event in _events(channel, failing=failing, unmuted=unmuted, keys=keys, now=now):
            rows.append(
                _notification(
                    channel,
                    alert=alert,
                    event=event,
                    result=results.get(alert.check_name),
                    pool=pool,
                    now=now,
                )
            )
    Notification.objects.bulk_create(rows)
    return rows


@transaction.atomic
def alerts_delete_old(*, now: datetime) -> None:
    """Delete what ended, or was sent, longer ago than it is kept."""
    Notification.objects.filter(next_try_at=None, created_at__lt=now - RETENTION).delete()
    Alert.objects.filter(ended_at__lt=now - RETENTION).delete()


def _alert_record(result: Result, row: Alert | None, *, tenant: Tenant | None, now: datetime) -> Alert:
    """Return the open alert of a check that fails, with what was found now."""
    say = "; ".join(map(_finding_text, result.findings))[:SAY_MAX]
    if row is None:
        return Alert.objects.create(
            tenant=tenant,
            check_name=result.check.name,
            title=result.check.title,
            severity=str(result.check.severity),
            say=say,
            count=result.count,
            since=now,
        )
    found = (say, result.count, str(result.check.severity))
    if (row.say, row.count, row.severity) != found:
        row.say, row.count, row.severity = found
        row.save(update_fields=["say", "count", "severity"])
    return row


def _finding_text(finding: Finding) -> str:
    """Return what a finding says, with the miner that it leads to: nobody sees its reason, which names it."""
    link = finding.link
    is_named = link is None or link.page != MINER_PAGE or link.args[0] in finding.say
    return finding.say if is_named or link is None else f"{finding.say} ({link.args[0]})"


def _events(
    channel: AlertChannel,
    *,
    failing: list[Alert],
    unmuted: list[Alert],
    keys: Mapping[str, Sequence[str]],
    now: datetime,
) -> Iterator[tuple[Alert, AlertEvent]]:
    """Yield what a channel is sent: a failing check at most once in `repeat_s`, even one that flaps.

    A critical one that fails anew after it passed, or has become worse, or fails for something else, waits at
    most the shortest interval.  `unmuted` are those of `failing` that are not muted.
    """
    names = {row.check_name for row in failing}
    for alert in _ended_untold(channel, failing=names):
        yield alert, AlertEvent.ENDED
    sent = Notification.objects.filter(channel=channel, alert__check_name__in=names, event__in=FAILING)
    sent = sent.order_by("alert__check_name", "-pk").distinct("alert__check_name")
    sent = sent.select_related("alert").defer("body").annotate(count=F("body__count"))
    last = {row.alert.check_name: row for row in sent if row.alert}
    known = _keys_reported(channel, failing=failing, since=now - timedelta(seconds=channel.repeat_s))
    for alert in unmuted:
        if channel.critical_only and alert.severity != Severity.CRITICAL:
            continue
        before = last.get(alert.check_name)
        is_new = before is None or before.alert_id != alert.pk
        reported = known.get(alert.check_name)
        is_other = reported is not None and not reported.issuperset(keys[alert.check_name])
        is_worse = is_other or (before is not None and alert.count >= WORSE * before.count)
        # With a long interval the last notification would stay "passes again", or a far lower count, for up
        # to a day while power or FIL is being lost.
        is_urgent = (is_new or is_worse) and alert.severity == Severity.CRITICAL
        wait_s = min(channel.repeat_s, REPEATS_S[0]) if is_urgent else channel.repeat_s
        if before is None or now - before.created_at >= timedelta(seconds=wait_s):
            yield alert, AlertEvent.STARTED if is_new else AlertEvent.REPEATED


def _keys_reported(channel: AlertChannel, *, failing: list[Alert], since: datetime) -> dict[str, set[str]]:
    """Return by check what a channel was told of since then, of critical ones that still fail."""
    critical = [alert.pk for alert in failing if alert.severity == Severity.CRITICAL]
    if not critical:
        return {}
    rows = Notification.objects.filter(channel=channel, alert__in=critical, event__in=FAILING)
    reported: dict[str, set[str]] = {}
    for name, keys in (
        rows.filter(created_at__gt=since).exclude(keys=[]).values_list("alert__check_name", "keys")
    ):
        reported.setdefault(name, set()).update(keys)
    return reported


def _ended_untold(channel: AlertChannel, *, failing: Collection[str]) -> list[Alert]:
    """Return the alerts that ended, now or while the channel was off, and that it knows only as failing.

    Of a check that fails anew it knows the truth, and of several alerts of one check the last is enough.
    """
    notified = Notification.objects.filter(channel=channel)
    known = notified.filter(event__in=FAILING).exclude(delivered_at=None, next_try_at=None)
    rows = Alert.objects.exclude(ended_at=None).exclude(check_name__in=failing)
    rows = rows.filter(Exists(known.filter(alert=OuterRef("pk"))))
    rows = rows.exclude(Exists(notified.filter(alert=OuterRef("pk"), event=AlertEvent.ENDED)))
    later = known.filter(alert__check_name=OuterRef("check_name"), alert__gt=OuterRef("pk"))
    return list(rows.exclude(Exists(later)).order_by("ended_at", "pk"))


def _notification(
    channel: AlertChannel, *, alert: Alert, event: AlertEvent, result: Result | None, pool: str, now: datetime
) -> Notification:
    """Return an unsaved notification: what lists on pages say, without reasons and addresses."""
    head = "Passes again" if event == AlertEvent.ENDED else alert.severity.capitalize()
    about = alert.title if event == AlertEvent.ENDED else alert.say
    row = Notification(channel=channel, alert=alert, event=event, created_at=now, next_try_at=now)
    row.keys = [one.key for one in result.findings] if result is not None else []
    row.text = f"[{pool}] {head}: {about}"
    row.body = {
        "id": str(row.uuid),
        "event": event.lower(),
        "text": row.text,
        "pool": pool,
        "check": alert.check_name,
        "title": alert.title,
        "severity": alert.severity,
        "since": alert.since.isoformat(),
        "at": now.isoformat(),
        **(_found(result) if result is not None and event != AlertEvent.ENDED else {}),
    }
    return row


def _found(result: Result) -> dict[str, Any]:
    return {
        "count": result.count,
        "has_more": result.has_more,
        "per_day": str(sum(one.per_day for one in result.findings)),
        "at_risk": str(sum(one.at_risk for one in result.findings)),
        "findings": [_finding_text(one) for one in result.findings],
        "page": settings.CONSOLE_URL + result.check.link.address,
    }
