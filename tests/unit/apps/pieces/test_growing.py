"""Commitments that are computed while the bytes arrive: the piece is accepted with its last byte."""

from __future__ import annotations

import io
import random
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from apps.core import clock
from apps.pieces.data.commitments import GROWING
from apps.pieces.data.files import notes_path, piece_path
from apps.pieces.models import Piece
from apps.pieces.services import fetches
from apps.pieces.services.fetches import pieces_fetch
from apps.pieces.services.retention import UNCHECKED, pieces_tidy
from apps.pieces.services.uploads import PieceSpec, part_upload, upload_begin
from poolsite.filecoin.cids import commd_cid
from tests import factories, people
from tests.waiting import until
from workers.processors.growing_piece import NOTE_BYTES, RUN_BYTES
from workers.processors.pieces import raw_commitment

pytestmark = pytest.mark.django_db

SECTOR_BYTES = 512 << 20
CUT = RUN_BYTES + 1000
SMALL = b"bytes from elsewhere"


class Source:
    """A file that is given from any byte on; the first answer is cut off, if it is to be."""

    def __init__(self, data: bytes, *, cut: int | None = None) -> None:
        self.data, self.cut = data, cut
        self.firsts: list[int] = []
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source.answer(self)

            def do_HEAD(self) -> None:
                self.send_error(405)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/file"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        first = int(handler.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        self.firsts.append(first)
        handler.send_response(206 if first else 200)
        if first:
            handler.send_header("Content-Range", f"bytes {first}-{len(self.data) - 1}/{len(self.data)}")
        handler.send_header("ETag", '"one"')
        handler.send_header("Content-Length", str(len(self.data) - first))
        handler.end_headers()
        end, self.cut = self.cut, None
        handler.wfile.write(self.data[first:end])

    def piece(self) -> Piece:
        """A row that is to be downloaded from here."""
        miner = factories.miner(sector_size=SECTOR_BYTES)
        values = {"payload_size": len(self.data), "padded_size": 0, "received": 0}
        return factories.piece(miner, state="FETCHING", source_url=self.url, **values)


@pytest.fixture
def folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = str(tmp_path), True
    monkeypatch.setattr(fetches, "POLL_S", 0.05)
    monkeypatch.setattr("apps.pieces.data.commitments.GROWN_BYTES", 1)
    monkeypatch.setattr("apps.pieces.data.commitments.STEP_BYTES", 1)
    yield tmp_path
    assert not [one for one in threading.enumerate() if one.name.startswith("commitment")]


def test_a_large_piece_is_ready_with_its_last_byte(folder: Path) -> None:
    """Downloaded with a cut, then uploaded in two parts."""
    data = random.Random(1).randbytes(RUN_BYTES + RUN_BYTES // 2)
    expected = str(commd_cid(raw_commitment(io.BytesIO(data), 2 * RUN_BYTES)))
    source = Source(data, cut=CUT)
    piece, by = source.piece(), people.principal()
    notes = notes_path(piece_path(piece))

    with GROWING.transfer():  # one program for all three
        pieces_fetch()
        piece.refresh_from_db()
        assert (piece.state, piece.received) == ("FETCHING", CUT)
        until(lambda: notes.exists() and notes.stat().st_size == NOTE_BYTES)
        Piece.objects.update(error="", updated_at="2026-01-01T00:00:00Z")
        pieces_fetch()
        piece.refresh_from_db()
        assert (piece.state, piece.piece_cid, source.firsts) == ("READY", expected, [0, CUT])

        miner = factories.miner(sector_size=SECTOR_BYTES)
        sent = upload_begin(miner, spec=PieceSpec(payload_size=len(data)), by=by, is_resumable=True)
        part_upload(sent, source=io.BytesIO(data[:CUT]), offset=0, by=by)
        until(lambda: notes_path(piece_path(sent)).exists())
        part_upload(sent, source=io.BytesIO(data[CUT:]), offset=CUT, by=by)
    sent.refresh_from_db()

    assert (sent.state, sent.piece_cid) == ("READY", expected)
    assert {path.name for path in folder.iterdir()} == {str(piece.uuid), str(sent.uuid)}


@pytest.mark.parametrize(
    "program", ["raise SystemExit(1)", "import sys\nfor line in sys.stdin: print('{}', flush=True)"]
)
def test_without_the_program_a_head_computes_it(folder: Path, settings: Any, program: str) -> None:
    settings.PIECE_COMMITMENT_COMMAND = [sys.executable, "-c", program]
    piece = Source(SMALL).piece()

    pieces_fetch()
    piece.refresh_from_db()
    assert piece.state == "RECEIVED"

    pieces_tidy(now=clock.now() + 2 * UNCHECKED)
    piece.refresh_from_db()
    assert piece.state == "READY"


def test_bytes_that_are_not_what_was_announced_are_found_at_once(folder: Path, settings: Any) -> None:
    answer = {"comm_p": "00" * 32, "piece_size": 128}
    program = f"import sys, json\nfor line in sys.stdin: print(json.dumps({answer}), flush=True)"
    settings.PIECE_COMMITMENT_COMMAND = [sys.executable, "-c", program]
    piece = Source(SMALL).piece()
    Piece.objects.update(announced_cid=factories.piece_cid(1))
    notes_path(piece_path(piece)).write_bytes(b"left by a kill")

    pieces_fetch()
    piece.refresh_from_db()

    assert piece.state == "FAILED"
    assert f"the announced commitment is {factories.piece_cid(1)}, but the bytes have " in piece.error
    assert list(folder.iterdir()) == []
