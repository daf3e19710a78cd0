"""The pool's Redis for small shared facts that may be lost: heartbeats, rate counters."""

from __future__ import annotations

from functools import lru_cache

import redis
from django.conf import settings


@lru_cache(maxsize=4)
def client_for(url: str) -> redis.Redis:
    """Return this process's client of one server; its pool dials again by itself."""
    return redis.Redis.from_url(
        url, socket_timeout=2.0, socket_connect_timeout=2.0, health_check_interval=15, decode_responses=True
    )


def redis_client() -> redis.Redis:
    """Return the client of the pool's Redis.  Calls raise RedisError while it is away."""
    return client_for(settings.REDIS_URL)
