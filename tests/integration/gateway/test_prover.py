"""The prover at the hub: it listens for the miners of its store and answers with real WinningPoSts."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from apps.gateway.selectors.connections import provers_connected
from apps.gateway.services.connection_test import connection_end, prover_test
from apps.users.rules.principals import SYSTEM
from apps.users.services.access import access_change_publish
from apps.users.services.grants import miner_grant
from tests import people
from tests.integration.gateway.prover import (
    MINER,
    connected_row,
    in_thread,
    listening,
    request_of,
    sector,
    token,
)
from workers.processors import winning_post
from workers.prover.gateway import gateway_url
from workers.prover.winning import compute_proof
from workers.storage.store import Store

__all__ = ["sector", "token"]


async def test_a_test_proof_is_a_real_one_that_holds(web, token, sector):
    stores, comm_r = sector

    async with listening(web, token, stores) as row:
        finding = await in_thread(lambda: prover_test(row, request=request_of(comm_r)))()
        other = await in_thread(lambda: prover_test(row, request=request_of(bytes(32))))()

    assert (finding.is_good, finding.text.endswith("and it is valid")) == (True, True), finding
    assert row.actor_id == MINER
    assert not other.is_good


async def test_a_proof_of_something_else_is_found_out(web, token, sector):
    stores, comm_r = sector
    other = request_of(comm_r) | {"Rand": "CQ" + 40 * "A" + "A="}

    def compute(miner: int, _request: Any) -> Any:
        return compute_proof(other, stores=stores, miner_id=miner, prove=winning_post.run)

    async with listening(web, token, stores, compute=compute) as row:
        finding = await in_thread(lambda: prover_test(row, request=request_of(comm_r)))()

    assert not finding.is_good
    assert finding.text.startswith("its proof is invalid")


async def test_what_cannot_be_proven_is_refused_and_the_next_is_answered(web, token, sector):
    stores, comm_r = sector
    good, bad = request_of(comm_r), request_of(comm_r)
    bad["SectorInfos"][0]["SectorNumber"] = 9

    async with listening(web, token, stores) as row:
        for request in (bad, {**good, "SectorInfos": []}, {**good, "Rand": 7}, {}):
            finding = await in_thread(lambda request=request: prover_test(row, request=request))()
            assert not finding.is_good
        assert (await in_thread(lambda: prover_test(row, request=good))()).is_good


async def test_transferred_miner_is_not_proved_by_the_old_tenants_prover(web, token, sector):
    stores, comm_r = sector
    admin = await in_thread(people.operator_token)()
    request = request_of(comm_r)
    params = [f"f0{MINER}", request["SectorInfos"], request["Rand"], 10, 27]
    body = {"jsonrpc": "2.0", "id": 1, "method": "Gateway.ComputeProof", "params": params}
    async with (
        listening(web, token, stores),
        httpx.AsyncClient(headers=people.bearer(admin), timeout=60) as client,
    ):
        assert (await client.post(web.url, json=body)).json()["result"]

        await in_thread(lambda: miner_grant(tenant=people.tenant("bob"), actor_id=MINER))()

        refused = (await client.post(web.url, json=body)).json()
        assert "no connections for this miner" in refused["error"]["message"]


async def test_the_channel_of_a_miner_that_went_ends_and_is_not_opened_again(web, token, sector, monkeypatch):
    monkeypatch.setattr("apps.api.rpc.callers.REGULAR_S", 300.0)  # nobody looks without being told
    stores, _ = sector
    bob = await in_thread(people.tenant)("bob")

    async with listening(web, token, stores) as row:
        await in_thread(access_change_publish)()
        await asyncio.sleep(0.5)
        assert [one.pk for one in await in_thread(lambda: list(provers_connected(SYSTEM)))()] == [row.pk]

        await in_thread(lambda: miner_grant(tenant=bob, actor_id=MINER))()
        await in_thread(access_change_publish)()

        async with asyncio.timeout(60):
            while await in_thread(lambda: provers_connected(SYSTEM).exists())():
                await asyncio.sleep(0.02)
        await asyncio.sleep(2)
        assert not await in_thread(lambda: provers_connected(SYSTEM).exists())()


async def test_the_channel_of_a_miner_whose_store_went_ends_until_it_is_back(web, token, sector, monkeypatch):
    monkeypatch.setattr("workers.prover.gateway.CHECK_EVERY_S", 0.05)
    stores, comm_r = sector
    admin = await in_thread(people.operator_token)()
    request = request_of(comm_r)
    params = [f"f0{MINER}", request["SectorInfos"], request["Rand"], 10, 27]
    body = {"jsonrpc": "2.0", "id": 1, "method": "Gateway.ComputeProof", "params": params}
    [root] = [one.store.root for one in stores.here()]
    async with (
        listening(web, token, stores),
        httpx.AsyncClient(headers=people.bearer(admin), timeout=60) as client,
    ):
        root.rename(root.with_name("away"))
        async with asyncio.timeout(60):
            while await in_thread(lambda: provers_connected(SYSTEM).exists())():
                await asyncio.sleep(0.02)
        refused = (await client.post(web.url, json=body)).json()
        assert "no connections for this miner" in refused["error"]["message"], "not: no answer in time"

        root.with_name("away").rename(root)
        await connected_row()
        assert (await client.post(web.url, json=body)).json()["result"]


async def test_a_closed_channel_is_opened_again(web, token, sector):
    stores, comm_r = sector

    async with listening(web, token, stores) as row:
        first = row.pk
        await in_thread(lambda: connection_end(principal=SYSTEM, row=row))()
        async with asyncio.timeout(60):
            while (row := await connected_row()).pk == first:
                await asyncio.sleep(0.05)
        assert (await in_thread(lambda: prover_test(row, request=request_of(comm_r)))()).is_good


def test_a_store_names_its_miners(tmp_path):
    store = Store(tmp_path)
    assert not store.numbers()
    for name in ("s-t01000-1", "s-t01000-2", "s-t01001-7", "other", "s-t0x-1"):
        (tmp_path / "sealed").mkdir(exist_ok=True)
        (tmp_path / "sealed" / name).touch()

    assert store.numbers().keys() == {1000, 1001}


@pytest.mark.parametrize(
    ("console", "url"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/rpc/v1"),
        ("https://pool.example/", "wss://pool.example/rpc/v1"),
    ],
)
def test_the_gateway_stands_at_the_console(console, url):
    assert gateway_url(console) == url
