"""Hearing that somebody's access was changed, in every process that keeps connections open.

A subscription hears nothing that was said while it was cut off; each new one therefore counts as a change.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import redis.asyncio
from django.conf import settings
from redis.exceptions import RedisError

from apps.users.services.access import ACCESS_CHANGES

AGAIN_S: Final = 0.5
"""Pause before Redis is dialled again."""


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
