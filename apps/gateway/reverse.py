"""A market behind our address: where calls go whose header X-VENUS-API-NAMESPACE names it.

Node, messager, miners, access and the hub answer themselves; a market (droplet) is a program of its own,
which the operator registers here.  Redis keeps where it is, so that it survives our own restarts.
Source: ipfs-force-community/sophon-gateway proxy/, api/rpc_impl.go RegisterReverse.
"""

from __future__ import annotations

from typing import Final

import structlog
from redis.exceptions import RedisError

from apps.core.errors import BadValue
from apps.core.redis_clients import redis_client

log = structlog.get_logger(__name__)

REGISTER: Final = "gateway:reverse"
"""Hash in Redis: host key → address without a path."""
DROPLET: Final = "DROPLET"
HOST_KEYS: Final = {"v0.IMarket": DROPLET, "v1.IMarket": DROPLET}
"""Header X-VENUS-API-NAMESPACE → host key."""
OURS: Final = ("AUTH", "GATEWAY", "MESSAGER", "MINER", "VENUS")
"""Host keys of what this site answers itself."""


class BadHostKey(BadValue):
    """No service that can stand behind us."""

    code = "bad_host_key"


def reverse_set(host_key: str, url: str) -> None:
    """Register where a service is; an empty address takes it back.  Raises BadHostKey, RedisError."""
    if host_key in OURS:
        raise BadHostKey(f"host key({host_key}) : this site answers itself", field="host_key")
    if host_key not in HOST_KEYS.values():
        raise BadHostKey(f"host key({host_key[:40]}) : unknown", field="host_key")
    if url:
        redis_client().hset(REGISTER, host_key, url)
    else:
        redis_client().hdel(REGISTER, host_key)


def reverse_of(host_key: str) -> str:
    """Return where a service is; empty where it is not registered, or Redis is away."""
    try:
        return str(redis_client().hget(REGISTER, host_key) or "")
    except RedisError as error:
        log.warning("reverse_not_read", host_key=host_key, reason=str(error))
        return ""
