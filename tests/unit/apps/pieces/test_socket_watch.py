"""Bytes that are too slow: the one that was slow is named, and a download has an end however it drips."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from apps.pieces.data import socket_watch, sources
from apps.pieces.data.socket_watch import (
    DESTINATION_SLOW,
    LOCAL_COPY_SLOW,
    SOURCE_SLOW,
    PutWatch,
    SocketWatch,
)
from apps.pieces.data.sources import SourceAway, url_opened
from tests.dripping_market import dripping_market


@dataclass
class Clock:
    """Stands where the module `time` is."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("source_s", "market_s", "words"),
    [
        ((0, 61), (0, 0), LOCAL_COPY_SLOW),
        ((0, 0), (61, 0), DESTINATION_SLOW),
        ((0, 61), (200, 0), LOCAL_COPY_SLOW),
        ((40, 1), (20, 0), LOCAL_COPY_SLOW),
        ((20, 1), (40, 0), DESTINATION_SLOW),
    ],
)
def test_who_was_slow_is_named(
    monkeypatch: pytest.MonkeyPatch,
    source_s: tuple[int, int],
    market_s: tuple[int, int],
    words: str,
) -> None:
    clock = Clock()
    told: list[str] = []
    monkeypatch.setattr(socket_watch, "time", clock)
    with socket.socket() as sock:
        watch = PutWatch(sock, rate=1 << 20, slow_s=60)

        def chunks() -> Iterator[bytes]:
            for seconds in source_s:
                clock.now += seconds
                if clock.now > 60:
                    told.append(watch.slow_text(clock.now))
                yield b"x"

        for seconds, _ in zip(market_s, watch.counted(chunks()), strict=False):
            clock.now += seconds
            if clock.now > 60:
                told.append(watch.slow_text(clock.now))

    assert words in told


def test_a_source_that_takes_long_leaves_the_market_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(socket_watch, "time", clock)
    with socket.socket() as sock:
        watch = PutWatch(sock, rate=1 << 20, slow_s=60)

        def chunks() -> Iterator[bytes]:
            clock.now += 50
            yield bytes(64 << 20)

        for _ in watch.counted(chunks()):
            assert watch._end == 50 + 60


def test_the_time_that_the_reader_takes_is_not_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(socket_watch, "time", clock)
    with socket.socket() as sock:
        watch = SocketWatch(sock, rate=1 << 20, slow_s=60)
        clock.now = 10
        watch.extend(1)
        watch.pause()
        clock.now = 1_000
        watch.resume()

        assert watch._end == 1_000 + 50 + 1 / (1 << 20)


def test_a_paused_watch_ends_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(socket_watch, "time", clock)
    monkeypatch.setattr(socket_watch, "POLL_S", 0.001)
    near, far = socket.socketpair()
    with near, far:
        watch = SocketWatch(near, rate=1 << 20, slow_s=60)
        watch.pause()
        clock.now = 1_000
        with watch.started():
            time.sleep(0.05)  # many looks; a slower machine has fewer
            assert watch.reason == ""
            watch.resume()
            clock.now = 2_000
            assert near.recv(1) == b"", "it is ended once its own time is over"

    assert watch.reason == SOURCE_SLOW


def test_a_handshake_of_tls_that_drips_ends(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.PIECE_URLS_PRIVATE = True
    monkeypatch.setattr(sources, "SLOW_S", 0.5)
    with dripping_handshake() as url, pytest.raises(SourceAway, match="the source sends too slowly"):
        downloaded(url)


@contextmanager
def dripping_handshake() -> Iterator[str]:
    """A server whose first record of TLS never comes to its end, yielded as its URL."""
    over = threading.Event()

    def drip() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00")
            while not over.wait(0.05):
                connection.sendall(b"\x00")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.getsockname()[1]}/piece"
        finally:
            over.set()
            thread.join()


def downloaded(url: str) -> bytes:
    with url_opened(url) as body:
        return b"".join(iter(lambda: body.read(1 << 20), b""))


@pytest.mark.parametrize("dripping", ["answer", "download"])
def test_a_download_that_drips_ends(monkeypatch: pytest.MonkeyPatch, settings: Any, dripping: str) -> None:
    settings.PIECE_URLS_PRIVATE = True
    monkeypatch.setattr(sources, "SLOW_S", 0.5)
    with (
        dripping_market(dripping, None) as url,
        pytest.raises(SourceAway, match="the source sends too slowly"),
    ):
        downloaded(url)


def test_a_download_that_breaks_off_is_not_taken_for_whole(settings: Any) -> None:
    settings.PIECE_URLS_PRIVATE = True
    with dripping_market("short", None) as url, pytest.raises(SourceAway, match="990 bytes early"):
        downloaded(url)
