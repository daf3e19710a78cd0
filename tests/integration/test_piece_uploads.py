"""Raw bytes over real sockets: read as they come, cut off, refused early; a killed process resumed."""

from __future__ import annotations

import http.client
import resource
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from apps.api.rpc import limits
from apps.pieces.models import Piece
from tests import factories, people
from tests.browser.web import Web
from tests.hub import WebProcess
from tests.servers import RedisServer

MIB = 1 << 20
BIG = 48 * MIB
"""More than a web process holds of requests that are not streamed, for one tenant."""


@pytest.fixture
def quick(
    transactional_db: None, pool_redis: str, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WebProcess]:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    monkeypatch.setattr(limits, "ARRIVAL_S", 2.0)
    process = WebProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def web(
    transactional_db: None, postgres_sockets: str, pool_redis: str, redis_server: RedisServer, tmp_path: Path
) -> Iterator[Web]:
    name = str(connections["default"].settings_dict["NAME"])
    made = Web(database=name, sockets=postgres_sockets, redis_url=redis_server.url, var=tmp_path)
    made.start()
    yield made
    made.end(signal.SIGKILL)
    made.link.close()


def head(
    length: int, token: str, *, path: str = "miners/f02001/pieces", method: str = "POST", more: str = ""
) -> bytes:
    return (
        f"{method} /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n{more}\r\n"
    ).encode()


def gone_within(seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not Piece.objects.exists():
            return True
        time.sleep(0.05)
    return False


def answer_of(link: socket.socket) -> tuple[int, bytes]:
    link.settimeout(120)
    got = b""
    while b"\r\n\r\n" not in got and (piece := link.recv(65536)):
        got += piece
    return int(got.split()[1]), got


def test_a_body_that_is_cut_or_stands_still_leaves_nothing(quick, tmp_path):
    factories.miner(2001, of="alice", sector_size=8 * MIB)
    token = people.token("write")
    with socket.create_connection(("127.0.0.1", quick.port)) as link:
        link.sendall(head(MIB, token) + bytes(MIB // 2))
        until = time.monotonic() + 60
        while not Piece.objects.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert Piece.objects.exists()
    assert gone_within(5)

    with socket.create_connection(("127.0.0.1", quick.port)) as link:
        link.sendall(head(MIB, token) + bytes(MIB // 2))
        status, body = answer_of(link)
    assert (status, b"body_too_slow" in body) == (408, True)
    assert gone_within(5)
    assert list((tmp_path / "pieces").iterdir()) == []


def test_who_may_not_is_told_before_the_body_is_read(quick):
    factories.miner(2001, of="alice", sector_size=32 << 30)
    for token, expected in ((people.token("admin", of="bob"), 404), ("nonsense", 413)):
        with socket.create_connection(("127.0.0.1", quick.port)) as link:
            link.sendall(head(1 << 30, token) + bytes(1000))
            assert answer_of(link)[0] == expected
    assert not Piece.objects.exists()


def test_a_large_piece_is_never_held_in_memory(web, tmp_path):
    factories.miner(2001, of="alice", sector_size=512 * MIB)
    token = people.token("write")
    pid = web.process.pid
    before = memory(pid)
    link = http.client.HTTPConnection("127.0.0.1", web.port, timeout=120)

    link.putrequest("POST", "/api/v1/miners/f02001/pieces")
    link.putheader("Authorization", f"Bearer {token}")
    link.putheader("Content-Length", str(BIG * 4))
    link.endheaders()
    peak = before
    for _ in range(BIG * 4 // MIB):
        link.send(bytes(MIB))
        peak = max(peak, memory(pid))
    answer = link.getresponse()
    body = answer.read()
    link.close()

    assert answer.status == 201, body
    assert peak - before < 48 * MIB
    assert (tmp_path / "pieces" / str(Piece.objects.get().uuid)).stat().st_size == BIG * 4


def test_an_upload_goes_on_after_a_kill_of_the_web_process(web):
    factories.miner(2001, of="alice", sector_size=512 * MIB)
    token = people.token("write")
    length = 160 * MIB
    with socket.create_connection(("127.0.0.1", web.port)) as link:
        link.sendall(head(0, token, more=f"Upload-Length: {length}\r\n"))
        assert answer_of(link)[0] == 201
    piece = Piece.objects.get()
    path = f"pieces/uploads/{piece.uuid}"
    with socket.create_connection(("127.0.0.1", web.port)) as link:
        link.sendall(head(length, token, path=path, method="PATCH", more="Upload-Offset: 0\r\n"))
        for _ in range(150):
            link.sendall(bytes(MIB))
        piece.refresh_from_db()
        web.end(signal.SIGKILL)
    web.start()
    piece.refresh_from_db()
    received = piece.received

    with socket.create_connection(("127.0.0.1", web.port)) as link:
        link.sendall(
            head(length - received, token, path=path, method="PATCH", more=f"Upload-Offset: {received}\r\n")
        )
        for _ in range((length - received) // MIB):
            link.sendall(bytes(MIB))
        link.sendall(bytes((length - received) % MIB))
        status, body = answer_of(link)

    assert status == 200, body
    assert 64 * MIB <= received < length
    piece.refresh_from_db()
    assert (piece.state, piece.payload_size) == ("READY", length)


def memory(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
