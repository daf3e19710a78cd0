"""Alert channels, open alerts and notifications as pages and checks read them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext
from redis.exceptions import RedisError

from apps.checks.models import Alert, AlertChannel, Notification
from apps.core.errors import NotFound
from apps.core.redis_clients import redis_client

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import QuerySet

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


def channels_all() -> QuerySet[AlertChannel]:
    """Return all channels by name."""
    return AlertChannel.objects.order_by("name")


def channel_get(uuid: UUID) -> AlertChannel:
    """Return one channel.  Raises NotFound."""
    row = AlertChannel.objects.filter(uuid=uuid).first()
    if row is None:
        raise NotFound(gettext("there is no such channel"))
    return row


def alerts_recent(limit: int) -> list[Alert]:
    """Return the newest alerts, open ones first."""
    open_ones = list(Alert.objects.filter(ended_at=None).order_by("-since")[:limit])
    ended = Alert.objects.exclude(ended_at=None).order_by("-ended_at")
    return open_ones + list(ended[: limit - len(open_ones)])


def notifications_recent(limit: int) -> list[Notification]:
    """Return the newest notifications."""
    return list(Notification.objects.select_related("channel").order_by("-pk")[:limit])


def channels_undelivered(now: datetime) -> list[AlertChannel]:
    """Return the enabled channels to which notifications are not delivered."""
    waiting = Q(attempts__gte=UNDELIVERED_TRIES) & ~Q(next_try_at=None)
    given_up = Q(next_try_at=None, delivered_at=None, created_at__gt=now - UNDELIVERED_SHOWN)
    of_channel = Notification.objects.filter(channel=OuterRef("pk"))
    delivered = Notification.objects.filter(
        channel=OuterRef("channel"), delivered_at__gt=OuterRef("created_at")
    )
    lost = of_channel.filter(waiting | given_up & ~Exists(delivered))
    return list(channels_all().filter(Exists(lost), is_enabled=True))
