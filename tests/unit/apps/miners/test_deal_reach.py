"""Whether clients reach the node that takes deals: looked at by real connections to this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from apps.chain.node.public_hosts import is_public
from apps.miners.selectors import deal_reach
from apps.miners.selectors.deal_reach import TRIED_MAX, ReachState, address_reach, addresses_reach
from poolsite.libp2p.multistream import HELLO

PEER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"


@contextmanager
def listening(says: bytes | None) -> Iterator[int]:
    """A port that says this to whoever connects; with None it says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                if says is not None:
                    line.sendall(says)
                ended.wait(10)

        ended = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(autouse=True)
def here_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only in these tests may this machine be tried."""
    monkeypatch.setattr(deal_reach, "is_public", lambda host: host == "127.0.0.1" or is_public(host))
    monkeypatch.setattr(deal_reach, "CONNECT_S", 0.3)


@pytest.mark.parametrize(
    ("says", "more", "state", "words"),
    [
        (HELLO, "", ReachState.REACHED, "a libp2p node responds"),
        (HELLO + b"\x03ls\n", f"/p2p/{PEER}", "reached", "a libp2p node"),
        (
            b"HTTP/1.1 400 Bad Request\r\n",
            "",
            ReachState.FAILED,
            "something responds, but it is not a libp2p node",
        ),
        (b"", "", ReachState.FAILED, "no response: check the port forwarding"),
        (None, "/ws", ReachState.OPEN, "only TCP was tested"),
    ],
)
def test_a_port_is_looked_at_as_a_client_does(says: bytes, more: str, state: str, words: str) -> None:
    with listening(says) as port:
        found = address_reach(f"/ip4/127.0.0.1/tcp/{port}{more}")

    assert found.state == state
    assert words in found.says


def test_a_closed_port_and_a_name_are_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    refused = address_reach(f"/ip4/127.0.0.1/tcp/{port}")
    assert (refused.state, refused.says.partition(":")[0]) == ("failed", "Connection refused")
    with listening(HELLO) as port:
        assert address_reach(f"/dns4/localhost/tcp/{port}").state is ReachState.REACHED
    unknown = address_reach("/dns4/nobody.invalid/tcp/1")
    assert (unknown.state, unknown.says.partition(":")[0]) == ("failed", "name lookup failed")


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ("/ip4/192.168.1.50/tcp/1357", "private"),
        ("/ip4/100.64.0.1/tcp/1", "private"),
        ("/ip6/fe80::1/tcp/1", "private"),
        ("/ip6/fec0::1/tcp/1", "private"),
        ("/ip6/::ffff:10.0.0.1/tcp/1", "private"),
        ("/ip6/::7f00:1/tcp/1", "private"),
        ("/ip6/64:ff9b::a00:1/tcp/1", "private"),
        ("/ip6/2002:a00:1::1/tcp/1", "private"),
        ("/ip4/224.0.0.1/tcp/1", "private"),
        ("/ip4/169.254.169.254/tcp/80", "private"),
        ("/ip4/8.8.8.8/udp/1/quic-v1", "not_tried"),
        ("/dnsaddr/bootstrap.example", "not_tried"),
        (f"/p2p/{PEER}/p2p-circuit", "not_tried"),
        ("ffff03", "not_tried"),
    ],
)
def test_what_is_not_public_or_not_tcp_is_never_tried(
    address: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*args: object, **named: object) -> None:
        raise AssertionError(f"connected: {args} {named}")

    monkeypatch.setattr(socket, "create_connection", connect)

    assert address_reach(address).state == state


def test_only_so_many_are_tried_and_none_is_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(deal_reach, "WAIT_S", 0.2)
    monkeypatch.setattr(deal_reach, "_places", lambda _host: goes_on.wait(10) and [])
    names = [f"/dns4/slow{number}.example/tcp/1" for number in range(TRIED_MAX + 2)]

    found = addresses_reach(names)
    goes_on.set()

    assert [one.address for one in found] == names
    assert {one.says for one in found[:TRIED_MAX]} == {"no response in time"}
    assert [one.state for one in found[TRIED_MAX:]] == [ReachState.NOT_TRIED] * 2
    assert addresses_reach([]) == []
