"""A round of signatures asks one connection for hundreds at once; all come back in one breath."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client
from apps.gateway.errors import NoProvider
from apps.gateway.hub_client import HubRequest, requests_send
from apps.gateway.hub_node import HubNode
from apps.gateway.outbox import Outbox
from apps.gateway.routes import wallet_route
from poolsite.filecoin.keys import key_address
from tests import factories, people

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apps.gateway.activity import Activity

ROUND = 300
SIGNER = str(key_address(people.key("secp256k1")))
ROUTE = wallet_route(SIGNER)


asked = database_sync_to_async(requests_send, thread_sensitive=False)


class Crowd:
    """A connection that answers when the whole round has been asked, everybody at the same moment."""

    id, accounts, routes, life_name = "crowd", {"alice"}, {ROUTE}, ""

    def __init__(self) -> None:
        self.everybody = asyncio.Barrier(ROUND)

    async def serve(self, method: str, payload: Any, until: float) -> Any:
        await self.everybody.wait()
        return payload

    ask = serve

    def activity_take(self) -> Activity | None:
        return None


@pytest.fixture
async def known(transactional_db: None) -> None:
    """The wallet has been here: should this process stand still for seconds, its callers wait for it."""
    await database_sync_to_async(factories.signer_connection)(SIGNER)


@pytest.fixture
async def switch(pool_redis: str, transactional_db: None) -> AsyncIterator[HubNode]:
    made = HubNode(pool_redis)
    await made.add(Crowd())
    made.start()
    yield made
    await made.stop()


def questions(accounts: tuple[str, ...] = ("alice",)) -> list[HubRequest]:
    return [HubRequest(ROUTE, accounts, "WalletSign", number) for number in range(ROUND)]


@pytest.mark.usefixtures("known")
async def test_no_answer_of_a_large_round_is_lost(switch: HubNode) -> None:
    answers = await asked(questions(), timeout_s=30.0)

    assert answers == list(range(ROUND))


@pytest.mark.usefixtures("known")
async def test_a_round_through_another_web_process_is_whole_too(switch: HubNode, pool_redis: str) -> None:
    other = HubNode(pool_redis)
    try:
        round_ = [
            other.request(route=ROUTE, accounts={"alice"}, method="WalletSign", payload=number, seconds=30.0)
            for number in range(ROUND)
        ]
        assert await asyncio.gather(*round_) == list(range(ROUND))
    finally:
        await other.stop()


async def test_a_round_for_others_is_refused_whole(switch: HubNode) -> None:
    answers = await asked(questions(("bob",)), timeout_s=5.0)

    assert {type(answer) for answer in answers} == {NoProvider}


async def test_what_nobody_fetches_goes_away(switch: HubNode, pool_redis: str) -> None:
    await asyncio.gather(*(switch.outbox.post("hub:reply:gone", {"id": str(i)}) for i in range(ROUND)))

    client = redis_client()
    assert client.llen("hub:reply:gone") == ROUND
    assert 0 < client.ttl("hub:reply:gone") <= 120


class Broken:
    """A Redis that is away."""

    def pipeline(self, *, transaction: bool) -> Any:
        raise RedisError("away")


async def test_everybody_who_posts_hears_that_redis_is_away() -> None:
    outbox = Outbox(Broken())  # type: ignore[arg-type]

    told = await asyncio.gather(
        *(outbox.post("box", {"id": str(i)}) for i in range(5)), return_exceptions=True
    )

    assert [str(error) for error in told] == ["away"] * 5
