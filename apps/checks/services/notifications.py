"""Writing notifications: of a check that fails or passes, and of what people do with its alert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils.translation import gettext

from apps.chain.selectors.status import network_known
from apps.checks.findings.results import Link, Severity
from apps.checks.models import AlertChannel, Notification
from apps.checks.states import AlertEvent

if TYPE_CHECKING:
    from datetime import datetime

    from apps.checks.findings.results import Finding
    from apps.checks.models import Alert
    from apps.checks.report.report import Result

ACTIONS: Final = {
    AlertEvent.ACKNOWLEDGED: "Acknowledged by {actor}: {found}",
    AlertEvent.UNACKNOWLEDGED: "Acknowledgement ended by {actor}: {found}",
    AlertEvent.COMMENTED: "{actor} commented on “{found}”: {comment}",
}
OVER: Final = "Acknowledgement is over: {found}"
MINER_PAGE: Final = "miner"
HEADS: Final = {
    AlertEvent.ENDED: "Passes again",
    AlertEvent.ACKNOWLEDGED: "Acknowledged",
    AlertEvent.REOPENED: "{severity} again",
    AlertEvent.WORSENED: "{severity}, worse",
}


def notification_build(
    channel: AlertChannel, *, alert: Alert, event: AlertEvent, result: Result | None, pool: str, now: datetime
) -> Notification:
    """Return an unsaved notification: what lists on pages say, without reasons and addresses."""
    head = HEADS.get(event, "{severity}").format(severity=alert.severity.capitalize())
    about = alert.title if event == AlertEvent.ENDED else alert.say
    text = f"[{pool}] {head}: {about}"
    if alert.is_acknowledged:
        text = gettext("{text} (acknowledged by {actor})").format(text=text, actor=alert.acknowledged_by)
    row = _written(channel, alert=alert, event=event, text=text, pool=pool, now=now)
    row.keys = [one.key for one in result.findings] if result is not None else []
    if result is not None and event != AlertEvent.ENDED:
        row.body |= _found(result)
    return row


def action_notifications_write(
    alert: Alert, *, event: AlertEvent, actor: str, now: datetime, **more: str | None
) -> None:
    """Write what somebody did with an alert, locked by the caller, for the channels that are told of it.

    `actor` is empty where the pool did it.  Texts are English, whoever clicked.
    """
    channels = AlertChannel.objects.select_for_update().filter(
        tenant=alert.tenant_id, is_enabled=True, with_actions=True
    )
    if alert.severity != Severity.CRITICAL:
        channels = channels.exclude(critical_only=True)
    text = (ACTIONS[event] if actor else OVER).format(actor=actor, found=alert.say, **more)
    network = network_known()
    pool = "no chain" if network is None else network.name
    rows = [
        _written(channel, alert=alert, event=event, text=f"[{pool}] {text}", pool=pool, now=now)
        for channel in channels.order_by("pk")
    ]
    for row in rows:
        row.body |= {"actor": actor, **more}
        row.body["page"] = settings.CONSOLE_URL + Link("alert", (str(alert.uuid),)).address
    Notification.objects.bulk_create(rows)


def _written(
    channel: AlertChannel, *, alert: Alert, event: AlertEvent, text: str, pool: str, now: datetime
) -> Notification:
    row = Notification(channel=channel, alert=alert, event=event, text=text, created_at=now, next_try_at=now)
    row.body = {
        "id": str(row.uuid),
        "event": event.lower(),
        "text": text,
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


def _found(result: Result) -> dict[str, Any]:
    return {
        "count": result.count,
        "has_more": result.has_more,
        "per_day": str(sum(one.per_day for one in result.findings)),
        "at_risk": str(sum(one.at_risk for one in result.findings)),
        "findings": [finding_describe(one) for one in result.findings],
        "page": settings.CONSOLE_URL + result.check.link.address,
    }


def finding_describe(finding: Finding) -> str:
    """Return what a finding says, with the miner that it leads to: nobody sees its reason, which names it."""
    link = finding.link
    is_named = link is None or link.page != MINER_PAGE or link.args[0] in finding.say
    return finding.say if is_named or link is None else f"{finding.say} ({link.args[0]})"
