"""The routes of a web process' connections in Redis."""

from __future__ import annotations

from typing import Any

from apps.core.redis_clients import redis_client
from apps.gateway.hub.routes import route_name
from apps.gateway.providers.hub_node import HubNode


class Signer:
    """A connection, as far as its routes matter."""

    heartbeat_name = ""

    def __init__(self, name: str) -> None:
        self.id = name
        self.accounts = {"alice"}
        self.routes = {f"wallet:{name}"}

    async def request(self, method: str, payload: Any, until: float) -> Any:
        return None

    async def handle(self, method: str, payload: Any, until: float) -> Any:
        return None

    def activity_read(self) -> None:
        return None


async def test_a_new_connection_restores_all_routes_that_redis_lost(pool_redis: str) -> None:
    node = HubNode(pool_redis)
    await node.add(Signer("first"))
    redis_client().flushall()

    await node.add(Signer("second"))
    await node.heartbeat()

    for name in ("first", "second"):
        assert redis_client().hkeys(route_name(f"wallet:{name}")) == [name]
    await node.stop()
