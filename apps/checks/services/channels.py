"""The operator's alert channels: added, changed, tried out, removed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from celery import current_app
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext as say
from kombu.exceptions import OperationalError as BrokerAway

from apps.checks.models import AlertChannel, Notification
from apps.checks.states import AlertEvent, ChannelKind
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.core.units import value_with_unit
from apps.users.encryption import text_encrypt
from apps.users.services.audit import audit_record

if TYPE_CHECKING:
    from datetime import datetime

    from apps.users.principals import Principal

log = structlog.get_logger(__name__)

REPEATS_S: Final = (900, 3600, 6 * 3600, 24 * 3600)
"""What can be chosen as the least time between two notifications of a check."""
TARGET_MAX: Final = 2000
CLAIM: Final = timedelta(seconds=60)
"""A sender claims a notification for so long: longer than one attempt takes; a process that
dies in one leaves it to the next after that."""
TEST_TEXT: Final = "This is a test. Notifications reach this channel."


def _allowed(principal: Principal) -> None:
    if not (principal.is_operator and principal.may("admin")):
        raise NotAllowed(gettext("only the operator can manage alert channels"))


def target_read(kind: str, *, text: str) -> str:
    """Return a checked URL or address.  Raises BadValue."""
    if len(text) > TARGET_MAX:
        raise BadValue(say("at most {target_max} characters").format(target_max=TARGET_MAX), field="target")
    if kind == ChannelKind.EMAIL:
        if not settings.EMAIL_HOST:
            raise BadValue(
                gettext("the pool has no mail server: set EMAIL_URL and restart it"), field="target"
            )
        try:
            validate_email(text)
        except ValidationError:
            raise BadValue(gettext("enter one e-mail address"), field="target") from None
        return text
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url or not text.isascii() or any(sign.isspace() for sign in text):
        raise BadValue(gettext("enter an address that begins with https:// or http://"), field="target")
    return text


@transaction.atomic
def channel_add(
    *,
    principal: Principal,
    name: str,
    kind: str,
    target: str,
    secret: str = "",
    repeat_s: int = REPEATS_S[1],
    critical_only: bool = False,
) -> AlertChannel:
    """Add a channel.  Raises NotAllowed, BadValue, Conflict for a name that is taken."""
    _allowed(principal)
    if not name.strip() or len(name) > 100:
        raise BadValue(gettext("enter a name of at most 100 characters"), field="name")
    if kind not in ChannelKind.values:
        raise BadValue(gettext("choose Webhook or E-mail"), field="kind")
    if repeat_s not in REPEATS_S:
        raise BadValue(gettext("choose one of the intervals"), field="repeat_s")
    if len(secret) > TARGET_MAX:
        raise BadValue(say("at most {target_max} characters").format(target_max=TARGET_MAX), field="secret")
    if AlertChannel.objects.filter(name=name.strip()).exists():
        raise Conflict(gettext("a channel with this name exists already"), field="name")
    row = AlertChannel.objects.create(
        name=name.strip(),
        kind=kind,
        target=text_encrypt(target_read(kind, text=target.strip())),
        secret=text_encrypt(secret) if secret and kind == ChannelKind.WEBHOOK else "",
        repeat_s=repeat_s,
        critical_only=critical_only,
    )
    repeated = value_with_unit("repeat_s", repeat_s)
    after = {"kind": kind, "repeat_s": repeated, "critical_only": critical_only}
    audit_record(principal=principal, action="alerts.channel.add", target=row.name, before={}, after=after)
    return row


@transaction.atomic
def channel_set(*, principal: Principal, channel: AlertChannel, is_enabled: bool) -> None:
    """Switch a channel on or off; what waits for one that is switched off is dropped, but for a test.

    Once it is on again, the next evaluation writes what is true then: which checks fail, and which of those
    that it was told of pass again.
    """
    _allowed(principal)
    before, channel.is_enabled = channel.is_enabled, is_enabled
    channel.save(update_fields=["is_enabled"])
    if not is_enabled:
        channel.notifications.exclude(next_try_at=None).exclude(event=AlertEvent.TEST).delete()
    audit_record(
        principal=principal,
        action="alerts.channel.set",
        target=channel.name,
        before={"is_enabled": before},
        after={"is_enabled": is_enabled},
    )


@transaction.atomic
def channel_remove(*, principal: Principal, channel: AlertChannel) -> None:
    """Remove a channel with its notifications."""
    _allowed(principal)
    audit_record(
        principal=principal,
        action="alerts.channel.remove",
        target=channel.name,
        before={"kind": channel.kind, "repeat_s": value_with_unit("repeat_s", channel.repeat_s)},
    )
    channel.delete()


@transaction.atomic
def channel_test(*, principal: Principal, channel: AlertChannel, now: datetime) -> Notification:
    """Write a test notification; it is sent like any other, and what waits for the channel goes before it."""
    _allowed(principal)
    # A pause no longer than a claim may be a claim: a sender has it in hand.
    channel.notifications.filter(next_try_at__gt=now + CLAIM).update(next_try_at=now)
    audit_record(principal=principal, action="alerts.channel.test", target=channel.name, before={})
    row = Notification(
        channel=channel, event=AlertEvent.TEST, text=TEST_TEXT, created_at=now, next_try_at=now
    )
    row.body = {"id": str(row.uuid), "event": "test", "text": TEST_TEXT, "at": now.isoformat()}
    row.save()
    transaction.on_commit(_deliver_soon)
    return row


def _deliver_soon() -> None:
    """Have it sent at once; without a broker the next turn does it."""
    try:
        current_app.send_task("alerts.run", queue="io", retry=False, expires=10)
    except (BrokerAway, OSError) as error:
        log.warning("notification_waits", reason=str(error)[:200])
