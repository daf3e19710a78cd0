"""Downloads that a kill or their source cuts off: they go on, and nothing comes twice."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from apps.core import clock
from apps.pieces.data.files import piece_path
from apps.pieces.models import Piece
from apps.pieces.services import fetches
from apps.pieces.services.fetches import pieces_fetch
from tests import factories

pytestmark = pytest.mark.django_db

DATA = bytes(range(250)) * 8
CUT = 1000
"""Bytes that come before the first answer stops."""


class Killed(BaseException):
    """The end of a process, here."""


class Source:
    """A file at a URL, and what was asked for it."""

    def __init__(self) -> None:
        self.data, self.tag = DATA, '"one"'
        self.is_whole = False
        self.has_ranges = self.checks_tag = True
        self.asked: list[str] = []
        self.let_go = threading.Event()
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        span, tag = handler.headers.get("Range", ""), handler.headers.get("If-Range", "")
        self.asked.append(span)
        found = re.fullmatch(r"bytes=(\d+)-", span)
        first = int(found[1]) if found and self.has_ranges and (tag == self.tag or not self.checks_tag) else 0
        part = self.data[first:]
        handler.send_response(416 if first and not part else 206 if first else 200)
        if self.tag:
            handler.send_header("ETag", self.tag)
        span = f"{first}-{len(self.data) - 1}" if part else "*"
        handler.send_header("Content-Range", f"bytes {span}/{len(self.data)}")
        handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        handler.wfile.write(part if self.is_whole else part[:CUT])
        if not self.is_whole:
            self.let_go.wait(20)


@pytest.fixture
def source(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = str(tmp_path), True
    monkeypatch.setattr(fetches, "POLL_S", 0.05)
    for name in ("CHUNK_BYTES", "SYNC_BYTES"):
        monkeypatch.setattr(f"apps.pieces.data.files.{name}", 100)
    found = Source()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/file"
    yield found
    found.let_go.set()
    server.shutdown()
    server.server_close()
    thread.join()


def piece_of(source: Source, **data: Any) -> Piece:
    data = {"padded_size": 0, "payload_size": None, "received": 0, **data}
    return factories.piece(factories.miner(), state="FETCHING", source_url=source.url, **data)


def killed(piece: Piece, monkeypatch: pytest.MonkeyPatch, *, at: int) -> None:
    """End a pass once so many bytes are in the row."""

    def waited(*args: Any, **data: Any) -> Any:
        if Piece.objects.get(pk=piece.pk).received >= at:
            raise Killed
        return wait(*args, **data)

    with monkeypatch.context() as patch:
        patch.setattr("apps.pieces.services.fetches.wait", waited)
        with pytest.raises(Killed):
            pieces_fetch()


def ended(piece: Piece) -> tuple[str, bytes]:
    """State and bytes of a piece after another pass."""
    pieces_fetch()
    piece.refresh_from_db()
    return piece.state, piece_path(piece).read_bytes()


@pytest.mark.parametrize("stated", [None, len(DATA)])
def test_after_a_kill_a_download_goes_on_where_it_was(
    source: Source, monkeypatch: pytest.MonkeyPatch, stated: int | None
) -> None:
    piece = piece_of(source, payload_size=stated)
    killed(piece, monkeypatch, at=CUT)
    source.is_whole = True

    assert ended(piece) == ("RECEIVED", DATA)
    assert source.asked == ["", f"bytes={CUT}-"]
    assert (piece.payload_size, piece.received, piece.source_tag) == (len(DATA), len(DATA), "")


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"data": DATA[::-1], "tag": '"two"'}, ["", f"bytes={CUT}-"]),
        ({"has_ranges": False}, ["", f"bytes={CUT}-"]),
        ({"data": DATA[:7], "tag": '"two"'}, ["", f"bytes={CUT}-"]),
        ({"data": DATA[::-1], "tag": '"two"', "checks_tag": False}, ["", f"bytes={CUT}-", ""]),
        ({"data": DATA[:7], "tag": '"two"', "checks_tag": False}, ["", f"bytes={CUT}-", ""]),
    ],
    ids=["other bytes", "no ranges", "fewer bytes", "other bytes in a range", "nothing in a range"],
)
def test_what_the_source_has_no_more_begins_from_the_start(
    source: Source, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], asked: list[str]
) -> None:
    piece = piece_of(source)
    killed(piece, monkeypatch, at=CUT)
    for name, value in change.items():
        setattr(source, name, value)
    source.is_whole = True

    assert ended(piece) == ("RECEIVED", source.data)
    assert source.asked == asked


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_bytes_without_a_strong_name_begin_from_the_start(
    source: Source, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    source.tag = tag
    piece = piece_of(source)
    killed(piece, monkeypatch, at=CUT)
    source.is_whole = True

    assert ended(piece) == ("RECEIVED", DATA)
    assert source.asked == ["", ""]


def test_a_file_that_lost_its_end_begins_from_the_start(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = piece_of(source)
    killed(piece, monkeypatch, at=CUT)
    piece_path(piece).write_bytes(DATA[: CUT - 1])
    source.is_whole = True

    assert ended(piece) == ("RECEIVED", DATA)
    assert source.asked == ["", ""]


@pytest.mark.parametrize(("stated", "asked"), [(None, [f"bytes={len(DATA)}-"]), (len(DATA), [])])
def test_what_came_whole_before_a_kill_comes_no_second_time(
    source: Source, stated: int | None, asked: list[str]
) -> None:
    source.is_whole = True
    piece = piece_of(source, payload_size=stated, received=len(DATA), source_tag=source.tag)
    piece_path(piece).write_bytes(DATA)

    assert ended(piece) == ("RECEIVED", DATA)
    assert source.asked == asked


def test_a_download_that_was_cut_off_goes_on_when_it_is_tried_again(source: Source) -> None:
    source.let_go.set()
    piece = piece_of(source)
    pieces_fetch()
    piece.refresh_from_db()
    assert (piece.state, piece.received) == ("FETCHING", CUT)
    assert "cut off" in piece.error or "early" in piece.error
    Piece.objects.update(updated_at=clock.now() - 2 * fetches.AGAIN_AFTER)
    source.is_whole = True

    assert ended(piece) == ("RECEIVED", DATA)
    assert source.asked == ["", f"bytes={CUT}-"]


def tried_long_ago(piece: Piece) -> None:
    """Wind the last failure of a piece, and the first, back by hours."""
    Piece.objects.update(
        updated_at=clock.now() - 2 * fetches.AGAIN_AFTER, state_since=clock.now() - 2 * fetches.TRIED_FOR
    )


def test_a_download_that_goes_on_has_an_hour_after_each_cut(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.let_go.set()
    monkeypatch.setattr(f"{__name__}.CUT", 500)
    piece = piece_of(source)
    for received in (500, 1000):
        pieces_fetch()
        piece.refresh_from_db()
        assert (piece.state, piece.received) == ("FETCHING", received)
        assert clock.now() - piece.state_since < fetches.TRIED_FOR
        tried_long_ago(piece)
    monkeypatch.setattr(f"{__name__}.CUT", 0)
    pieces_fetch()
    piece.refresh_from_db()

    assert piece.state == "FAILED"


def test_while_bytes_flow_again_no_error_is_shown(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = piece_of(source, error="cut off")
    tried_long_ago(piece)
    killed(piece, monkeypatch, at=CUT)
    piece.refresh_from_db()

    assert piece.error == ""


def test_without_a_tag_a_known_piece_goes_on_where_it_was_cut(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.tag = ""
    piece = piece_of(source, payload_size=len(DATA), announced_cid=factories.piece_cid(1))
    killed(piece, monkeypatch, at=CUT)
    source.is_whole = True
    pieces_fetch()

    assert source.asked == ["", f"bytes={CUT}-"]


def test_without_a_tag_or_commitment_a_second_cut_an_hour_later_ends_it(source: Source) -> None:
    source.tag = ""
    source.let_go.set()
    piece = piece_of(source)
    pieces_fetch()
    tried_long_ago(piece)
    pieces_fetch()
    piece.refresh_from_db()

    assert piece.state == "FAILED"
