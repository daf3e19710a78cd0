from __future__ import annotations

import asyncio

import pytest
from channels.db import database_sync_to_async

from apps.core.redis_clients import redis_client
from apps.users.models import Token
from apps.users.services.access import AccessChanges
from apps.users.services.tokens import token_revoke
from tests import people
from tests.servers import RedisServer

pytestmark = pytest.mark.usefixtures("pool_redis")

LONG_S = 60.0
"""What would be waited for without a word."""


async def test_the_first_look_is_made_at_once_and_then_nobody_is_disturbed() -> None:
    changes = AccessChanges()

    assert await changes.wait(LONG_S)
    assert not await changes.wait(0.1)
    await changes.close()


@pytest.mark.django_db(transaction=True)
async def test_a_revoked_token_is_told_to_everybody_who_listens() -> None:
    listeners = [AccessChanges(), AccessChanges()]
    for one in listeners:
        await one.wait(LONG_S)

    def revoke() -> None:
        people.token("read")
        token_revoke(Token.objects.get())

    await database_sync_to_async(revoke, thread_sensitive=False)()

    async with asyncio.timeout(LONG_S / 2):
        assert await asyncio.gather(*(one.wait(LONG_S) for one in listeners)) == [True, True]
    for one in listeners:
        await one.close()


async def test_a_cut_subscription_counts_as_a_change_when_it_is_back() -> None:
    changes = AccessChanges()
    await changes.wait(LONG_S)
    assert not await changes.wait(0.1)

    redis_client().client_kill_filter(_type="pubsub")

    async with asyncio.timeout(LONG_S / 2):
        while not await changes.wait(LONG_S):
            pass
    await changes.close()


async def test_without_redis_it_says_nothing_and_goes_on(redis_server: RedisServer) -> None:
    changes = AccessChanges()
    await changes.wait(LONG_S)
    redis_server.kill()
    try:
        assert not await changes.wait(0.1)
        assert not await changes.wait(0.1)
    finally:
        redis_server.start()

    async with asyncio.timeout(LONG_S / 2):
        while not await changes.wait(1.0):
            pass
    await changes.close()


@pytest.mark.parametrize("after_s", [0.0, 0.0005, 0.001, 0.002, 0.004, 0.006, 0.1])
async def test_who_listens_ends_when_it_is_cancelled_even_while_connecting(after_s: float) -> None:
    changes = AccessChanges()

    async def listen() -> None:
        while True:
            await changes.wait(0.05)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(after_s)
    listening.cancel()
    await asyncio.wait([listening], timeout=LONG_S / 2)

    assert listening.cancelled()
    await changes.close()
