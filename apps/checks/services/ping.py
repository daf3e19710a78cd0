"""The dead-man's switch: a URL elsewhere that is called while alerts work; there, silence is an alert."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerAway
from redis.exceptions import RedisError

from apps.checks.selectors.alerts import PING_FAILED_KEY
from apps.checks.services.outgoing import NotDelivered, status_describe, url_open
from apps.core.redis_clients import redis_client, turn_claim

log = structlog.get_logger(__name__)

PING_EVERY_S: Final = 60
PING_ANSWER_S: Final = 5.0
TURN_KEY: Final = "poolsite:alerts:ping"
"""In Redis until the next call is due: a little sooner than the evaluation that makes it."""
TURN_S: Final = PING_EVERY_S - 5
OUTAGE_S: Final = 3 * PING_EVERY_S
"""A failure is forgotten when so long no other followed, as of a URL that is no longer set."""


def ping_enqueue() -> None:
    """Enqueue a call of the URL, if there is one and it was not called within a minute."""
    if not settings.ALERTS_PING_URL:
        return
    try:
        if turn_claim(TURN_KEY, kept_s=TURN_S):
            current_app.send_task("alerts.ping", queue="io", retry=False, expires=PING_EVERY_S)
    except (BrokerAway, RedisError, OSError) as error:
        log.warning("ping_not_enqueued", reason=str(error)[:200])


def ping_send(*, now: datetime) -> None:
    """Call the URL; of an outage the first failure and the end are logged, and a check names it."""
    reason, client = _failure(), redis_client()
    with suppress(RedisError, OSError):
        if not reason:
            if client.delete(PING_FAILED_KEY):
                log.info("ping_works_again")
        elif client.set(PING_FAILED_KEY, f"{now.isoformat()} {reason}", nx=True, ex=OUTAGE_S):
            log.warning("ping_failed", reason=reason)
        else:
            client.expire(PING_FAILED_KEY, OUTAGE_S)


def _failure() -> str:
    """Call the URL; return why that failed, empty if it did not."""
    try:
        status, _ = url_open(settings.ALERTS_PING_URL, method="GET", headers={}, answer_s=PING_ANSWER_S)
    except NotDelivered as error:
        return error.reason
    return "" if 200 <= status < 300 else status_describe(status)
