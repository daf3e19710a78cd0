"""The world in which `make bench` lets block services beside each other make blocks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets

from poolsite.devnet.node import Devnet
from tests.bench import beside_miner
from tests.bench.block_world import MINERS, Door, World, worker_key
from tests.peers.programs import PROGRAMS_VARIABLE

LONG = 70_000
"""Characters that need the longest form of a frame's head."""


@pytest.fixture
def world() -> World:
    chain = Devnet(":memory:", network="test")
    try:
        return World(worker_key(), chain.mine_one().blocks[0])
    finally:
        chain.close()


@pytest.fixture
async def address(world: World) -> AsyncIterator[str]:
    """Where it serves."""
    server = await asyncio.get_running_loop().create_server(lambda: Door(world), "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


def call(method: str, *params: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})


def block(world: World, miner: str, *, above: int = 1, signature: Any = "signed") -> dict[str, Any]:
    return {"Header": {"Miner": miner, "Height": world.height + above, "BlockSig": signature}}


async def test_block_in_several_frames_ends_the_round(world: World, address: str) -> None:
    async with websockets.connect(f"ws://{address}/rpc/v1") as socket:
        await socket.send(call("Filecoin.MinerGetBaseInfo", "f030000", world.height + 1, []))
        assert json.loads(await socket.recv())["result"]["EligibleForMining"]
        whole = call("Filecoin.SyncSubmitBlock", block(world, "t030000") | {"BlsMessages": ["x" * LONG]})
        await socket.send([whole[:5000], whole[5000:5003], whole[5003:]])
        assert json.loads(await socket.recv()) == {"jsonrpc": "2.0", "id": 7, "result": None}
        await (await socket.ping())

    seen = world.seen()
    assert seen["blocks"] == 1
    assert seen["seconds"] > 0


async def test_block_counts_once_signed_and_of_the_round(world: World, address: str) -> None:
    blocks = [
        block(world, "f030000"),
        block(world, "t030000"),  # the same miner
        block(world, "f030001", signature=None),
        block(world, "f030002", above=0),
    ]
    async with httpx.AsyncClient(base_url=f"http://{address}") as client:
        for one in blocks:
            answer = await client.post("/rpc/v1", content=call("Filecoin.SyncSubmitBlock", one))
            assert answer.json()["result"] is None
        miners = (await client.get("/user/miner/list?user=bench")).json()
        refused = (await client.post("/rpc/v1", content=call("Filecoin.Absent"))).json()

    assert world.seen()["blocks"] == 1
    assert len(miners) == MINERS
    assert "Absent" in refused["error"]["message"]
    world.arm()
    assert world.seen() | {"cpu": 0} == {"blocks": 0, "seconds": 0.0, "still": 0.0, "cpu": 0}


def test_why_the_peer_is_absent_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(PROGRAMS_VARIABLE, raising=False)
    beside_miner.peer.cache_clear()
    try:
        assert beside_miner.RATIO not in beside_miner.cases()
        beside_miner.peer()
    finally:
        beside_miner.peer.cache_clear()

    said = capsys.readouterr().out
    assert said.count("not measured beside ours") == 1
    assert "names no folder with sophon-miner" in said
