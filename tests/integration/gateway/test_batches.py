"""A batch of signatures asks one connection for hundreds at once; all come back together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client
from apps.gateway.errors import NoProvider
from apps.gateway.hub.activity import Activity
from apps.gateway.hub.blocking_client import requests_send
from apps.gateway.hub.outbox import Outbox
from apps.gateway.hub.requests import Deadline, HubRequest
from apps.gateway.hub.routes import wallet_route
from apps.gateway.providers.hub_node import HubNode
from poolsite.filecoin.keys import key_address
from tests import factories
from tests.keys import fixed_key

BATCH = 300
SIGNER = str(key_address(fixed_key("secp256k1")))
ROUTE = wallet_route(SIGNER)


asked = database_sync_to_async(requests_send, thread_sensitive=False)


class Crowd:
    """A connection that answers when the whole batch has been asked, everybody at the same moment."""

    id, accounts, routes, heartbeat_name = "crowd", {"alice"}, {ROUTE}, ""

    def __init__(self) -> None:
        self.everybody = asyncio.Barrier(BATCH)

    async def handle(self, method: str, payload: Any, until: float) -> Any:
        await self.everybody.wait()
        return payload

    request = handle

    def activity_read(self) -> Activity | None:
        return None


@pytest.fixture
async def known(transactional_db: None) -> None:
    """The wallet has been here: should this process stand still for seconds, its callers wait for it."""
    await database_sync_to_async(factories.signer_connection)(SIGNER)


@pytest.fixture
async def node(pool_redis: str, transactional_db: None) -> AsyncIterator[HubNode]:
    made = HubNode(pool_redis)
    await made.add(Crowd())
    made.start()
    yield made
    await made.stop()


def questions(accounts: tuple[str, ...] = ("alice",)) -> list[HubRequest]:
    return [HubRequest(ROUTE, accounts, "WalletSign", number) for number in range(BATCH)]


@pytest.mark.usefixtures("known")
async def test_no_answer_of_a_large_batch_is_lost(node: HubNode) -> None:
    answers = await asked(questions(), timeout_s=30.0)

    assert answers == list(range(BATCH))


@pytest.mark.usefixtures("known")
async def test_batch_through_another_web_process_is_whole(node: HubNode, pool_redis: str) -> None:
    other = HubNode(pool_redis)
    try:
        batch = [
            other.request(HubRequest(ROUTE, {"alice"}, "WalletSign", number), deadline=Deadline(30.0))
            for number in range(BATCH)
        ]
        assert await asyncio.gather(*batch) == list(range(BATCH))
    finally:
        await other.stop()


async def test_batch_for_another_account_is_refused(node: HubNode) -> None:
    answers = await asked(questions(("bob",)), timeout_s=5.0)

    assert {type(answer) for answer in answers} == {NoProvider}


async def test_unfetched_answers_expire(node: HubNode, pool_redis: str) -> None:
    await asyncio.gather(*(node.outbox.post("hub:reply:gone", {"id": str(i)}) for i in range(BATCH)))

    client = redis_client()
    assert client.llen("hub:reply:gone") == BATCH
    assert 0 < client.ttl("hub:reply:gone") <= 120


class Broken:
    """A Redis that is away."""

    def pipeline(self, *, transaction: bool) -> Any:
        raise RedisError("away")


async def test_all_senders_hear_that_redis_is_away() -> None:
    outbox = Outbox(Broken())  # type: ignore[arg-type]

    told = await asyncio.gather(
        *(outbox.post("box", {"id": str(i)}) for i in range(5)), return_exceptions=True
    )

    assert [str(error) for error in told] == ["away"] * 5
