"""Downloads in several streams: who gets them, what a source may refuse, and what a kill leaves."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from apps.pieces.data.files import piece_path
from apps.pieces.data.sources import SLOW_RATE, url_opened
from apps.pieces.data.streams import STREAMS
from apps.pieces.models import Piece
from apps.pieces.services import fetches
from apps.pieces.services.fetches import pieces_fetch
from tests import factories

pytestmark = pytest.mark.django_db

SEGMENT = 1000
DATA = bytes(number * number % 251 for number in range(20 * SEGMENT + 7))


class Source:
    """A file at a URL whose server gives ranges, and what was asked for it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.heads = 0
        self.head_status = 200
        self.head_size: int | None = None
        self.is_said = True
        """Whether it says that it gives ranges."""
        self.gives_ranges = True
        self.tag = '"one"'
        self.refused: set[int] = set()
        """First bytes of ranges that are refused once."""
        self.cut: set[int] = set()
        """First bytes of ranges that break off once."""
        self.most = 100
        """Connections at a time; further ones are refused."""
        self.refusal = 429
        self.total = len(DATA)
        """Bytes of which it says that ranges are a part."""
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        span = handler.headers.get("Range", "")
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", span) if self.gives_ranges else None
        first = int(found[1]) if found else 0
        end = int(found[2]) + 1 if found and found[2] else len(DATA)
        with self.lock:
            self.asked.append(span)
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            is_refused, is_cut = first in self.refused and bool(found), first in self.cut and bool(found)
            self.refused.discard(first)
            self.cut.discard(first)
            is_refused |= self.at_once > self.most
        try:
            handler.send_response(self.refusal if is_refused else 206 if found else 200)
            part = b"" if is_refused else DATA[first:end]
            self.head(handler, len(part))
            if found and not is_refused:
                handler.send_header("Content-Range", f"bytes {first}-{end - 1}/{self.total}")
            handler.end_headers()
            handler.wfile.write(part[: len(part) // 2] if is_cut else part)
            if not found and not is_refused and self.most < 100:  # until its reader closes it
                handler.connection.settimeout(5)
                handler.rfile.read(1)
        finally:
            with self.lock:
                self.at_once -= 1

    def head(self, handler: BaseHTTPRequestHandler, size: int) -> None:
        if self.tag:
            handler.send_header("ETag", self.tag)
        if self.is_said:
            handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(size))


@pytest.fixture
def source(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = str(tmp_path), True
    monkeypatch.setattr(fetches, "POLL_S", 0.05)
    monkeypatch.setattr("apps.pieces.data.streams.SEGMENT_BYTES", SEGMENT)
    monkeypatch.setattr("apps.pieces.data.streams.CHUNK_BYTES", 300)
    found = Source()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.answer(self)

        def do_HEAD(self) -> None:
            found.heads += 1
            self.send_response(found.head_status)
            found.head(self, len(DATA) if found.head_size is None else found.head_size)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}/file"
    yield found
    server.shutdown()
    server.server_close()


def fetched(source: Source, **data: Any) -> Piece:
    """A piece after a pass."""
    values = {"padded_size": 0, "payload_size": len(DATA), "received": 0, **data}
    piece = factories.piece(factories.miner(), state="FETCHING", source_url=source.url, **values)
    pieces_fetch()
    piece.refresh_from_db()
    return piece


def ended(piece: Piece) -> bytes:
    """Bytes of a piece that is whole."""
    assert (piece.state, piece.received, piece.payload_size) == ("RECEIVED", len(DATA), len(DATA))
    return piece_path(piece).read_bytes()


@pytest.mark.parametrize("stated", [None, len(DATA)])
@pytest.mark.parametrize("tag", ['"one"', ""])
def test_ranges_come_side_by_side_and_each_once(source: Source, stated: int | None, tag: str) -> None:
    source.tag = tag

    piece = fetched(source, payload_size=stated, padded_size=32_768, announced_cid=factories.piece_cid(1))
    assert ended(piece) == DATA

    assert source.heads == 1
    assert sorted(source.asked) == sorted(
        ["", *(f"bytes={at}-{min(at + SEGMENT, len(DATA)) - 1}" for at in range(SEGMENT, len(DATA), SEGMENT))]
    )
    assert source.most_at_once <= STREAMS


@pytest.mark.parametrize("changes", [{"gives_ranges": False}, {"is_said": False}])
def test_without_ranges_it_comes_in_one_stream(source: Source, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        setattr(source, name, value)

    assert ended(fetched(source)) == DATA
    assert source.asked[0] == ""
    assert len(source.asked) <= 2


@pytest.mark.parametrize("changes", [{"tag": ""}, {"total": len(DATA) + 1}])
def test_parts_that_may_be_of_other_bytes_are_not_put_together(
    source: Source, changes: dict[str, Any]
) -> None:
    for name, value in changes.items():
        setattr(source, name, value)

    assert ended(fetched(source)) == DATA
    assert source.asked[0] == ""
    assert len(source.asked) <= 2


@pytest.mark.parametrize("most", [1, 2, 3, 4])
@pytest.mark.parametrize("refusal", [403, 429])
def test_a_source_of_few_connections_gives_all_its_bytes(source: Source, most: int, refusal: int) -> None:
    source.most, source.refusal = most, refusal

    assert ended(fetched(source)) == DATA


def test_together_the_streams_may_be_as_slow_as_one(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    @contextmanager
    def noted(*args: Any, **options: Any) -> Iterator[Any]:
        with url_opened(*args, **options) as body:
            yield body
            rates.append(body.watch.rate)

    monkeypatch.setattr(fetches, "url_opened", noted)

    assert ended(fetched(source)) == DATA
    assert {*rates} == {SLOW_RATE / STREAMS}


def test_nothing_is_certain_once_the_disk_lost_bytes(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so to one stream, whosever bytes they were."""
    count = 0
    sync = os.fsync

    def failing(number: int) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(5, "Input/output error")
        sync(number)

    monkeypatch.setattr("apps.pieces.data.streams.os.fsync", failing)

    piece = fetched(source)

    assert (piece.state, count) == ("FETCHING", 3)
    assert piece.received <= 2 * SEGMENT


@pytest.mark.parametrize("status", [403, 404, 405, 501])
def test_a_server_that_refuses_head_is_still_served(source: Source, status: int) -> None:
    source.head_status = status

    assert ended(fetched(source)) == DATA


def test_a_head_that_says_nothing_refuses_nothing(source: Source) -> None:
    source.head_size = 0

    assert ended(fetched(source)) == DATA


def test_another_size_is_refused_before_a_byte_is_asked_for(source: Source) -> None:
    source.head_size = len(DATA) + 1

    piece = fetched(source)

    assert (piece.state, source.asked) == ("FAILED", [])
    assert piece.error == f"the source has {len(DATA) + 1} bytes, but {len(DATA)} bytes are announced"


@pytest.mark.parametrize("kind", ["refused", "cut"])
def test_a_range_that_fails_is_asked_for_again(source: Source, kind: str) -> None:
    getattr(source, kind).update({3 * SEGMENT, 7 * SEGMENT})

    piece = fetched(source)
    if piece.state == "FETCHING":  # it was the first stream's: the rest is asked for later
        assert piece.received >= SEGMENT
        Piece.objects.update(error="", updated_at="2026-01-01T00:00:00Z")
        pieces_fetch()
        piece.refresh_from_db()

    assert ended(piece) == DATA


def test_after_a_cut_the_rest_comes_in_streams_again(source: Source) -> None:
    piece = factories.piece(
        factories.miner(),
        state="FETCHING",
        source_url=source.url,
        padded_size=0,
        payload_size=len(DATA),
        received=2500,
        source_tag='"one"',
    )
    # Behind what is there for certain lies what other streams wrote, and a kill left.
    piece_path(piece).write_bytes(DATA[:2500] + bytes(9000))

    pieces_fetch()
    piece.refresh_from_db()

    assert ended(piece) == DATA
    assert "bytes=2500-" in source.asked
    assert source.heads == 0


def test_a_full_disk_ends_all_streams(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.pieces.data.streams.os.pwrite", _full)

    piece = fetched(source)

    assert (piece.state, piece.received) == ("FETCHING", 0)
    assert "could not be written" in piece.error
    assert not [one for one in threading.enumerate() if one.name.startswith("stream")]


def _full(*_: Any) -> int:
    raise OSError(28, "No space left on device")
