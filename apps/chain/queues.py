"""What waits in the broker's queues: a step that waits already need not be sent again.

Each step works on the newest head whenever it runs, so one waiting step of a kind stands for all epochs that
have passed since it was sent.  Without this a machine that is too slow for a while works through every step
of every epoch, all on the same head, and comes too late for a proof.
Source: kombu transport/redis.py: a queue is a Redis list of JSON messages, their heads name the task.

What the follower sends at every head is written into that list by itself: Celery's publisher looks up the
queue's binding and makes a new client for each message, which costs several times what most tasks do.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, Final, cast
from uuid import uuid4

import structlog
from celery import current_app
from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client

log = structlog.get_logger(__name__)

PERSISTENT: Final = 2
"""Delivery mode of AMQP."""


def task_send(task: str, *, kwargs: dict[str, Any], queue: str, expires: float) -> None:
    """Send one task, as Celery's `send_task` does.  Raises RedisError."""
    redis_client().lpush(queue, json.dumps(task_message(task, kwargs=kwargs, queue=queue, expires=expires)))


def task_message(task: str, *, kwargs: dict[str, Any], queue: str, expires: float) -> dict[str, Any]:
    """Return what a worker takes from a queue for one task; `expires`: seconds until it is dropped."""
    task_id = str(uuid4())
    made = current_app.amqp.as_task_v2(task_id, task, (), kwargs, expires=expires, ignore_result=True)
    return {
        "body": b64encode(json.dumps(made.body).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": made.headers,
        "properties": {
            **made.properties,
            "delivery_mode": PERSISTENT,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }


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
