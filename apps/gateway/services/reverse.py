"""Registering a market that is reached through our address."""

from __future__ import annotations

from typing import Final

from apps.core.redis_clients import redis_client
from apps.gateway.errors import BadHostKey
from apps.gateway.selectors.reverse import HOST_KEYS, REGISTER

OWN_HOST_KEYS: Final = ("AUTH", "GATEWAY", "MESSAGER", "MINER", "VENUS")
"""Host keys of what this site answers itself."""


def reverse_set(*, host_key: str, url: str) -> None:
    """Register where a service is; an empty address removes it.  Raises BadHostKey, RedisError."""
    if host_key in OWN_HOST_KEYS:
        raise BadHostKey(f"host key({host_key}) : this site answers itself", field="host_key")
    if host_key not in HOST_KEYS.values():
        raise BadHostKey(f"host key({host_key[:40]}) : unknown", field="host_key")
    if url:
        redis_client().hset(REGISTER, host_key, url)
    else:
        redis_client().hdel(REGISTER, host_key)
