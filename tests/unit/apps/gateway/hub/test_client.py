"""How long a caller waits for a provider: never longer because somebody set the clock back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.core.redis_clients import redis_client
from apps.gateway.errors import NoAnswer, NoProvider
from apps.gateway.hub.blocking_client import connection_send, requests_send
from apps.gateway.hub.client import HubClient
from apps.gateway.hub.requests import Deadline, HubRequest
from apps.gateway.hub.routes import (
    ConnectionRef,
    entry_write,
    inbox_name,
    process_name,
    proof_route,
    route_name,
    wallet_route,
)
from poolsite.filecoin.keys import key_address
from tests.keys import fixed_key

SIGNER = str(key_address(fixed_key("secp256k1")))
REQUEST = HubRequest(proof_route(1000), None, "ComputeProof", None)
REF = ConnectionRef(connection="c", process="web", accounts=frozenset())


@pytest.fixture
async def client(pool_redis: str) -> AsyncIterator[HubClient]:
    made = HubClient(pool_redis)
    yield made
    await made.stop()


@pytest.fixture
def clock_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock stands an hour back from when a deadline was made."""

    class SetBack(Deadline):
        def __init__(self, seconds: float) -> None:
            super().__init__(seconds)
            self.at += 3600.0

    monkeypatch.setattr("apps.gateway.hub.client.Deadline", SetBack)


@pytest.mark.usefixtures("clock_set_back")
async def test_clock_set_back_does_not_prolong_the_patience(client: HubClient, monkeypatch: Any) -> None:
    monkeypatch.setattr("apps.gateway.hub.client.RECONNECT_WAIT_S", 0.2)
    monkeypatch.setattr(client, "is_expected", expected)
    began = time.monotonic()

    with pytest.raises(NoProvider):
        await client.request(REQUEST, deadline=Deadline(0.5))

    assert time.monotonic() - began < 30.0


async def expected(_route: str) -> bool:
    return True


@pytest.mark.usefixtures("pool_redis", "clock_set_back")
def test_clock_set_back_does_not_prolong_the_wait_for_an_answer() -> None:
    redis_client().set(process_name("web"), "lives")
    began = time.monotonic()

    with pytest.raises(NoAnswer, match="no answer in time"):
        connection_send(REF, "WalletSign", None, timeout_s=0.3)

    assert time.monotonic() - began < 30.0


@pytest.mark.usefixtures("pool_redis")
def test_dead_process_is_not_waited_for() -> None:
    began = time.monotonic()

    with pytest.raises(NoAnswer, match="channel closed"):
        connection_send(ConnectionRef("c", "dead", frozenset()), "WalletSign", None, timeout_s=60.0)

    assert time.monotonic() - began < 30.0


@pytest.mark.parametrize("stale", [1, 2])
async def test_a_new_connection_is_asked_before_a_killed_process_counts_as_dead(
    client: HubClient, stale: int
) -> None:
    route = wallet_route(SIGNER)

    async def connect(process: str, connection: str) -> None:
        await client.redis.set(process_name(process), "lives")
        await client.redis.hset(route_name(route), connection, entry_write(process, ["alice"]))

    async def asked(process: str) -> dict[str, Any]:
        popped = await client.redis.brpop([inbox_name(process)], timeout=9)
        assert popped is not None, f"nobody has asked {process}"
        item: dict[str, Any] = json.loads(popped[1])
        return item

    for number in range(stale):
        await connect("killed", f"old-{number}")
    request = HubRequest(route, ("alice",), "WalletSign", None, is_repeatable=True)
    waiting = asyncio.create_task(client.request(request, deadline=Deadline(30.0)))
    for _ in range(stale):
        await asked("killed")
    await connect("web", "new")
    item = await asked("web")
    answer = {"id": item["id"], "result": "signed", "error": "", "gone": False}
    await client.redis.lpush(item["to"], json.dumps(answer))

    assert item["connection"] == "new"
    assert await waiting == "signed"
    assert not await client.redis.exists(inbox_name("killed")), "each old connection is asked once"


@pytest.mark.usefixtures("pool_redis", "transactional_db")
def test_each_request_of_a_batch_gets_its_own_refusal() -> None:
    redis_client().set(process_name("web"), "lives")
    redis_client().hset(route_name(wallet_route(SIGNER)), "c", entry_write("web", ["alice"]))
    served = HubRequest(wallet_route(SIGNER), ("alice",), "WalletSign", None)

    answers = requests_send([REQUEST, served], timeout_s=1.5)

    assert [type(answer) for answer in answers] == [NoProvider, NoAnswer]
