"""Filters, logs and subscriptions; what the network says of itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from poolsite.devnet.filters import LIFE_S, MAX_FILTERS
from poolsite.devnet.node import Devnet
from poolsite.devnet.server import Server
from tests.unit.devnet.eth.conftest import ETH, name_of, transaction
from tests.unit.devnet.people import OWNER, WORKER, signed


async def test_a_block_filter_gives_what_came_since_it_was_asked(node, get):
    name = await get("eth_newBlockFilter")
    assert await get("eth_getFilterChanges", name) == []

    node.mine(2)

    heads = [node.chain.parent(node.head.tipset).tipset, node.head.tipset]
    assert await get("eth_getFilterChanges", name) == ["0x" + one.key.cid.digest.hex() for one in heads]
    assert await get("eth_getFilterChanges", name) == []


async def test_a_filter_of_pending_transactions(node, get):
    name = await get("eth_newPendingTransactionFilter")
    native = signed(node, OWNER, WORKER.address, value=1)
    node.mempool.push(native)

    mine = await get("eth_sendRawTransaction", "0x" + transaction(node, ETH).signed_bytes.hex())

    assert await get("eth_getFilterChanges", name) == ["0x" + native.cid.digest.hex(), mine]
    node.mine(2)
    assert await get("eth_getFilterChanges", name) == []


async def test_there_are_no_logs(get):
    spec = {"address": name_of(ETH), "topics": [None, ["0x" + "01" * 32]]}
    assert await get("eth_getLogs", spec) == []
    assert await get("eth_getLogs", {"fromBlock": "earliest", "toBlock": "latest"}) == []
    latest = await get("eth_getBlockByNumber", "latest", False)
    assert await get("eth_getLogs", {"blockHash": latest["hash"]}) == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"fromBlock": "0x2", "toBlock": "0x1"},
            "failed to parse eth filter spec: invalid epoch range: to block (1) must be after from block (2)",
        ),
        (
            {"fromBlock": "0x1", "toBlock": "0x1000"},
            "failed to parse eth filter spec: invalid epoch range: range between to and from blocks is too "
            "large (maximum: 2880)",
        ),
        ({"fromBlock": "5"}, "failed to parse eth filter spec: FromBlock is not a hex"),
        ({"toBlock": "safe"}, "failed to parse eth filter spec: ToBlock is not a hex"),
        ({"fromBlock": "0x" + "f" * 16}, "failed to parse eth filter spec: invalid epoch"),
        ({"fromBlock": "0x900"}, "cannot ask for events for a tipset at or greater than head"),
        (
            {"fromBlock": "0x1", "blockHash": "0x" + "00" * 32},
            "failed to parse eth filter spec: must not specify block hash and from/to block",
        ),
    ],
)
async def test_logs_that_cannot_be_asked_for(ask, spec, words):
    refusal = (await ask("eth_getLogs", spec))["error"]

    assert refusal == {"code": 1, "message": f"failed to get events for filter: {words}"}


async def test_filters_that_are_not_there(get, ask):
    name = "0x" + "ab" * 32
    assert await get("eth_uninstallFilter", name) is False
    known = await get("eth_newBlockFilter")
    assert await get("eth_uninstallFilter", known) is True
    assert (await ask("eth_getFilterChanges", name))["error"]["message"] == "filter not found"
    assert "nil pointer" in (await ask("eth_getLogs", None))["error"]["message"]


async def test_there_are_a_hundred_filters_and_forgotten_ones_make_room(node, get, ask):
    for _ in range(MAX_FILTERS):
        await get("eth_newBlockFilter")

    assert (await ask("eth_newBlockFilter"))["error"]["message"] == "maximum number of filters registered"

    node.clock.not_before(node.clock.now() + LIFE_S + 1)
    await get("eth_newBlockFilter")


async def test_a_subscription_needs_a_socket(ask):
    words = (await ask("eth_subscribe", "newHeads"))["error"]["message"]

    assert words == "connection doesn't support callbacks"


class Socket:
    """A WebSocket client of a node's ASGI application."""

    def __init__(self, node: Devnet) -> None:
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.frames: asyncio.Queue[Any] = asyncio.Queue()
        scope = {"type": "websocket", "path": "/rpc/v1", "headers": [], "query_string": b""}
        self.task = asyncio.create_task(Server(node)(scope, self.inbox.get, self.take))
        self.inbox.put_nowait({"type": "websocket.connect"})

    async def take(self, event: MutableMapping[str, Any]) -> None:
        if event["type"] == "websocket.send":
            self.frames.put_nowait(json.loads(event["text"]))

    async def ask(self, method, *params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        self.inbox.put_nowait({"type": "websocket.receive", "text": json.dumps(request)})
        return await self.next()

    async def next(self):
        return await asyncio.wait_for(self.frames.get(), 60)

    async def close(self) -> None:
        self.inbox.put_nowait({"type": "websocket.disconnect"})
        await asyncio.wait_for(self.task, 60)


@pytest.fixture
async def socket(node):
    socket = Socket(node)
    yield socket
    await socket.close()


async def test_new_heads_come_as_blocks(node, socket, get):
    subscription = (await socket.ask("eth_subscribe", "newHeads"))["result"]

    node.mine(2)

    frames = [await socket.next() for _ in range(2)]
    assert [frame["method"] for frame in frames] == ["eth_subscription"] * 2
    assert {frame["params"]["subscription"] for frame in frames} == {subscription}
    assert all("id" not in frame for frame in frames)
    assert frames[-1]["params"]["result"] == await get("eth_getBlockByNumber", "latest", True)
    assert (await socket.ask("eth_unsubscribe", subscription))["result"] is True
    assert (await socket.ask("eth_unsubscribe", subscription))["result"] is False
    node.mine(1)
    assert (await socket.ask("eth_chainId"))["result"] == hex(node.network.eth_chain_id)


async def test_pending_transactions_come_by_their_hashes(node, socket):
    await socket.ask("eth_subscribe", "newPendingTransactions")
    native = signed(node, OWNER, WORKER.address, value=1)

    node.mempool.push(native)

    assert (await socket.next())["params"]["result"] == "0x" + native.cid.digest.hex()


async def test_a_closed_socket_ends_its_subscriptions(node):
    socket = Socket(node)
    name = (await socket.ask("eth_subscribe", "newHeads"))["result"]

    await socket.close()

    assert node.filters.unsubscribe(bytes.fromhex(name[2:])) is False


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ((), "decoding params: expected 1 or 2 params, got 0"),
        ((5,), "decoding params: json: cannot unmarshal number into Go value of type string"),
        (("syncing",), "unsupported event type: syncing"),
    ],
)
async def test_a_subscription_to_nothing_is_refused(socket, params, words):
    assert (await socket.ask("eth_subscribe", *params))["error"] == {"code": 1, "message": words}


async def test_the_network_says_what_it_is(node, get):
    assert await get("eth_chainId") == await get("Filecoin.EthChainId") == hex(node.network.eth_chain_id)
    assert await get("net_version") == await get("Filecoin.NetVersion") == str(node.network.eth_chain_id)
    assert await get("web3_clientVersion") == (await get("Filecoin.Version"))["Version"]
