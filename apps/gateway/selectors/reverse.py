"""A market behind our address: where calls go whose header X-VENUS-API-NAMESPACE names it.

Node, messager, miners, access and the hub answer themselves; a market (droplet) is a program of its own,
which the operator registers here.  Redis keeps where it is, so that it survives our own restarts.
Source: ipfs-force-community/sophon-gateway proxy/, api/rpc_impl.go RegisterReverse.
"""

from __future__ import annotations

from typing import Final

import structlog
from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client

log = structlog.get_logger(__name__)

REGISTER: Final = "gateway:reverse"
"""Hash in Redis: host key → address without a path."""
DROPLET: Final = "DROPLET"
HOST_KEYS: Final = {"v0.IMarket": DROPLET, "v1.IMarket": DROPLET}
"""Header X-VENUS-API-NAMESPACE → host key."""


def reverse_of(host_key: str) -> str:
    """Return where a service is; empty where it is not registered, or Redis is away."""
    try:
        return str(redis_client().hget(REGISTER, host_key) or "")
    except RedisError as error:
        log.warning("reverse_not_read", host_key=host_key, reason=str(error))
        return ""
