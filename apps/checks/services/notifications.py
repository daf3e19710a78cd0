"""Writing notifications: of a check that fails or passes, and of what people do with its alert."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext_noop

from apps.chain.selectors.status import network_known
from apps.checks.findings.results import Finding, Link, Severity
from apps.checks.models import Alert, AlertChannel, Notification
from apps.checks.reasons import (
    ACKNOWLEDGED_BY,
    ACKNOWLEDGED_TILL,
    ACKNOWLEDGEMENT_ENDED,
    COMMENTED_ON,
    FROM_POOL,
    HEAD_AGAIN,
    HEAD_WORSE,
    NO_CHAIN,
    OF_MINER,
)
from apps.checks.report.report import Report, Result
from apps.checks.selectors.channel_scopes import channels_told
from apps.checks.services.notification_texts import findings_read
from apps.checks.services.quiet_hours import quiet_hours_wait
from apps.checks.states import FAILING, AlertEvent
from apps.core.marked_texts import gettext
from apps.core.reasons import MARKED, Reason, clauses, coded, colon, cut

ACTIONS: Final = {
    AlertEvent.ACKNOWLEDGED: ACKNOWLEDGED_BY,
    AlertEvent.UNACKNOWLEDGED: ACKNOWLEDGEMENT_ENDED,
    AlertEvent.COMMENTED: COMMENTED_ON,
}
EFFECTS_MAX: Final = 500
UNWATCHED: Final = gettext_noop("No longer checked")
"""Instead of “Resolved”, of a tenant that is disabled, deleted or without people and channels."""
MINER_PAGE: Final = "miner"
RESOLVED: Final = gettext_noop("Resolved")
HEADS: Final = {AlertEvent.REOPENED: HEAD_AGAIN, AlertEvent.WORSENED: HEAD_WORSE}


def notification_build(
    channel: AlertChannel,
    *,
    alert: Alert,
    event: AlertEvent,
    report: Report | None,
    pool: str,
    now: datetime,
    is_watched: bool = True,
) -> Notification:
    """Return an unsaved notification: what lists on pages say, without reasons and addresses.

    What the alert's check explains is told with it.  Without `is_watched` nobody knows whether it passes.
    """
    result = None if report is None else report.result(alert.check_name)
    effects = [] if report is None else report.explained(alert.check_name)
    head = _head(alert, event) if is_watched else MARKED(text=UNWATCHED)
    text = colon(head, _tenant_named(channel, alert, alert.say))
    if effects and event != AlertEvent.ENDED:
        says = clauses(*(finding_describe(one) for effect in effects for one in effect.findings))
        says = cut(says, EFFECTS_MAX)
        text = gettext("{text}. Because of it: {effects}").format(text=text, effects=says)
    if alert.is_acknowledged:
        text = gettext("{text} (acknowledged by {actor})").format(text=text, actor=alert.acknowledged_by)
    if channel.wait_min and event in FAILING:
        text = gettext("{text} (nobody has acknowledged it for {minutes} minutes)").format(
            text=text, minutes=channel.wait_min
        )
    text = FROM_POOL(pool=pool, text=text)
    row = _written(channel, alert=alert, event=event, text=text, pool=pool, now=now)
    row.keys = alert.keys if result is not None else []
    if report is not None and result is not None and event != AlertEvent.ENDED:
        row.body |= _found(result, effects, report)
        others = [one for effect in effects for one in effect.findings]
        row.finding_codes = [coded(finding_describe(one)) for one in (*result.findings, *others)]
    return row


def action_notifications_write(
    alert: Alert, *, event: AlertEvent, actor: str, now: datetime, **more: str | None
) -> None:
    """Write what somebody did with an alert, locked by the caller, for the channels that are told of it.

    `actor` is empty where the pool did it.  Texts are English, whoever clicked.
    """
    channels = channels_told(alert.tenant).select_for_update().filter(with_actions=True)
    if alert.severity != Severity.CRITICAL:
        channels = channels.exclude(critical_only=True)
    notified = alert.notifications.filter(event__in=FAILING).values("channel")
    narrow = ~Q(only_checks=[]) | ~Q(only_miners=[]) | Q(wait_min__gt=0)
    channels = channels.exclude(narrow & ~Q(pk__in=notified))
    network = network_known()
    pool = NO_CHAIN() if network is None else network.name
    rows = []
    for channel in channels.order_by("pk"):
        found = _tenant_named(channel, alert, _said_to(channel, alert))
        done = ACTIONS[event](actor=actor, found=found, **more) if actor else ACKNOWLEDGED_TILL(found=found)
        text = FROM_POOL(pool=pool, text=done)
        rows.append(_written(channel, alert=alert, event=event, text=text, pool=pool, now=now))
    for row in rows:
        row.body |= {"actor": actor, **more}
        row.body["page"] = settings.CONSOLE_URL + Link("alert", (str(alert.uuid),)).address
        quiet_hours_wait(row, now=now)
    Notification.objects.bulk_create(rows)


def _head(alert: Alert, event: AlertEvent) -> Reason:
    if event == AlertEvent.ENDED:
        return MARKED(text=RESOLVED)
    severity = MARKED(text=alert.severity.capitalize())
    return HEADS[event](severity=severity) if event in HEADS else severity


def _tenant_named(channel: AlertChannel, alert: Alert, found: str) -> str:
    """Return what was found, for the operator's channels after the name of its tenant."""
    is_pools = channel.tenant_id is None
    return colon(alert.tenant.name, found) if alert.tenant is not None and is_pools else found


