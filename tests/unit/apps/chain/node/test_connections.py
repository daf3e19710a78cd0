"""Kept connections: used again, noticed when the other side closed them, never shared by two calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from apps.chain.node.connections import AnswerTooLarge, Connections


class Echo(BaseHTTPRequestHandler):
    """Gives a body back; notes on which connection it came."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    ports: ClassVar[list[int]]
    ends: ClassVar[bool]
    drips: ClassVar[list[int]]
    gate: ClassVar[threading.Event]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.ports.append(self.client_address[1])
        if body == b"wait":
            self.gate.wait(60)
        if body == b"nonsense":
            self.wfile.write(b"what?\r\n\r\n")
            self.close_connection = True
            return
        if body.startswith(b"drip"):
            self.drip(body)
            return
        if body.startswith(b"chunks"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(int(body[6:])):
                self.wfile.write(b"a\r\n0123456789\r\n")
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_response(200 if self.path == "/rpc/v1" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.ends  # without a word of it in the head

    def drip(self, body: bytes) -> None:
        """Send head or body at five bytes a second, for a minute at most."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\nX-Long: " + b"x" * 300 + b"\r\n\r\n"
        if body == b"drip chunks":
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12c\r\n"
        quick, slow = (b"", head) if body == b"drip head" else (head, b"x" * 300)
        self.wfile.write(quick)
        for byte in slow[:300]:
            self.drips.append(byte)
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.gate.wait(0.2):
                break
        self.close_connection = True

    def log_message(self, *_args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[tuple[str, type[Echo]]]:
    own = {"ports": [], "ends": False, "drips": [], "gate": threading.Event()}
    handler: type[Echo] = type("Handler", (Echo,), own)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/rpc/v1", handler
    handler.gate.set()
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def post(connections: Connections, body: bytes, answer_s: float = 10.0) -> tuple[int, bytes]:
    return connections.post(body, connect_s=5.0, answer_s=answer_s)


def test_a_connection_is_used_again(server: tuple[str, type[Echo]]) -> None:
    url, handler = server
    connections = Connections(url, {}, answer_max=100)

    assert [post(connections, body) for body in (b"one", b"two")] == [(200, b"one"), (200, b"two")]
    assert len(set(handler.ports)) == 1
    connections.close()
    assert post(connections, b"three") == (200, b"three")
    assert len(set(handler.ports)) == 2
    connections.close()


def test_one_that_the_other_side_closed_is_noticed(server: tuple[str, type[Echo]]) -> None:
    url, handler = server
    handler.ends = True
    connections = Connections(url, {}, answer_max=100)

    for number in range(5):
        body = str(number).encode()
        assert post(connections, body) == (200, body)
        wait_closed(connections)
    assert len(set(handler.ports)) == 5
    connections.close()


def wait_closed(connections: Connections) -> None:
    """Until the end of the connection has arrived here."""
    for connection in connections._idle:
        connection.sock.settimeout(60)
        assert connection.sock.recv(1) == b""


def test_two_calls_at_once_have_a_connection_each(server: tuple[str, type[Echo]]) -> None:
    url, handler = server
    connections = Connections(url, {}, answer_max=100)
    slow = threading.Thread(target=post, args=(connections, b"wait"))
    slow.start()
    try:
        assert post(connections, b"quick") == (200, b"quick")
    finally:
        handler.gate.set()
        slow.join()
    assert len(set(handler.ports)) == 2
    connections.close()


def test_what_goes_wrong_is_raised_and_the_next_call_begins_anew(server: tuple[str, type[Echo]]) -> None:
    url, handler = server
    connections = Connections(url, {}, answer_max=100)
    with pytest.raises(TimeoutError):
        post(connections, b"wait", answer_s=0.05)
    with pytest.raises(HTTPException):
        post(connections, b"nonsense")

    assert post(connections, b"fine") == (200, b"fine")
    assert handler.ports[-1] not in handler.ports[:-1]  # under load the first may not get as far as a port
    connections.close()


def test_nobody_there_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="refused"):
        post(Connections("http://127.0.0.1:9/rpc/v1", {}, answer_max=100), b"")


@pytest.mark.parametrize("body", [b"drip head", b"drip body", b"drip chunks"])
def test_slow_drip_response_hits_the_call_deadline(server: tuple[str, type[Echo]], body: bytes) -> None:
    url, handler = server
    connections = Connections(url, {}, answer_max=1000)
    begun = time.monotonic()

    with pytest.raises(TimeoutError):
        post(connections, body, answer_s=1.3)

    assert time.monotonic() - begun >= 1.3
    assert len(handler.drips) < 150, "no byte came later than 1.3 s after the one before it"
    handler.gate.set()
    assert post(connections, b"fine") == (200, b"fine")
    assert len(set(handler.ports)) == 2
    connections.close()


def test_each_call_on_a_kept_connection_has_its_own_time(server: tuple[str, type[Echo]]) -> None:
    url, handler = server
    connections = Connections(url, {}, answer_max=100)
    post(connections, b"one", answer_s=0.2)
    threading.Timer(0.3, handler.gate.set).start()

    assert post(connections, b"wait", answer_s=5) == (200, b"wait")
    assert len(set(handler.ports)) == 1
    connections.close()


@pytest.mark.parametrize("body", [b"x" * 101, b"chunks11", b"chunks1000"])
def test_an_answer_over_the_limit_is_not_read_on(server: tuple[str, type[Echo]], body: bytes) -> None:
    url, handler = server
    connections = Connections(url, {}, answer_max=100)

    with pytest.raises(AnswerTooLarge, match="larger than 100 bytes"):
        post(connections, body)

    assert post(connections, b"fine") == (200, b"fine")
    assert len(set(handler.ports)) == 2
    connections.close()


@pytest.mark.parametrize("body", [b"x" * 100, b"chunks10"])
def test_an_answer_of_just_the_limit_is_read_and_its_connection_kept(
    server: tuple[str, type[Echo]], body: bytes
) -> None:
    url, handler = server
    connections = Connections(url, {}, answer_max=100)

    assert [len(post(connections, body)[1]) for _ in range(2)] == [100, 100]
    assert len(set(handler.ports)) == 1
    connections.close()
