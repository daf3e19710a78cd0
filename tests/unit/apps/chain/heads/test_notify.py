"""Hearing of heads: frames of a real WebSocket, reconnects, and asking where there is none."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.sync.server import Server, ServerConnection, serve

from apps.chain.heads.notify import HeadListener, LatestHead
from apps.chain.node.addresses import NodeAddress
from apps.chain.node.client import ChainClient
from apps.chain.node.link import link_to
from apps.chain.node.tipsets import TipsetFacts
from tests.fake_node import FakeNode, served

WAIT_S = 60.0


class Channel:
    """The far side of ChainNotify: accepts subscriptions and sends what the test says."""

    def __init__(self) -> None:
        self.sockets: queue.Queue[ServerConnection] = queue.Queue()
        self.requests: list[Any] = []

    def handle(self, socket: ServerConnection) -> None:
        """Take the subscription and keep the connection until its other end closes."""
        self.requests.append(json.loads(socket.recv()))
        socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "result": 1}))
        self.sockets.put(socket)
        for _ in socket:
            pass

    def send(self, socket: ServerConnection, *changes: tuple[str, Any]) -> None:
        """Send one frame of changes."""
        rows = [{"Type": kind, "Val": value} for kind, value in changes]
        socket.send(json.dumps({"jsonrpc": "2.0", "method": "xrpc.ch.val", "params": [1, rows]}))


@contextmanager
def channel_served(channel: Channel) -> Iterator[str]:
    server: Server
    with serve(channel.handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/rpc/v1"
        server.shutdown()
    thread.join()


@contextmanager
def listening(*addresses: NodeAddress) -> Iterator[tuple[HeadListener, queue.Queue[TipsetFacts]]]:
    heard: queue.Queue[TipsetFacts] = queue.Queue()
    listener = HeadListener(
        addresses=lambda: list(addresses),
        client=lambda one: ChainClient([link_to(one.http_url, one.token)]),
        on_head=lambda facts, _address: heard.put(facts),
    )
    listener.start()
    try:
        yield listener, heard
    finally:
        listener.stop()


@contextmanager
def heads_of(node: FakeNode, channel: Channel) -> Iterator[queue.Queue[TipsetFacts]]:
    """Listen to a node over its channel."""
    with (
        served(node) as url,
        channel_served(channel) as ws,
        listening(NodeAddress(url, ws, "")) as (_, heard),
    ):
        yield heard


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


def test_the_current_and_each_new_head_are_heard(node: FakeNode) -> None:
    channel = Channel()
    with (
        served(node) as url,
        channel_served(channel) as ws,
        listening(NodeAddress(url, ws, "")) as (listener, heard),
    ):
        socket = channel.sockets.get(timeout=WAIT_S)
        channel.send(socket, ("current", node.head.as_json()))
        assert heard.get(timeout=WAIT_S).height == 0
        node.mine()
        channel.send(socket, ("apply", node.head.as_json()))
        assert heard.get(timeout=WAIT_S).height == 1
        assert listener.connected_to == url

    assert channel.requests[0]["method"] == "Filecoin.ChainNotify"


def test_after_reverts_alone_the_node_is_asked_for_its_head(node: FakeNode) -> None:
    channel = Channel()
    for _ in range(3):
        node.mine()
    top = node.head
    node.rewind(1)
    with (
        served(node) as url,
        channel_served(channel) as ws,
        listening(NodeAddress(url, ws, "")) as (_, heard),
    ):
        socket = channel.sockets.get(timeout=WAIT_S)
        channel.send(socket, ("revert", top.as_json()))

        assert heard.get(timeout=WAIT_S).height == 2


def test_a_lost_connection_is_opened_again(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.chain.heads.notify.RETRY_S", 0.01)
    channel = Channel()
    with (
        served(node) as url,
        channel_served(channel) as ws,
        listening(NodeAddress(url, ws, "")) as (_, heard),
    ):
        channel.sockets.get(timeout=WAIT_S).close()

        again = channel.sockets.get(timeout=WAIT_S)
        channel.send(again, ("current", node.head.as_json()))
        assert heard.get(timeout=WAIT_S).height == 0


def test_a_closed_channel_is_subscribed_again(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.chain.heads.notify.RETRY_S", 0.01)
    channel = Channel()
    with served(node) as url, channel_served(channel) as ws, listening(NodeAddress(url, ws, "")):
        socket = channel.sockets.get(timeout=WAIT_S)
        socket.send(json.dumps({"jsonrpc": "2.0", "method": "xrpc.ch.close", "params": [1]}))

        assert channel.sockets.get(timeout=WAIT_S) is not socket


@pytest.mark.parametrize(("return_s", "is_back"), [(0.0, True), (3600.0, False)])
def test_the_best_node_is_heard_again_once_it_may_be(
    node: FakeNode, return_s: float, is_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chain.heads.notify.RETRY_S", 0.01)
    monkeypatch.setattr("apps.chain.heads.notify.RETURN_S", return_s)
    best, backup = Channel(), Channel()
    with (
        served(node) as url,
        served(node) as backup_url,
        channel_served(best) as ws,
        channel_served(backup) as backup_ws,
        listening(NodeAddress(url, ws, ""), NodeAddress(backup_url, backup_ws, "")) as (listener, heard),
    ):
        best.sockets.get(timeout=WAIT_S).close()
        socket = backup.sockets.get(timeout=WAIT_S)
        backup.send(socket, ("current", node.head.as_json()))
        assert heard.get(timeout=WAIT_S).height == 0
        assert listener.connected_to == backup_url

        listener.restrict_to([url, backup_url])

        if is_back:
            best.sockets.get(timeout=WAIT_S)
        else:
            backup.send(socket, ("current", node.head.as_json()))
            assert heard.get(timeout=WAIT_S).height == 0


def test_pause_before_returning_doubles_until_the_node_sends_a_head(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chain.heads.notify.RETRY_S", 0.01)
    passed_s = [0.0]
    monkeypatch.setattr("apps.chain.heads.notify.time", SimpleNamespace(monotonic=lambda: passed_s[0]))
    best, backup = Channel(), Channel()
    with (
        served(node) as url,
        served(node) as backup_url,
        channel_served(best) as ws,
        channel_served(backup) as backup_ws,
        listening(NodeAddress(url, ws, ""), NodeAddress(backup_url, backup_ws, "")) as (listener, heard),
    ):

        def hear(channel: Channel, socket: ServerConnection) -> None:
            channel.send(socket, ("current", node.head.as_json()))
            heard.get(timeout=WAIT_S)

        def restrict_at(second: float) -> None:
            passed_s[0] = second
            listener.restrict_to([url, backup_url])

        best.sockets.get(timeout=WAIT_S).close()
        hear(backup, backup.sockets.get(timeout=WAIT_S))
        restrict_at(10)
        best.sockets.get(timeout=WAIT_S).close()
        socket = backup.sockets.get(timeout=WAIT_S)
        hear(backup, socket)

        restrict_at(29)
        hear(backup, socket)
        restrict_at(30)
        socket = best.sockets.get(timeout=WAIT_S)
        hear(best, socket)
        socket.close()
        hear(backup, backup.sockets.get(timeout=WAIT_S))
        restrict_at(40)
        best.sockets.get(timeout=WAIT_S)


@pytest.mark.parametrize("frame", ["no JSON", "[1]", '{"method": "xrpc.ch.val", "params": [1, []]}', "{}{}"])
def test_a_frame_that_nobody_can_read_does_not_end_the_listening(
    node: FakeNode, frame: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chain.heads.notify.RETRY_S", 0.01)
    channel = Channel()
    with heads_of(node, channel) as heard:
        channel.sockets.get(timeout=WAIT_S).send(frame)

        again = channel.sockets.get(timeout=WAIT_S)
        channel.send(again, ("current", node.head.as_json()))
        assert heard.get(timeout=WAIT_S).height == 0


def test_a_silent_connection_is_checked(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.chain.heads.notify.SILENCE_S", 0.01)
    channel = Channel()
    with (
        served(node) as url,
        channel_served(channel) as ws,
        listening(NodeAddress(url, ws, "")) as (_, heard),
    ):
        assert heard.get(timeout=WAIT_S).height == 0


def test_a_node_without_websocket_is_asked_again_and_again(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chain.heads.notify.POLL_S", 0.01)
    with served(node) as url:
        address = NodeAddress(url, url.replace("http", "ws"), "")
        with listening(address) as (_, heard):
            assert heard.get(timeout=WAIT_S).height == 0
            node.mine()
            assert heard.get(timeout=WAIT_S).height == 1


def test_only_the_newest_head_waits_in_the_box(node: FakeNode) -> None:
    box, address = LatestHead(), NodeAddress("", "", "")
    with served(node) as url:
        client = ChainClient([link_to(url, "")])
        box.put(client.chain_head(), address)
        node.mine()
        box.put(client.chain_head(), address)

    taken = box.take(0)

    assert taken is not None
    assert taken[0].height == 1
    assert box.take(0) is None
