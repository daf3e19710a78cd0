"""Items on their way to boxes: whatever waits while one round trip is under way goes with the next."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from apps.gateway.routes import BOX_S

if TYPE_CHECKING:
    import redis.asyncio


class Outbox:
    """What one event loop sends; a hundred answers at once take two round trips, and one connection."""

    def __init__(self, redis: redis.asyncio.Redis) -> None:
        self.redis = redis
        self.turn = asyncio.Lock()
        self.items: list[tuple[str, str, asyncio.Future[None]]] = []

    async def post(self, box: str, item: dict[str, Any]) -> None:
        """Put an item into a box; it is there on return.  Raises RedisError, OSError."""
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.items.append((box, json.dumps(item), sent))
        async with self.turn:
            if not sent.done():
                await self.flush()
        await sent

    async def flush(self) -> None:
        """Send everything that waits, and tell those who wait how it went."""
        items, self.items = self.items, []
        boxes: dict[str, list[str]] = defaultdict(list)
        for box, text, _ in items:
            boxes[box].append(text)
        failure: Exception | None = RedisError("sending was cut off")
        try:
            async with self.redis.pipeline(transaction=False) as pipe:
                for box, texts in boxes.items():
                    pipe.lpush(box, *texts)
                    pipe.expire(box, BOX_S)
                await pipe.execute()
        except (RedisError, OSError) as error:
            failure = error
        else:
            failure = None
        finally:
            for _, _, sent in items:
                settle(sent, failure)


def settle(sent: asyncio.Future[None], failure: Exception | None) -> None:
    """Tell one who waits, who may have been cancelled meanwhile."""
    if sent.done():
        return
    if failure is None:
        sent.set_result(None)
    else:
        sent.set_exception(failure)
        sent.exception()  # nobody may be there to hear it
