"""A caller's socket to the nodes: the devnet behind the console, calls and channels side by side."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.client import ClientConnection, connect

from apps.api.rpc.services.node import proxy
from apps.chain.models import Node
from apps.chain.services.nodes import nodes_sync
from apps.chain.states import NodeCondition
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from tests import people
from tests.hub import WebProcess
from tests.integration.pools import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 60.0


@pytest.fixture
def devnet() -> Devnet:
    return Devnet(":memory:", network="test", clock=ManualClock())


@contextmanager
def calling(*devnets: Devnet) -> Iterator[ClientConnection]:
    """Open a tenant's socket to the console, whose nodes are these."""
    proxy.OBJECT_CACHE.clear()
    proxy.NODES.clear()
    process = WebProcess()
    with ExitStack() as services:
        nodes_sync([services.enter_context(Service(one, mining="paused")).url for one in devnets])
        Node.objects.update(condition=NodeCondition.HEALTHY)
        process.start()
        headers = people.bearer(people.token("read"))
        try:
            with connect(process.ws, additional_headers=headers, proxy=None) as socket:
                yield socket
        finally:
            process.stop()
            proxy.NODES.clear()


@pytest.fixture
def caller(devnet: Devnet, transactional_db: None, pool_redis: str) -> Iterator[ClientConnection]:
    """A tenant's socket to the console, whose only node is the devnet."""
    with calling(devnet) as socket:
        yield socket


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Devnet:
    """A second node; channels check often which one they are to follow."""
    monkeypatch.setattr(proxy, "CHECK_S", 0.05)
    return Devnet(":memory:", network="test", clock=ManualClock())


def send(socket: ClientConnection, number: int, method: str, *params: Any) -> None:
    frame = {"jsonrpc": "2.0", "id": number, "method": f"Filecoin.{method}", "params": list(params)}
    socket.send(json.dumps(frame))


def next_head(socket: ClientConnection, devnet: Devnet) -> Any:
    """Mine until a subscription says so; gives its parameters."""
    frames: list[Any] = []

    def heard() -> bool:
        devnet.mine_one()
        try:
            frames.append(json.loads(socket.recv(timeout=0.3)))
        except TimeoutError:
            return False
        return True

    wait_until(heard, within_s=WAIT_S, what="a head")
    return frames[-1]["params"]


def receive(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=WAIT_S))


def test_heads_come_through_a_channel_while_calls_are_answered(caller, devnet):
    send(caller, 1, "ChainNotify")
    channel = receive(caller)["result"]
    current = receive(caller)
    assert current["method"] == "xrpc.ch.val"
    assert current["params"][0] == channel
    assert current["params"][1][0]["Type"] == "current"

    send(caller, 2, "ChainHead")
    before = receive(caller)["result"]["Height"]
    devnet.mine_one()
    [change] = receive(caller)["params"][1]

    assert change["Type"] == "apply"
    assert change["Val"]["Height"] > before

    caller.send(json.dumps({"jsonrpc": "2.0", "method": "xrpc.cancel", "params": [1]}))
    send(caller, 3, "Version")
    while (answer := receive(caller)).get("id") != 3:
        pass
    assert "Version" in answer["result"]


def test_new_heads_are_subscribed_to_through_the_console(caller, devnet):
    caller.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}))
    name = receive(caller)["result"]

    devnet.mine(2)

    heads = [receive(caller) for _ in range(2)]
    assert [head["method"] for head in heads] == ["eth_subscription"] * 2
    assert {head["params"]["subscription"] for head in heads} == {name}
    before = devnet.chain.parent(devnet.head.tipset).height  # epochs without a block may lie between
    assert heads[-1]["params"]["result"]["number"] == hex(before)
    caller.send(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "eth_unsubscribe", "params": [name]}))
    assert receive(caller)["result"] is True


def test_a_subscription_goes_on_when_the_nodes_socket_breaks(caller, devnet):
    caller.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}))
    name = receive(caller)["result"]
    devnet.faults.drop_connections()
    wait_until(lambda: bool(devnet.faults.connections), within_s=WAIT_S, what="a new socket")

    assert next_head(caller, devnet)["subscription"] == name


@pytest.mark.parametrize("change", [{"condition": NodeCondition.LAGGING}, {"is_enabled": False}])
def test_a_channel_ends_when_its_node_is_not_followed_any_more(
    devnet: Devnet, other: Devnet, change: dict[str, Any], transactional_db: None, pool_redis: str
) -> None:
    with calling(devnet, other) as caller:
        send(caller, 1, "ChainNotify")
        channel = receive(caller)["result"]
        receive(caller)

        Node.objects.filter(position=0).update(**change)

        assert receive(caller) == {"jsonrpc": "2.0", "method": "xrpc.ch.close", "params": [channel]}
        other.mine(3)
        send(caller, 2, "ChainNotify")
        receive(caller)
        assert receive(caller)["params"][1][0]["Val"]["Height"] == other.head.height


def test_a_subscription_goes_on_at_the_node_that_is_followed(
    devnet: Devnet, other: Devnet, transactional_db: None, pool_redis: str
) -> None:
    with calling(devnet, other) as caller:
        frame = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
        caller.send(json.dumps(frame))
        name = receive(caller)["result"]

        Node.objects.filter(position=0).update(condition=NodeCondition.LAGGING)

        assert next_head(caller, other)["subscription"] == name
