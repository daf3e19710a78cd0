"""Events to open pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.db import transaction

from apps.core.live import EVERYONE, POOL, Change, change_send, publish
from tests.servers import RedisServer


def listening(group: str) -> Callable[[], list[dict[str, Any]]]:
    """Join a group of the in-memory layer; gives what has arrived so far."""
    layer: Any = get_channel_layer()
    name = async_to_sync(layer.new_channel)()
    async_to_sync(layer.group_add)(group, name)

    def arrived() -> list[dict[str, Any]]:
        queue = layer.channels.get(name)
        return [queue.get_nowait()[1] for _ in range(queue.qsize())] if queue else []

    return arrived


@pytest.mark.django_db(transaction=True)
def test_a_change_is_sent_after_commit_to_the_operator_and_its_tenant() -> None:
    pool, own, other = listening(POOL), listening("live.7"), listening("live.8")

    with transaction.atomic():
        publish(Change("sector", "abc", 7))
        assert pool() == []

    event = {"type": "live.change", "kind": "sector", "pk": "abc"}
    assert (pool(), own(), other()) == ([event], [event], [])


@pytest.mark.django_db(transaction=True)
def test_what_belongs_to_nobody_goes_to_everyone() -> None:
    everyone = listening(EVERYONE)

    publish(Change("head", 12, None))

    assert [event["pk"] for event in everyone()] == [12]


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_rolled_back_is_not_sent() -> None:
    pool = listening(POOL)

    with transaction.atomic():
        publish(Change("sector", 1, 7))
        transaction.set_rollback(True)

    assert pool() == []


async def test_a_change_arrives_over_the_layer_of_the_pool(pool_redis: str) -> None:
    layer: Any = get_channel_layer()
    assert isinstance(layer, RedisPubSubChannelLayer)
    name = await layer.new_channel()
    await layer.group_add("live.7", name)

    await sync_to_async(change_send)(Change("sector", "abc", 7))

    event = await asyncio.wait_for(layer.receive(name), 60)
    assert event == {"type": "live.change", "kind": "sector", "pk": "abc"}
    await layer.flush()


@pytest.mark.django_db(transaction=True)
def test_without_redis_the_commit_stands(pool_redis: str, redis_server: RedisServer) -> None:
    redis_server.kill()

    with transaction.atomic():
        publish(Change("sector", 1, 7))
