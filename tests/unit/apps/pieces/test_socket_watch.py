"""Bytes that are too slow: the one that was slow is named, and a download has an end however it drips."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from apps.pieces import socket_watch, sources
from apps.pieces.socket_watch import OURS_SLOW, TAKES_SLOWLY, PutWatch
from apps.pieces.sources import SourceAway, url_opened
from tests.dripping_market import dripping_market

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Clock:
    """Stands where the module `time` is."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("source_s", "market_s", "words"),
    [
        ((0, 61), (0, 0), OURS_SLOW),
        ((0, 0), (61, 0), TAKES_SLOWLY),
        ((0, 61), (200, 0), OURS_SLOW),
        ((40, 1), (20, 0), OURS_SLOW),
        ((20, 1), (40, 0), TAKES_SLOWLY),
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


def downloaded(url: str) -> bytes:
    with url_opened(url) as body:
        return b"".join(iter(lambda: body.read(1 << 20), b""))


@pytest.mark.parametrize("dripping", ["answer", "download"])
def test_a_download_that_drips_ends(monkeypatch: pytest.MonkeyPatch, settings: Any, dripping: str) -> None:
    settings.PIECE_URLS_PRIVATE = True
    monkeypatch.setattr(sources, "SLOW_S", 0.5)
    with (
        dripping_market(dripping, None) as url,
        pytest.raises(SourceAway, match="gives the bytes too slowly"),
    ):
        downloaded(url)


def test_a_download_that_breaks_off_is_not_taken_for_whole(settings: Any) -> None:
    settings.PIECE_URLS_PRIVATE = True
    with dripping_market("short", None) as url, pytest.raises(SourceAway, match="990 bytes before its end"):
        downloaded(url)