def _said_to(channel: AlertChannel, alert: Alert) -> str:
    """Return what was found, as a channel was told it last if it is told of some miners alone."""
    if not channel.only_miners:
        found: str = alert.say
        return found
    last = alert.notifications.filter(channel=channel, event__in=FAILING).order_by("-pk").first()
    return (clauses(*findings_read(last)[0]) if last is not None else "") or MARKED(text=alert.title)


def _written(
    channel: AlertChannel, *, alert: Alert, event: AlertEvent, text: str, pool: str, now: datetime
) -> Notification:
    row = Notification(channel=channel, alert=alert, event=event, text=text, created_at=now, next_try_at=now)
    row.body = {
        "id": str(row.uuid),
        "event": event.lower(),
        "text": row.text,
        "pool": pool,
        "alert": str(alert.uuid),
        "check": alert.check_name,
        "title": alert.title,
        "severity": alert.severity,
        "since": alert.since.isoformat(),
        "at": now.isoformat(),
        **({"acknowledged_by": alert.acknowledged_by} if alert.is_acknowledged else {}),
    }
    return row


def _found(result: Result, effects: list[Result], report: Report) -> dict[str, Any]:
    own = list(result.findings)
    others = [one for effect in effects for one in effect.findings]
    per_day, at_risk = report.costs_of([*own, *others])
    return {
        "count": result.count,
        "has_more": any(one.has_more for one in (result, *effects)),
        "per_day": str(per_day),
        "at_risk": str(at_risk),
        "findings": [finding_describe(one) for one in own],
        "explains": [
            {"check": one.check.name, "findings": list(map(finding_describe, one.findings))}
            for one in effects
        ],
        "page": settings.CONSOLE_URL + _page_of(result).address,
    }


def _page_of(result: Result) -> Link:
    """Return where all that a check found is mended: the page of the object if it is one alone."""
    links = {one.link or result.check.link for one in result.findings}
    return links.pop() if len(links) == 1 else result.check.link


def finding_describe(finding: Finding) -> str:
    """Return what a finding says, with the miner that it leads to: nobody sees its reason, which names it."""
    link = finding.link
    is_named = link is None or link.page != MINER_PAGE or link.args[0] in finding.say
    return finding.say if is_named or link is None else OF_MINER(say=finding.say, miner=link.args[0])
