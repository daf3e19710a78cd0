"""Alert channels, open alerts and notifications as pages and checks read them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from redis.exceptions import RedisError

from apps.checks.models import Alert, AlertChannel, AlertEntry, Notification
from apps.checks.selectors.channel_scopes import tenants_followed
from apps.checks.states import ChannelKind
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, coded_read
from apps.core.redis_clients import redis_client
from apps.core.uuids import is_uuid
from apps.users.models import Tenant, User
from apps.users.rules.encryption import DecryptionFailed, text_decrypt
from apps.users.rules.principals import Principal

UNDELIVERED_TRIES: Final = 3
"""A notification that failed so often is named by a check."""
UNDELIVERED_SHOWN: Final = timedelta(hours=24)
"""One that was given up is named for so long."""

RUN_KEY: Final = "poolsite:alerts:run"
"""In Redis: when alerts were last evaluated, and what was due was sent."""
PING_FAILED_KEY: Final = "poolsite:alerts:ping:failed"
"""In Redis while the dead-man's switch cannot be called: since when, and why."""


def alerts_last_run() -> datetime | None:
    """Return when alerts were last evaluated; None if it is not known, as without Redis."""
    text = None
    with suppress(RedisError, OSError):
        text = redis_client().get(RUN_KEY)
    return None if text is None else datetime.fromisoformat(str(text))


def ping_outage() -> tuple[datetime, str] | None:
    """Return since when the dead-man's switch cannot be called, and why; None if it can, or without Redis."""
    text = None
    with suppress(RedisError, OSError):
        text = redis_client().get(PING_FAILED_KEY)
    if text is None:
        return None
    since, _, reason = str(text).partition(" ")
    return datetime.fromisoformat(since), reason


def channels_of_pool() -> QuerySet[AlertChannel]:
    """Return the operator's channels by name."""
    return AlertChannel.objects.filter(tenant=None).order_by("name")


def channels_visible(viewer: Principal) -> QuerySet[AlertChannel]:
    """Return the channels that this caller may know of, by tenant and name, with how delivery goes.

    The operator sees all but those of deleted tenants, a tenant its own; a token for some of a tenant's
    miners or signers none.
    `delivered_at` is when one was last delivered, `last_error` why the last one that was tried was not.
    """
    rows = AlertChannel.objects.filter(tenant__deleted_at=None)  # the operator's have no tenant
    rows = rows.select_related("tenant").order_by("tenant__name", "name")
    if not viewer.sees_pool:
        rows = rows.none() if viewer.is_partial else rows.filter(tenant_id=viewer.own_id)
    tried = Notification.objects.filter(channel=OuterRef("pk"), attempts__gt=0).order_by("-pk")
    return rows.annotate(
        delivered_at=Max("notifications__delivered_at"),
        last_error=Coalesce(Subquery(tried.values("error")[:1]), Value("")),
        last_error_coded=Subquery(tried.values("error_coded")[:1]),
    )


def channel_fault(row: AlertChannel) -> Reason | str:
    """Return why the last attempt of a channel with how delivery goes failed; empty if it did not."""
    return coded_read(getattr(row, "last_error", ""), getattr(row, "last_error_coded", None))


def channel_visible(viewer: Principal, uuid: UUID | str) -> AlertChannel:
    """Return one of these.  Raises NotFound."""
    row = channels_visible(viewer).filter(uuid=uuid).first()
    if row is None:
        raise NotFound(gettext("there is no such channel"))
    return row


def channel_get(uuid: UUID) -> AlertChannel:
    """Return one of the operator's channels.  Raises NotFound."""
    row = channels_of_pool().filter(uuid=uuid).first()
    if row is None:
        raise NotFound(gettext("there is no such channel"))
    return row


def target_shown(channel: AlertChannel) -> str:
    """Return where notifications go without what may be a secret: a URL's host, an address'
    first letter, the scheme of one for apprise.
    """
    try:
        target = text_decrypt(channel.target)
    except DecryptionFailed:
        return "…"
    if channel.kind == ChannelKind.EMAIL:
        name, _, host = target.rpartition("@")
        return f"{name[:1]}…@{host}"
    if channel.kind == ChannelKind.APPRISE:
        return f"{target.partition(':')[0]}://…"
    parts = urlsplit(target)
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}/…"


