"""Who works on an alert: acknowledged by one, commented on by all who may, until it ends or becomes worse."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from apps.checks.findings.results import FINDINGS_MAX, Severity
from apps.checks.models import Alert, Notification
from apps.checks.selectors.alerts import alert_visible
from apps.checks.services.alert_entries import entry_add
from apps.checks.services.notifications import action_notifications_write
from apps.checks.states import AlertEntryKind, AlertEvent
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.core.live import CHECKS, OPERATOR, Change, publish
from apps.core.local_time import clock_text
from apps.core.marked_texts import gettext
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record

HOURS: Final = (1, 4, 12)
"""For how long an alert can be acknowledged; 0: until its check passes."""
COMMENT_MAX: Final = 2000
EFFECT: Final = "+"
"""Before the name of a check among an alert's keys that the alert's own explains."""
EXTENT: Final = EFFECT + EFFECT
"""Before how far such a check goes, if it is critical: each of its findings, each doubling of its count."""
SAME: Final = timedelta(minutes=1)
"""A request of the same person that would move the end by less is one that was sent twice."""


def can_acknowledge(principal: Principal, *, tenant_id: int | None) -> bool:
    """Return whether this caller works on a tenant's alerts; without a tenant, on the whole pool's."""
    is_own = tenant_id is not None and tenant_id == principal.own_id
    return principal.may("write") and not principal.is_partial and (principal.is_operator or is_own)


def _locked(principal: Principal, uuid: UUID | str) -> Alert:
    """Return an alert, locked until the transaction ends.  Raises NotFound, NotAllowed."""
    row = alert_visible(principal, uuid)
    if not can_acknowledge(principal, tenant_id=row.tenant_id):
        raise NotAllowed(gettext("only those who run what it is about can work on an alert"))
    return Alert.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=row.pk)


@transaction.atomic
def alert_acknowledge(*, principal: Principal, uuid: UUID | str, hours: int, now: datetime) -> Alert:
    """Acknowledge an alert for some hours, or with 0 until its check passes; its channels are not reminded.

    The same caller extends or shortens it; sent twice it is done once.  Reminders that wait for a channel are
    dropped, not what it was never told of.  Raises NotFound, NotAllowed, BadValue, Conflict if the alert has
    ended or somebody else has acknowledged it.
    """
    if hours not in (0, *HOURS):
        raise BadValue(gettext("choose 1, 4 or 12 hours, or 0: until it passes"), field="hours")
    row = _locked(principal, uuid)
    if row.ended_at is not None:
        raise Conflict(gettext("the check passes again since {at}").format(at=clock_text(row.ended_at)))
    until = now + timedelta(hours=hours) if hours else None
    if row.is_acknowledged and row.acknowledged_by != principal.actor:
        text = gettext("{actor} acknowledged it at {at}")
        raise Conflict(text.format(actor=row.acknowledged_by, at=clock_text(row.acknowledged_at or now)))
    if row.is_acknowledged and _is_same(row.acknowledged_until, until):
        return row
    row.acknowledged_by, row.acknowledged_at, row.acknowledged_until = principal.actor[:200], now, until
    row.acknowledged_severity, row.acknowledged_count = row.severity, row.count
    row.acknowledged_keys = row.keys
    row.save()
    waiting = row.notifications.filter(event=AlertEvent.REPEATED).exclude(next_try_at=None)
    # One that is being sent is locked for a moment: it goes out.
    waiting = waiting.select_for_update(skip_locked=True)
    Notification.objects.filter(pk__in=[one.pk for one in waiting.only("pk")]).delete()
    entry_add(row, kind=AlertEntryKind.ACKNOWLEDGED, at=now, actor=principal.actor, until=until)
    after = {"until": None if until is None else until.isoformat(timespec="seconds")}
    action_notifications_write(
        row,
        event=AlertEvent.ACKNOWLEDGED,
        actor=principal.actor,
        now=now,
        until=after["until"],
    )
    _recorded(principal, row, "alert.acknowledge", after=after)
    acknowledgement_publish(row)
    return row


def _is_same(before: datetime | None, after: datetime | None) -> bool:
    if before is None or after is None:
        return before is after
    return abs(after - before) < SAME


@transaction.atomic
def alert_acknowledgement_end(
    *, principal: Principal, uuid: UUID | str, now: datetime, by: str | None = None
) -> Alert:
    """End an acknowledgement, one's own or somebody else's; the channels are reminded as before.

    `by` is who had acknowledged it when the caller looked.  Raises NotFound, NotAllowed, Conflict if it is
    another now.
    """
    row = _locked(principal, uuid)
    if not row.is_acknowledged:
        return row
    if by is not None and by != row.acknowledged_by:
        raise Conflict(gettext("{actor} has acknowledged it now").format(actor=row.acknowledged_by))
    before = {"by": row.acknowledged_by}
    acknowledgement_clear(row)
    entry_add(row, kind=AlertEntryKind.WITHDRAWN, at=now, actor=principal.actor)
    action_notifications_write(row, event=AlertEvent.UNACKNOWLEDGED, actor=principal.actor, now=now)
    _recorded(principal, row, "alert.unacknowledge", before=before)
    acknowledgement_publish(row)
    return row


@transaction.atomic
def alert_comment(*, principal: Principal, uuid: UUID | str, text: str, now: datetime) -> Alert:
    """Write a comment on an alert, open or ended; it stays.  Raises NotFound, NotAllowed, BadValue."""
    text = text.replace("\r\n", "\n").strip()
    if not text or len(text) > COMMENT_MAX:
        message = gettext("write 1 to {most} characters").format(most=f"{COMMENT_MAX:,}")
        raise BadValue(message, field="text")
    row = _locked(principal, uuid)
    entry_add(row, kind=AlertEntryKind.COMMENTED, at=now, actor=principal.actor, text=text)
    action_notifications_write(row, event=AlertEvent.COMMENTED, actor=principal.actor, now=now, comment=text)
    _recorded(principal, row, "alert.comment", after={"text": text})
    return row


def acknowledgement_clear(row: Alert) -> None:
    """Remove the acknowledgement of an alert."""
    row.acknowledged_at, row.acknowledged_by, row.acknowledged_until = None, "", None
    row.save(update_fields=["acknowledged_at", "acknowledged_by", "acknowledged_until"])


def acknowledgement_check(row: Alert, *, now: datetime) -> bool:
    """End an acknowledgement that ran out, or of an alert that is worse than it was then.

    Returns whether it is worse: more objects, others, or a higher severity.
    """
    if not row.is_acknowledged:
        return False
    known, keys = (_keys_parted(one) for one in (row.acknowledged_keys, row.keys))
    # Of so many findings the last stands for several objects: only their count tells that there are others.
    is_other = 0 < len(known[0]) < FINDINGS_MAX and not known[0].issuperset(keys[0])
    is_other = is_other or not known[1].issuperset(keys[1])
    rises = row.severity == Severity.CRITICAL and row.acknowledged_severity != Severity.CRITICAL
    is_worse = rises or is_other or row.count > row.acknowledged_count
    has_expired = row.acknowledged_until is not None and row.acknowledged_until <= now
    if is_worse or has_expired:
        kind = AlertEntryKind.WORSENED if is_worse else AlertEntryKind.EXPIRED
        entry_add(row, kind=kind, at=now, actor=row.acknowledged_by, text=row.say if is_worse else "")
        acknowledgement_clear(row)
        if not is_worse:
            action_notifications_write(row, event=AlertEvent.UNACKNOWLEDGED, actor="", now=now)
        acknowledgement_publish(row)
    return is_worse


def _keys_parted(keys: list[str]) -> tuple[set[str], set[str]]:
    """Return the keys of an alert's own findings, and the checks that it explains."""
    effects = {key for key in keys if key.startswith(EFFECT)}
    return set(keys) - effects, effects


def acknowledgement_publish(row: Alert) -> None:
    """Publish to bells and to-do lists who has acknowledged an alert."""
    whose = row.tenant_id or OPERATOR
    publish(Change(CHECKS, whose, whose))


def _recorded(
    principal: Principal, row: Alert, action: str, *, before: object = None, after: object = None
) -> None:
    target = row.check_name if row.tenant is None else f"{row.tenant}/{row.check_name}"
    audit_record(principal=principal, action=action, target=target, before=before, after=after)
