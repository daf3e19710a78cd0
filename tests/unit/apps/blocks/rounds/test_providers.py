"""Signer and prover of a round: one that restarts is waited for as long as its answer is of use."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from apps.blocks.rounds.providers import BlockProviders, ProofTimeout
from apps.gateway.errors import SignerAway
from apps.gateway.hub.client import HubClient
from apps.gateway.hub.routes import (
    entry_write,
    inbox_name,
    process_name,
    proof_route,
    route_name,
    wallet_route,
)
from poolsite.filecoin.keys import key_address, key_sign
from poolsite.filecoin.signature import signature_to_json
from tests.keys import fixed_key

MINER = 1000
WORKER = key_address(fixed_key("bls"))
SIGNATURE = key_sign(fixed_key("bls"), b"header")
ANSWERS: dict[str, Any] = {
    wallet_route(str(WORKER)): signature_to_json(SIGNATURE),
    proof_route(MINER): [{"PoStProof": 0, "ProofBytes": "AAAA"}],
}


@pytest.fixture
async def hub(pool_redis: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HubClient]:
    monkeypatch.setattr("apps.gateway.hub.client.RECONNECT_WAIT_S", 0.2)
    made = HubClient(pool_redis)
    monkeypatch.setattr(made, "is_expected", lately)
    yield made
    await made.stop()


def request(hub: HubClient, route: str, until: float) -> Coroutine[Any, Any, Any]:
    providers = BlockProviders(hub)
    if route == proof_route(MINER):
        return providers.prove(MINER, {}, account="alice", until=until)
    return providers.sign(WORKER, b"header", account="alice", meta_type="block", until=until)


async def lately(_route: str) -> bool:
    return True


@pytest.mark.parametrize("route", ANSWERS, ids=["signer", "prover"])
async def test_a_restart_longer_than_usual_costs_no_win(
    hub: HubClient, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.gateway.hub.client.PAUSE_LATER_S", 0.1)
    waiting = asyncio.create_task(request(hub, route, time.time() + 30))
    await asyncio.sleep(0.8)

    await hub.redis.set(process_name("web"), "lives")
    await hub.redis.hset(route_name(route), "new", entry_write("web", ["alice"]))
    popped = await hub.redis.brpop([inbox_name("web")], timeout=9)
    assert popped is not None, waiting
    item = json.loads(popped[1])
    answer = {"id": item["id"], "result": ANSWERS[route], "error": "", "gone": False}
    await hub.redis.lpush(item["to"], json.dumps(answer))

    assert await waiting


@pytest.mark.parametrize("route", ANSWERS, ids=["signer", "prover"])
async def test_who_does_not_come_back_is_named_when_the_round_ends(
    hub: HubClient, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.gateway.hub.client.PAUSE_LATER_S", 60.0)
    began = time.monotonic()

    with pytest.raises((SignerAway, ProofTimeout)):
        await request(hub, route, time.time() + 0.7)

    assert 0.6 < time.monotonic() - began < 20