def tenants_notified() -> list[Tenant]:
    """Return the tenants that have alert channels, switched on or off, and are not disabled.

    So are those of which one of the operator's channels is told.
    """
    return list(_watched().filter(_HAS_CHANNEL | Q(pk__in=tenants_followed())).order_by("pk"))


def tenants_unnotified() -> list[Tenant]:
    """Return the other tenants that are not disabled and have people who sign in and see their alerts."""
    has_people = Exists(User.objects.filter(tenant=OuterRef("pk"), is_active=True))
    others = _watched().filter(has_people).exclude(_HAS_CHANNEL | Q(pk__in=tenants_followed()))
    return list(others.order_by("pk"))


def _watched() -> QuerySet[Tenant]:
    return Tenant.objects.filter(enabled=True, deleted_at=None)


_HAS_CHANNEL: Final = Exists(AlertChannel.objects.filter(tenant=OuterRef("pk")))


def alerts_visible(viewer: Principal) -> QuerySet[Alert]:
    """Return the alerts that this caller may know of, newest first.

    The operator sees the whole pool's and every tenant's, a tenant its own; a token for some of a tenant's
    miners or signers none.
    """
    rows = Alert.objects.select_related("tenant").order_by("-pk")
    if viewer.sees_pool:
        return rows
    return rows.none() if viewer.is_partial else rows.filter(tenant_id=viewer.own_id)


def alert_visible(viewer: Principal, uuid: UUID | str) -> Alert:
    """Return one of these.  Raises NotFound."""
    row = alerts_visible(viewer).filter(uuid=uuid).first() if is_uuid(str(uuid)) else None
    if row is None:
        raise NotFound(gettext("there is no such alert"))
    return row


def alert_entries(alert: Alert) -> QuerySet[AlertEntry]:
    """Return the lines of an alert's history, oldest first."""
    return alert.entries.order_by("pk")


def alerts_own(viewer: Principal) -> QuerySet[Alert]:
    """Return the alerts that the caller works on: the operator the whole pool's, a tenant its own."""
    rows = alerts_visible(viewer)
    return rows.filter(tenant=None) if viewer.sees_pool else rows


def alerts_open(viewer: Principal) -> dict[str, Alert]:
    """Return those of these that are open, by check."""
    return {row.check_name: row for row in alerts_own(viewer).filter(ended_at=None)}


def alert_began(alert: Alert) -> dict[str, float]:
    """Return since when an alert fails, by the key of what was found; of several findings nobody knows.

    Keys of what it explains begin with a plus.
    """
    keys = [key for key in alert.keys if not key.startswith("+")]
    return {keys[0]: alert.since.timestamp()} if len(keys) == 1 else {}


def alerts_recent(
    viewer: Principal, limit: int, *, failing: Collection[str] = (), of: str = ""
) -> list[Alert]:
    """Return the caller's open alerts, critical ones first, and up to the limit the newest that ended.

    Of open ones there is one for each check at most: none is left out, as it may be the most expensive.
    `of`: only open ones of checks that are `failing`, and of those that ended the ones that name this miner.
    """
    own = alerts_own(viewer)
    if of:
        past = Q(ended_at__isnull=False, object_names__contains=[of])
        own = own.filter(Q(ended_at=None, check_name__in=failing) | past)
    open_ones = list(own.filter(ended_at=None).order_by("severity", "-since"))
    ended = own.exclude(ended_at=None).order_by("-ended_at")
    return open_ones + list(ended[: max(limit - len(open_ones), 0)])


def notifications_recent(limit: int) -> list[Notification]:
    """Return the newest notifications of the operator's channels."""
    rows = Notification.objects.filter(channel__tenant=None).select_related("channel")
    return list(rows.order_by("-pk")[:limit])


def channels_undelivered(now: datetime) -> list[AlertChannel]:
    """Return the operator's enabled channels to which notifications are not delivered."""
    waiting = Q(attempts__gte=UNDELIVERED_TRIES) & ~Q(next_try_at=None)
    given_up = Q(next_try_at=None, delivered_at=None, told_in=None, created_at__gt=now - UNDELIVERED_SHOWN)
    of_channel = Notification.objects.filter(channel=OuterRef("pk"))
    delivered = Notification.objects.filter(
        channel=OuterRef("channel"), delivered_at__gt=OuterRef("created_at")
    )
    lost = of_channel.filter(waiting | given_up & ~Exists(delivered))
    return list(channels_of_pool().filter(Exists(lost), is_enabled=True))
