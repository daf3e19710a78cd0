"""Changes of access: published, and heard in every process that keeps connections open.

A subscription hears nothing that was published while it was cut off; each new one counts as a change.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import redis.asyncio
import structlog
from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client

log = structlog.get_logger(__name__)

ACCESS_CHANGES: Final = "access:changes"
"""Channel in Redis with a word for every revocation."""

AGAIN_S: Final = 0.5
"""Pause before Redis is dialled again."""


def access_change_publish() -> None:
    """Publish that somebody's access changed: every process checks its open sockets at once.

    Without Redis they notice at their regular check, and the next request is refused in any case.
    """

    def send() -> None:
        try:
            redis_client().publish(ACCESS_CHANGES, "check")
        except RedisError as error:
            log.warning("access_change_not_published", reason=str(error))

    transaction.on_commit(send)


class AccessChanges:
    """One subscription of one event loop."""

    def __init__(self) -> None:
        self.client: Any = None
        self.subscription: Any = None

    async def wait(self, within_s: float) -> bool:
        """Wait for a change for so long at most; true also when one may have been missed."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # redis-py swallows the end of whoever is just connecting
            raise asyncio.CancelledError
        try:
            if self.subscription is None:
                await self._subscribe()
            # a confirmed subscription is an answer too: the first one, and each after Redis was away
            return await self.subscription.get_message(timeout=within_s) is not None
        except (RedisError, OSError):
            await self.close()
            await asyncio.sleep(min(AGAIN_S, within_s))
            return False

    async def _subscribe(self) -> None:
        self.client = redis.asyncio.Redis.from_url(settings.REDIS_URL, health_check_interval=15)
        self.subscription = self.client.pubsub()
        await self.subscription.subscribe(ACCESS_CHANGES)

    async def close(self) -> None:
        """Release the connection; waiting opens another one."""
        subscription, client, self.subscription, self.client = self.subscription, self.client, None, None
        with suppress(RedisError, OSError):
            if subscription is not None:
                await subscription.aclose()
            if client is not None:
                await client.aclose()
