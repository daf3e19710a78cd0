"""A caller's socket to the nodes: the devnet behind the console, calls and channels side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from apps.api.rpc.services.node import message_waits, proxy
from apps.chain.models import Node
from apps.chain.node import call_timeouts
from apps.chain.services.nodes import nodes_sync
from apps.chain.states import NodeCondition
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from poolsite.filecoin.cids import cid_to_json
from tests import people
from tests.hub import WebProcess
from tests.integration.pools import NO_CERTIFICATES, wait_until
from tests.unit.devnet.people import OWNER, STRANGER, chain, signed

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
    """Mine until a subscription sends a head, and return its parameters."""
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


@pytest.fixture
def pending() -> Iterator[tuple[Devnet, Any]]:
    """A node with a message in its pool, and that message's CID."""
    node = chain()
    node.mine(3)
    message = signed(node, OWNER, STRANGER.address, value=1)
    node.mempool.push(message)
    yield node, cid_to_json(message.cid)
    node.close()


@pytest.fixture
def waiting(
    pending: tuple[Devnet, Any], monkeypatch: pytest.MonkeyPatch, transactional_db: None, pool_redis: str
) -> Iterator[tuple[ClientConnection, Devnet, Any]]:
    """A caller that waits for a message that lands far later than any call may take."""
    monkeypatch.setattr(call_timeouts, "LONG", replace(call_timeouts.LONG, longest_s=0.05, patience_s=0.05))
    monkeypatch.setattr(message_waits, "PAUSE_S", 0.05)
    node, message = pending
    with calling(node) as caller:
        send(caller, 1, "StateWaitMsg", message, 2, -1, True)
        wait_until(lambda: bool(node.faults.connections), within_s=WAIT_S, what="a wait at the node")
        with pytest.raises(TimeoutError):
            caller.recv(timeout=0.3)
        yield caller, node, message


def test_a_message_is_waited_for_as_long_as_it_takes(waiting):
    caller, node, message = waiting

    node.mine(4)

    assert receive(caller)["result"]["Message"] == message


def test_a_wait_outlives_the_socket_of_its_node(waiting):
    caller, node, message = waiting

    node.faults.drop_connections()
    node.mine(4)

    assert receive(caller)["result"]["Message"] == message


def test_a_cancelled_wait_ends_at_the_node(waiting):
    caller, node, _message = waiting

    caller.send(json.dumps({"jsonrpc": "2.0", "method": "xrpc.cancel", "params": [1]}))

    wait_until(lambda: not node.faults.connections, within_s=WAIT_S, what="the end of the wait")


def test_a_wait_by_post_ends_when_its_caller_leaves(pending, transactional_db, pool_redis):
    node, message = pending
    params = [message, 2, -1, True]
    frame = {"jsonrpc": "2.0", "id": 1, "method": "Filecoin.StateWaitMsg", "params": params}
    with calling(node) as caller:
        url = f"http://{caller.remote_address[0]}:{caller.remote_address[1]}/rpc/v1"
        headers = people.bearer(people.token("read"))
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=frame, headers=headers, timeout=1.0, verify=NO_CERTIFICATES)
        wait_until(lambda: not node.faults.connections, within_s=WAIT_S, what="the end of the wait")


def test_a_refused_wait_returns_the_nodes_error(caller):
    cid = "bafy2bzacebff43xnc37znyu7ooresgadvmk6vy3jt6qcci4gvhxciz4bqan2u"
    send(caller, 1, "StateWaitMsg", {"/": cid}, 2, -1, True)

    assert receive(caller)["error"]["message"].endswith(f"could not find {cid}")


def test_a_wait_goes_on_at_the_node_that_has_the_message(
    devnet: Devnet, pending: tuple[Devnet, Any], transactional_db: None, pool_redis: str
) -> None:
    node, message = pending
    with calling(devnet, node) as caller:
        send(caller, 1, "StateWaitMsg", message, 2, -1, True)
        wait_until(lambda: bool(node.faults.connections), within_s=WAIT_S, what="a wait at the node")
        node.mine(4)

        assert receive(caller)["result"]["Message"] == message
