"""What waits in the broker's queues: a step that waits already need not be sent again.

Each step works on the newest head whenever it runs, so one waiting step of a kind stands for all epochs that
have passed since it was sent.  Without this a machine that is too slow for a while works through every step
of every epoch, all on the same head, and comes too late for a proof.
Source: kombu transport/redis.py: a queue is a Redis list of JSON messages, their heads name the task.
"""

from __future__ import annotations

import json
from typing import Any, cast

import structlog
from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client

log = structlog.get_logger(__name__)


def tasks_waiting(queue: str) -> set[str]:
    """Return the names of the tasks that no worker has taken yet; none where the broker cannot be asked."""
    try:
        rows = cast("list[str]", redis_client().lrange(queue, 0, -1))
    except (RedisError, OSError) as error:
        log.warning("queue_not_read", queue=queue, reason=str(error)[:200])
        return set()
    return {name for row in rows if (name := _task_of(row))}


def _task_of(row: str) -> str:
    try:
        message: Any = json.loads(row)
        return str(message["headers"]["task"])
    except (ValueError, KeyError, TypeError):  # not Celery's: it stands for no step
        return ""
