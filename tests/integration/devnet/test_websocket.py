"""WebSocket as recorded from a lotus node: channels, waits, reorgs, replacement, garbage."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
import websockets

from poolsite.devnet.forks import head_back
from poolsite.devnet.service import Service
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.cids import cid_of_cbor
from tests.unit.devnet.people import OWNER, STRANGER, chain, signed

TIMEOUT_S = 60.0


@pytest.fixture
def service():
    node = chain()
    node.mine(3)
    with Service(node, mining="paused") as running:
        yield running
    node.close()


class Socket:
    """One connection that speaks JSON."""

    def __init__(self, raw):
        self.raw = raw

    async def say(self, method, *params, id=1):
        await self.raw.send(
            json.dumps({"jsonrpc": "2.0", "id": id, "method": f"Filecoin.{method}", "params": list(params)})
        )

    async def hear(self):
        return json.loads(await asyncio.wait_for(self.raw.recv(), TIMEOUT_S))

    async def ask(self, method, *params, id=1):
        await self.say(method, *params, id=id)
        return await self.hear()


@asynccontextmanager
async def socket(service, path="/rpc/v1"):
    url = service.url.replace("http:", "ws:").replace("/rpc/v1", path)
    async with websockets.connect(url, max_size=None) as raw:
        yield Socket(raw)


def changes(frame):
    assert frame["method"] == "xrpc.ch.val"
    return [(change["Type"], change["Val"]["Height"]) for change in frame["params"][1]]


def cid_json(message):
    return {"/": str(message.cid)}


async def test_the_first_frame_is_the_current_head(service):
    async with socket(service) as s:
        assert await s.ask("ChainNotify", id=2) == {"jsonrpc": "2.0", "result": 1, "id": 2}
        frame = await s.hear()

    assert "id" not in frame
    assert changes(frame) == [("current", 3)]


async def test_heads_are_applied_and_null_rounds_are_silent(service):
    node = service.node
    async with socket(service) as s:
        await s.ask("ChainNotify")
        await s.hear()
        node.mine_one()
        node.null_rounds(3)
        node.mine_one()

        assert changes(await s.hear()) == [("apply", 4)]
        assert changes(await s.hear()) == [("apply", 8)]


async def test_setting_the_head_back_reverts_downwards(service):
    async with socket(service) as s:
        await s.ask("ChainNotify")
        await s.hear()
        head_back(service.node, 3)

        assert changes(await s.hear()) == [("revert", 3), ("revert", 2), ("revert", 1)]


async def test_waits_answer_at_their_confidence(service):
    node = service.node
    message = signed(node, OWNER, STRANGER.address, value=1)
    node.mempool.push(message)
    async with socket(service) as s:
        await s.say("StateWaitMsg", cid_json(message), 0, -1, True, id=10)
        await s.say("StateWaitMsg", cid_json(message), 3, -1, True, id=11)
        await asyncio.sleep(0)
        node.mine(2)
        first = await s.hear()
        assert first["id"] == 10
        executed = first["result"]["Height"]
        assert executed == node.head.height

        node.null_rounds(2)
        node.mine_one()
        second = await s.hear()

    assert second["id"] == 11
    assert second["result"]["Height"] == executed


async def test_a_waiter_outlives_a_reorg(service):
    node = service.node
    message = signed(node, OWNER, STRANGER.address, value=1)
    node.mempool.push(message)
    node.mine(2)
    async with socket(service) as s:
        await s.say("StateWaitMsg", cid_json(message), 2, -1, True, id=20)
        head_back(node, 3)
        assert (await s.ask("StateSearchMsg", None, cid_json(message), -1, True, id=21))["result"] is None
        node.null_rounds(1)
        node.mine(4)
        answer = await s.hear()

    assert answer["id"] == 20
    assert answer["result"]["Message"] == cid_json(message)


async def test_a_replaced_message(service):
    node = service.node

    def at_price(premium, value):
        fields = {"nonce": 0, "gas_limit": 3_000_000, "gas_fee_cap": AttoFil(10**9)}
        return signed(node, OWNER, STRANGER.address, value=value, gas_premium=AttoFil(premium), **fields)

    old, new = at_price(100_000, 1), at_price(200_000, 1)
    node.mempool.push(old)
    async with socket(service) as s:
        await s.say("StateWaitMsg", cid_json(old), 0, -1, True, id=30)
        await s.say("StateWaitMsg", cid_json(old), 0, -1, False, id=31)
        node.mempool.push(new)
        node.mine(2)
        answers = {answer["id"]: answer for answer in (await s.hear(), await s.hear())}
        searched = await s.ask("StateSearchMsg", None, cid_json(old), -1, False, id=32)

    assert answers[30]["result"]["Message"] == cid_json(new)
    assert answers[31]["error"]["message"] == (
        "message was replaced: found message with equal nonce as the one we are looking for "
        f"(F:{old.cid} n 0, TS: {new.cid} n0): message was replaced"
    )
    assert searched["result"] is None


async def test_another_call_is_no_replacement(service):
    node = service.node
    old = signed(node, OWNER, STRANGER.address, nonce=0, value=1, gas_limit=3_000_000)
    fields = {"gas_fee_cap": AttoFil(10**9), "gas_premium": AttoFil(200_000)}
    new = signed(node, OWNER, STRANGER.address, nonce=0, value=2, gas_limit=3_000_000, **fields)
    node.mempool.push(old)
    node.mempool.push(new)
    node.mine(2)

    async with socket(service) as s:
        answer = await s.ask("StateSearchMsg", None, cid_json(old), -1, True)

    assert "that is NOT a valid replacement message" in answer["error"]["message"]


async def test_waits_that_cannot_be(service):
    unknown = {"/": str(cid_of_cbor(b"nothing"))}
    async with socket(service) as s:
        missing = await s.ask("StateWaitMsg", unknown, 1, -1, True)
        deep = await s.ask("StateWaitMsg", unknown, 1000, -1, True)

    assert missing["error"]["message"].endswith(f"ipld: could not find {unknown['/']}")
    assert deep["error"]["message"] == (
        "message confidence exceeds maximum: 1000 > 900: message confidence exceeds maximum"
    )


async def test_garbage_and_batches_are_ignored(service):
    async with socket(service) as s:
        await s.raw.send("{not json")
        await s.raw.send('[{"jsonrpc":"2.0","id":16,"method":"Filecoin.Version","params":[]}]')

        assert (await s.ask("StateNetworkName", id=17))["id"] == 17


async def test_a_cancelled_channel_is_closed_and_the_next_has_the_next_number(service):
    async with socket(service) as s:
        await s.ask("ChainNotify", id=2)
        await s.hear()
        await s.raw.send('{"jsonrpc":"2.0","method":"xrpc.cancel","params":[2]}')
        assert await s.hear() == {"jsonrpc": "2.0", "method": "xrpc.ch.close", "params": [1]}
        service.node.mine_one()

        assert (await s.ask("ChainNotify", id=3))["result"] == 2
        assert changes(await s.hear()) == [("current", 4)]


async def test_the_pool_is_watched(service):
    node = service.node
    async with socket(service) as s:
        await s.ask("MpoolSub", id="sub-1")
        message = signed(node, OWNER, STRANGER.address, value=1)
        node.mempool.push(message)
        added = await s.hear()
        node.mine_one()
        removed = await s.hear()

    assert added["params"][1]["Type"] == 0
    assert added["params"][1]["Message"]["CID"] == cid_json(message)
    assert removed["params"][1]["Type"] == 1


async def test_dropped_sockets_are_closed_by_the_node(service):
    async with socket(service) as s:
        await s.ask("StateNetworkName")
        assert service.node.faults.drop_connections() == 1

        with pytest.raises(websockets.ConnectionClosedError):
            await asyncio.wait_for(s.raw.recv(), TIMEOUT_S)


async def test_v0_has_its_own_signatures(service):
    node = service.node
    message = signed(node, OWNER, STRANGER.address, value=1)
    node.mempool.push(message)
    node.mine(2)

    async with socket(service, "/rpc/v0") as s:
        found = await s.ask("StateSearchMsg", cid_json(message))
        waited = await s.ask("StateWaitMsg", cid_json(message), 0)
        receipt = await s.ask("StateGetReceipt", cid_json(message), None)

    assert found["result"] == waited["result"]
    assert receipt["result"] == found["result"]["Receipt"]
