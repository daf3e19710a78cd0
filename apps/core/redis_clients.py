"""The pool's Redis for small shared facts that may be lost: heartbeats, rate counters."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

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


def turn_claim(key: str, *, kept_s: float) -> bool:
    """Return whether nobody claimed this turn within `kept_s`; from now on somebody has.  Raises RedisError.

    The server ends a key by the machine's clock: once that is set back, a key of before would last as long as
    the clock was ahead.
    """
    client, kept_ms = redis_client(), int(kept_s * 1000)
    if client.set(key, 1, nx=True, px=kept_ms):
        return True
    return _lasts_too_long(client.pttl(key), kept_ms) and bool(client.set(key, 1, px=kept_ms))


def text_shared(key: str, *, kept_s: int) -> str | None:
    """Return a text that was stored for `kept_s`; None if it is not there, or from before the clock was set
    back.  Raises RedisError.
    """
    with redis_client().pipeline(transaction=False) as pipe:
        pipe.get(key)
        pipe.pttl(key)
        text, left_ms = pipe.execute()
    return None if text is None or _lasts_too_long(left_ms, kept_s * 1000) else str(text)


def _lasts_too_long(left_ms: Any, kept_ms: int) -> bool:
    return int(left_ms) > kept_ms
