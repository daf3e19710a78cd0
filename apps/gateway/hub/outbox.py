"""Items on their way to inboxes: whatever waits while one round trip is in progress goes with the next."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from apps.gateway.hub.routes import INBOX_TTL_S


class Outbox:
    """What one event loop sends; a hundred answers at once take two round trips, and one connection."""

    def __init__(self, redis: redis.asyncio.Redis) -> None:
        self.redis = redis
        self.flushing = asyncio.Lock()
        self.items: list[tuple[str, str, asyncio.Future[None]]] = []

    async def post(self, inbox: str, item: dict[str, Any]) -> None:
        """Push an item to an inbox; it is there on return.  Raises RedisError, OSError."""
        await self.post_many([(inbox, item)])

    async def post_many(self, items: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Push items to inboxes; they are there on return.  Raises RedisError, OSError."""
        items = list(items)
        if not items:
            return
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.items += [(inbox, json.dumps(item), sent) for inbox, item in items]
        async with self.flushing:
            if not sent.done():
                await self.flush()
        await sent

    async def flush(self) -> None:
        """Push everything that waits, and report to the senders."""
        items, self.items = self.items, []
        inboxes: dict[str, list[str]] = defaultdict(list)
        for inbox, text, _ in items:
            inboxes[inbox].append(text)
        failure: Exception | None = RedisError("sending was interrupted")
        try:
            async with self.redis.pipeline(transaction=False) as pipe:
                for inbox, texts in inboxes.items():
                    pipe.lpush(inbox, *texts)
                    pipe.expire(inbox, INBOX_TTL_S)
                await pipe.execute()
        except (RedisError, OSError) as error:
            failure = error
        else:
            failure = None
        finally:
            for sent in {sent for _, _, sent in items}:
                settle(sent, failure)


def settle(sent: asyncio.Future[None], failure: Exception | None) -> None:
    """Resolve a sender's future, which may have been cancelled meanwhile."""
    if sent.done():
        return
    if failure is None:
        sent.set_result(None)
    else:
        sent.set_exception(failure)
        sent.exception()  # nobody may be there to hear it
