"""Requests that are large or never whole, over real sockets: they hold neither memory nor connection."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.test import Client

from apps.api.rpc import limits
from poolsite import http_limits
from tests import people
from tests.browser.web import Web
from tests.hub import WebProcess
from tests.servers import RedisServer

KIB = 1024
MIB = 1024 * KIB
ROUTES = (
    "/login/",
    "/api/v1/jobs/claim",
    "/api/v1/workers",
    "/api/v1/miners",
    "/verify",
    "/invitation/x/",
    "/rpc/v1",
)


@pytest.fixture
def web(
    transactional_db: None, postgres_sockets: str, pool_redis: str, redis_server: RedisServer, tmp_path: Path
) -> Iterator[Web]:
    """A web process of the product on this test's database."""
    name = str(connections["default"].settings_dict["NAME"])
    made = Web(database=name, sockets=postgres_sockets, redis_url=redis_server.url, var=tmp_path)
    made.start()
    yield made
    made.end(signal.SIGKILL)
    made.link.close()


@pytest.fixture
def quick(transactional_db: None, pool_redis: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebProcess]:
    """A web process in a thread, with short times."""
    monkeypatch.setattr(limits, "ARRIVAL_S", 1.0)
    monkeypatch.setattr("apps.api.rpc.transport.post.ARRIVAL_S", 1.0)
    monkeypatch.setattr(http_limits, "HEAD_S", 1.0)
    process = WebProcess()
    process.start()
    yield process
    process.stop()


def head(path: str, *, length: int, **headers: str) -> bytes:
    """Return a POST's head."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Content-Length: {length}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(link: socket.socket) -> bytes:
    """Return what comes until the connection is closed or a whole answer is there."""
    link.settimeout(60)
    got = b""
    while b"\r\n\r\n" not in got:
        piece = link.recv(65536)
        if not piece:
            break
        got += piece
    return got


def resident_mib(pid: int) -> float:
    """Return the memory that a process holds."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096 / MIB


@pytest.mark.parametrize("is_declared", [True, False])
def test_strangers_bodies_are_neither_held_nor_written(web: Web, is_declared: bool) -> None:
    assert web.process is not None
    before = resident_mib(web.process.pid)
    with ExitStack() as links:
        for path in ROUTES:
            link = links.enter_context(socket.create_connection(("127.0.0.1", web.port)))
            link.settimeout(20)
            if is_declared:
                link.sendall(head(path, length=16 * MIB))
            else:
                chunked = head(path, length=0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
                link.sendall(chunked + b"%x\r\n" % (16 * MIB))
            with contextlib.suppress(OSError):  # refused and closed already
                for _ in range(15):
                    link.sendall(b" " * MIB)
        time.sleep(0.5)  # all bytes are read by now, if anybody reads them
        files = [
            path.readlink() for path in Path(f"/proc/{web.process.pid}/fd").iterdir() if path.is_symlink()
        ]
        grown = resident_mib(web.process.pid) - before

    assert not [file for file in files if "(deleted)" in str(file) and "/tmp" in str(file)]
    assert grown < 20


@pytest.mark.parametrize("path", ROUTES)
def test_a_strangers_large_body_is_refused(web: Web, path: str) -> None:
    with socket.create_connection(("127.0.0.1", web.port)) as link:
        link.sendall(head(path, length=65 * KIB) + b" " * (65 * KIB))
        said = answer(link)

    assert said.split()[1] == (b"401" if path.startswith("/rpc/") else b"413"), said


def test_a_known_caller_sends_more(web: Web) -> None:
    client = Client()
    client.force_login(people.person())
    cookie = client.cookies[django_settings.SESSION_COOKIE_NAME]
    body = json.dumps({"filler": "x" * (100 * KIB)}).encode()
    ways: list[dict[str, Any]] = [{"Cookie": f"{cookie.key}={cookie.value}"}, people.bearer(people.token())]
    for headers in ways:
        with socket.create_connection(("127.0.0.1", web.port)) as link:
            link.sendall(head("/api/v1/miners", length=len(body), **headers) + body)

            assert answer(link).split()[1] not in (b"413", b"408")


@pytest.mark.parametrize("path", ROUTES)
def test_a_body_that_does_not_arrive_in_time_is_dropped(quick: WebProcess, path: str) -> None:
    with socket.create_connection(("127.0.0.1", quick.port)) as link:
        begin = time.monotonic()
        link.sendall(head(path, length=100) + b"{")
        said = answer(link)
        while link.recv(1000):
            pass

    assert b" 408 " in said.partition(b"\r\n")[0]
    assert time.monotonic() - begin > 0.9


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"\r\n"])
def test_a_head_that_does_not_arrive_in_time_is_closed(quick: WebProcess, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", quick.port)) as link:
        link.sendall(begun)
        link.settimeout(60)
        with contextlib.suppress(ConnectionResetError):
            while link.recv(1000):
                pass


def test_the_second_request_of_a_connection_has_a_deadline_too(quick: WebProcess) -> None:
    with socket.create_connection(("127.0.0.1", quick.port)) as link:
        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b" 200 " in answer(link)
        link.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        with pytest.raises(OSError, match=r"reset|pipe"):
            drip(link, 600)


def drip(link: socket.socket, count: int) -> None:
    """Send so many bytes, none of them long after the one before it."""
    for _ in range(count):
        link.sendall(b"x")
        time.sleep(0.1)


def test_a_head_without_end_is_refused(web: Web) -> None:
    with socket.create_connection(("127.0.0.1", web.port)) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (70 * KIB))
        assert answer(link).startswith(b"HTTP/1.1 431 ")
