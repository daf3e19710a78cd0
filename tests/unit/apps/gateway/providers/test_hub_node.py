"""The routes of a web process' connections in Redis."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from redis.exceptions import ConnectionError as RedisAway

from apps.core.models import ProcessLease
from apps.core.redis_clients import redis_client
from apps.gateway.hub.routes import PROCESS_TTL_S, route_name
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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_able", [True, False], ids=["another machine works", "none does"])
async def test_a_machine_without_redis_sends_its_sockets_to_another_one(
    pool_redis: str, monkeypatch: pytest.MonkeyPatch, is_able: bool
) -> None:
    """A signer stays connected to a console that lost Redis: nobody would reach it there."""
    node, closed = HubNode(pool_redis), []

    async def sockets_close() -> None:
        closed.append(True)

    node.cut_off = sockets_close
    await node.add(Signer("first"))
    await node.heartbeat()
    until, since = Now() + timedelta(minutes=1), Now() if is_able else None
    other = {"machine": "other", "process": "blocks", "until": until, "able_since": since}
    await ProcessLease.objects.acreate(session="other blocks", **other)

    async def away(*_: Any, **__: Any) -> None:
        raise RedisAway("away")

    with monkeypatch.context() as patch:
        patch.setattr(node.redis, "set", away)
        with pytest.raises(RedisAway):
            await node.heartbeat()
        assert not closed, "a moment without Redis is no reason"
        node.renewed_at -= PROCESS_TTL_S
        for _ in range(2):
            with pytest.raises(RedisAway):
                await node.heartbeat()
        await asyncio.sleep(0)
        assert (closed, node.is_cut_off) == ([True] if is_able else [], is_able)
        await ProcessLease.objects.aupdate(able_since=None)
        with pytest.raises(RedisAway):
            await node.heartbeat()
        assert not node.is_cut_off, "no machine has Redis: calls that need none are served here again"

    await node.heartbeat()

    assert not node.is_cut_off
    await node.stop()
