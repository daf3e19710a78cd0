"""Delivering notifications: claimed in the database, sent outside a transaction, retried with backoff."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import Q

from apps.checks.findings.results import Severity
from apps.checks.models import Notification
from apps.checks.reasons import SEE_LOG, TOO_OLD
from apps.checks.services.channels import CLAIM
from apps.checks.services.outgoing import NotDelivered, notification_send
from apps.checks.services.quiet_hours import quiet_hours_end
from apps.checks.states import FAILING, AlertEvent
from apps.core.live import OPERATOR, Change, publish
from apps.core.reasons import fitted

log = structlog.get_logger(__name__)

BACKOFF: Final = timedelta(seconds=30)
"""Before the second attempt; doubled with each up to `BACKOFF_MAX`."""
BACKOFF_MAX: Final = timedelta(hours=1)
DELIVERY_WINDOW: Final = timedelta(hours=24)
"""A notification that is older is not sent; the page and a check name what was not delivered."""
SENT_MAX: Final = 32
"""Channels that are sent to at once."""
TURN_S: Final = 15.0
"""After it nothing more is begun: the checks are evaluated again, and the next turn goes on."""


def notifications_deliver(*, now: Callable[[], datetime]) -> int:
    """Send what is due, each channel's in its order, and return how many were delivered.

    Channels are sent to side by side, those that failed last time after the others, so that one that is slow
    or down delays none.  One that fails is left until the next turn; one for which something critical waits
    is tried each minute.  A process that dies between sending and noting sends it again, with the same id.
    """
    quiet_hours_end(now=now())
    outdated = Notification.objects.filter(created_at__lte=now() - DELIVERY_WINDOW).exclude(next_try_at=None)
    outdated.update(next_try_at=None, is_held=False, error=TOO_OLD())  # it waited for a channel that was off
    shut = Q(channel__tenant__enabled=False) | Q(channel__tenant__deleted_at__isnull=False)
    rows = Notification.objects.filter(channel__is_enabled=True, is_held=False)
    rows = rows.exclude(next_try_at=None).exclude(shut)
    is_critical = Q(alert__severity=Severity.CRITICAL, event__in=FAILING)
    is_critical |= Q(event=AlertEvent.SUMMARY, body__severity=Severity.CRITICAL)
    critical = rows.filter(is_critical).values("channel")
    soon = now() + CLAIM  # what is being sent is due then at the latest
    # Beyond any back-off it was written by a clock that was ahead.
    late = Q(channel__in=critical, next_try_at__gt=soon) | Q(next_try_at__gt=now() + BACKOFF_MAX)
    Notification.objects.filter(late, is_held=False).update(next_try_at=soon)
    queues: dict[int, deque[int]] = {}
    failed: dict[int, bool] = {}
    for pk, channel, attempts in rows.order_by("pk").values_list("pk", "channel_id", "attempts"):
        queues.setdefault(channel, deque()).append(pk)
        failed.setdefault(channel, attempts > 0)
    waiting = deque(sorted(queues, key=lambda channel: (failed[channel], queues[channel][0])))
    return _sent_beside(waiting, queues=queues, now=now)


def _sent_beside(
    waiting: deque[int], *, queues: Mapping[int, deque[int]], now: Callable[[], datetime]
) -> int:
    """Send the channels' notifications, `SENT_MAX` at once; return how many were delivered.

    The threads send and nothing else: the database is asked here.
    """
    delivered, end = 0, time.monotonic() + TURN_S
    sending: dict[Future[str], Notification] = {}
    with ThreadPoolExecutor(SENT_MAX, thread_name_prefix="notifications") as threads:
        while waiting or sending:
            while waiting and len(sending) < SENT_MAX:
                queue = queues[waiting.popleft()]
                if time.monotonic() < end and (row := _claimed(queue.popleft(), now=now())) is not None:
                    sending[threads.submit(_refusal, row)] = row
            for one in wait(sending, return_when=FIRST_COMPLETED).done:
                row = sending.pop(one)
                if not _noted(row, one.result(), now=now):
                    continue
                delivered += 1
                if queues[row.channel_id]:
                    waiting.append(row.channel_id)
    return delivered


def _claimed(pk: int, *, now: datetime) -> Notification | None:
    """Return a notification that is due and nobody else is sending; None for any other, or one removed."""
    due = Notification.objects.filter(pk=pk, next_try_at__lte=now)
    if not due.update(next_try_at=now + CLAIM):
        return None
    return Notification.objects.select_related("channel").filter(pk=pk).first()


def _refusal(row: Notification) -> str:
    """Send a notification; return why its channel did not take it, empty if it did."""
    try:
        notification_send(row)
    except NotDelivered as error:
        return error.reason
    except Exception as error:  # that of a channel that nobody has foreseen stops no other
        log.exception("notification_failed", channel=row.channel.name)
        return SEE_LOG(error=type(error).__name__)
    return ""


def _noted(row: Notification, reason: str, *, now: Callable[[], datetime]) -> bool:
    """Note what became of a notification; return whether it was delivered."""
    row.attempts += 1
    if reason:
        at = now()
        row.error = fitted(reason, 300)
        pause = min(BACKOFF * 2 ** min(row.attempts - 1, 10), BACKOFF_MAX)
        last = row.created_at + DELIVERY_WINDOW - CLAIM  # a try an hour would leave out the last hour
        row.next_try_at = min(at + pause, last) if at < last else None
        log.warning("notification_not_delivered", channel=row.channel.name, reason=row.error)
    else:
        row.error, row.delivered_at, row.next_try_at = "", now(), None
    with transaction.atomic():
        Notification.objects.filter(pk=row.pk).update(
            attempts=row.attempts,
            error=row.error,
            delivered_at=row.delivered_at,
            next_try_at=row.next_try_at,
        )
        if row.event == AlertEvent.SUMMARY and row.delivered_at is not None:
            members = Notification.objects.filter(channel=row.channel_id, told_in=row.uuid)
            members.update(delivered_at=row.delivered_at)
    publish(Change("notification", row.pk, row.channel.tenant_id or OPERATOR))
    return row.delivered_at is not None
