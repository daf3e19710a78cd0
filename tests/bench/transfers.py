"""A download of 1 GiB over HTTP from this machine: from its first byte to its verified commitment.

The source runs in a process of its own, whose time is not counted.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import re
import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.bench.blocks import database

SIZE: Final = 1 << 30
RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")
SECTOR_BYTES: Final = 32 << 30


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str = "s"
    digits: int = 2


class Source(BaseHTTPRequestHandler):
    """An HTTP server of one file, whole or a range."""

    protocol_version = "HTTP/1.1"
    path_of: Path

    def do_HEAD(self) -> None:
        self.send_response(200)
        self._head(SIZE)

    def do_GET(self) -> None:
        found = RANGE.fullmatch(self.headers.get("Range", ""))
        first = int(found[1]) if found else 0
        last = int(found[2] or SIZE - 1) if found else SIZE - 1
        self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {first}-{last}/{SIZE}")
        self._head(last + 1 - first)
        with self.path_of.open("rb") as file:
            while first <= last:
                first += os.sendfile(self.connection.fileno(), file.fileno(), first, last + 1 - first)

    def _head(self, size: int) -> None:
        self.send_header("ETag", '"bench"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def handle(self) -> None:
        """Serve a connection; the reader closes the first one early."""
        try:
            super().handle()
        except ConnectionError:
            pass

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def source_run(link: Any, path: Path) -> None:
    """Serve a file, and say where."""
    Source.path_of = path
    server = ThreadingHTTPServer(("127.0.0.1", 0), Source)
    link.send(server.server_port)
    server.serve_forever()


def cpu_s() -> float:
    """Return CPU seconds of this process and of those that it ran and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measured(folder: Path) -> list[float]:
    """Return seconds to the verified commitment, and CPU seconds, of one download."""
    settings = importlib.import_module("django.conf").settings
    factories = importlib.import_module("tests.factories")
    fetches = importlib.import_module("apps.pieces.services.fetches")
    retention = importlib.import_module("apps.pieces.services.retention")
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = str(folder / "pieces"), True
    data = folder / "data"
    with data.open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))
    here, there = multiprocessing.get_context("spawn").Pipe()
    source = multiprocessing.get_context("spawn").Process(target=source_run, args=(there, data), daemon=True)
    source.start()
    url = f"http://127.0.0.1:{here.recv()}/data"
    miner = factories.miner(sector_size=SECTOR_BYTES)
    piece = factories.piece(
        miner, state="FETCHING", source_url=url, padded_size=0, payload_size=SIZE, received=0
    )
    try:
        began, used = time.monotonic(), cpu_s()
        fetches.pieces_fetch()
        piece.refresh_from_db()
        if piece.state == "RECEIVED":  # a head's, later
            retention.piece_finish(piece)
        all_s, cpu = time.monotonic() - began, cpu_s() - used
        piece.refresh_from_db()
        if piece.state != "READY":
            raise RuntimeError(f"{piece.state}: {piece.error}")
    finally:
        source.kill()
        source.join()
    return [all_s, cpu]


def cases() -> list[str]:
    """Return what is measured."""
    return ["verified", "CPU"]


RESULTS: Final[list[float]] = []


def run(case: str) -> Figure:
    """Measure one case."""
    if not RESULTS:
        database()
        folder = Path(tempfile.mkdtemp(prefix="transfers-"))
        try:
            RESULTS.extend(measured(folder))
        finally:
            shutil.rmtree(folder)
    return Figure(f"download of 1 GiB: {case}", RESULTS[cases().index(case)])
