"""Ethereum's methods through the console: their names, their levels, filters at whichever node has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.api.rpc.services.node import proxy
from apps.api.rpc.services.node.ethereum import ALIASES
from apps.api.rpc.services.node.methods import LEVELS
from apps.chain.models import Node
from apps.chain.services.nodes import nodes_sync
from apps.chain.states import NodeCondition
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.rpc.eth.table import ALIASED, ethereum_name
from poolsite.devnet.service import Service
from tests import people

pytestmark = pytest.mark.django_db


@pytest.fixture
def devnets() -> Iterator[list[Devnet]]:
    """Two nodes of chains of their own; the pool knows both."""
    proxy.OBJECT_CACHE.clear()
    proxy.NODES.clear()
    nodes = [Devnet(":memory:", network="test", clock=ManualClock()) for _ in range(2)]
    with Service(nodes[0], mining="paused") as one, Service(nodes[1], mining="paused") as two:
        nodes_sync([one.url, two.url])
        Node.objects.update(condition=NodeCondition.HEALTHY)
        yield nodes
    proxy.NODES.clear()
    for node in nodes:
        node.close()


def call(client: Any, method: str, *params: Any, **token: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
    sent = people.bearer(people.token("read", **token))
    return client.post("/rpc/v1", json.dumps(body), content_type="application/json", headers=sent).json()


def test_both_names_reach_the_node(client, devnets):
    wanted = hex(devnets[0].network.eth_chain_id)

    assert call(client, "eth_chainId")["result"] == wanted
    assert call(client, "Filecoin.EthChainId")["result"] == wanted
    assert call(client, "net_version")["result"] == str(int(wanted, 16))
    assert call(client, "web3_clientVersion")["result"].startswith("poolsite-devnet")
    assert call(client, "eth_nope")["error"]["code"] == -32601


def test_a_refusal_comes_as_the_node_said_it(client, devnets):
    refusal = call(client, "eth_call", {"from": "0x" + "11" * 20, "to": "0x" + "22" * 20}, "latest")["error"]

    assert refusal["code"] == 1
    assert "call raw get actor" in refusal["message"]
    assert call(client, "eth_getBlockByNumber", "earliest", False)["error"]["message"] == (
        'block param "earliest" is not supported'
    )


def test_a_node_that_reverts_gives_its_data(client, devnets):
    miner = "0xff" + "00" * 11 + (1000).to_bytes(8, "big").hex()

    refusal = call(client, "eth_call", {"to": miner, "data": "0x01"}, "latest")["error"]

    assert (refusal["code"], refusal.get("data")) == (3, "0x")


def test_a_token_for_other_methods_does_not_get_in_by_another_name(client, devnets):
    refusal = call(client, "eth_chainId", scopes=["signer"])["error"]

    assert "missing permission to invoke 'Filecoin.EthChainId'" in refusal["message"]


def test_every_name_that_lotus_gives_is_known():
    served = {ethereum_name(method.name) for method in ALIASED}

    assert served <= set(ALIASES)
    assert {name.removeprefix("Filecoin.") for name in ALIASES.values()} <= set(LEVELS)
    assert ALIASES["trace_block"] == "Filecoin.EthTraceBlock"


def test_a_filter_is_asked_where_it_is(client, devnets):
    first, second = devnets
    elsewhere = "0x" + second.filters.install("heads").hex()
    second.mine_one()

    assert call(client, "eth_getFilterChanges", elsewhere)["result"] == [
        "0x" + second.head.tipset.key.cid.digest.hex()
    ]
    here = call(client, "eth_newBlockFilter")["result"]
    assert call(client, "eth_getFilterChanges", here)["result"] == []
    assert call(client, "eth_uninstallFilter", elsewhere)["result"] is True
    assert call(client, "eth_uninstallFilter", elsewhere)["result"] is False
    assert call(client, "eth_getFilterChanges", elsewhere)["error"]["message"] == "filter not found"
    assert first.filters.kind_of(bytes.fromhex(here[2:])) or second.filters.kind_of(bytes.fromhex(here[2:]))


def test_a_subscription_needs_a_socket(client, devnets):
    refusal = call(client, "eth_subscribe", "newHeads")["error"]

    assert refusal == {"code": 1, "message": "connection doesn't support callbacks"}
