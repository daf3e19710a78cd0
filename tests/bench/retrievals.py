"""A piece of 1 GiB that is a CAR: its index, and its bytes from one web process, whole and by their CID.

curl reads, in a process of its own, whose CPU is not counted.  The pool's rate for retrievals is off.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.blocks import database
from tests.bench.transfers import cpu_s

LEAVES: Final = 1024
LEAF_BYTES: Final = 1 << 20
SECTOR_BYTES: Final = 32 << 30
INDEX_LIMIT_S: Final = 20.0
RATE_LIMIT: Final = 500.0
"""MB a second of a web process that has a core."""
MEMORY_LIMIT_MIB: Final = 64.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    peer: float | None = None
    digits: int = 1


def car_make(path: Path) -> str:
    """Write a CAR of one file of 1 GiB, its root last; return the root's CID."""
    cars = importlib.import_module("tests.cars")
    written = importlib.import_module("poolsite.ipld.car")
    text_write = importlib.import_module("poolsite.ipld.cids").text_write
    leaves = []
    body = path.with_suffix(".body")
    with body.open("wb") as file:
        for _ in range(LEAVES):
            data = os.urandom(LEAF_BYTES)
            cid = cars.cid_of(data)
            leaves.append((cid, LEAF_BYTES))
            file.write(written.section_write(cid, data))
        root, data = cars.file_of(leaves)
        file.write(written.section_write(root, data))
    with path.open("wb") as whole, body.open("rb") as file:
        whole.write(written.header_write([root]))
        shutil.copyfileobj(file, whole)
    body.unlink()
    return str(text_write(root))


def resident_mib(*, peak: bool) -> float:
    """Return the resident memory of this process: the most since the last reset, or now."""
    name = "VmHWM" if peak else "VmRSS"
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found.group(1)) / 1024


def peak_reset() -> None:
    """Begin to note the most resident memory anew."""
    Path("/proc/self/clear_refs").write_text("5")


def cases() -> Iterator[Figure]:
    """Measure, one after the other, on one piece."""
    database()
    folder = Path(tempfile.mkdtemp(prefix="retrievals-"))
    try:
        yield from measured(folder)
    finally:
        shutil.rmtree(folder)


def measured(folder: Path) -> Iterator[Figure]:
    """Index the piece, then read it both ways."""
    settings = importlib.import_module("django.conf").settings
    settings.PIECES_DIR, settings.PIECE_RETRIEVAL_RATE = str(folder), 0
    settings.ALLOWED_HOSTS = ["*"]
    factories = importlib.import_module("tests.factories")
    people = importlib.import_module("tests.people")
    piece_path = importlib.import_module("apps.pieces.data.files").piece_path
    index_update = importlib.import_module("apps.pieces.services.indexes").index_update
    miner = factories.miner(sector_size=SECTOR_BYTES)
    set_market = importlib.import_module("apps.market.services.markets").market_set
    set_market(miner, values={"serves_data": True}, by=people.principal())
    root = car_make(folder / "made.car")
    size = (folder / "made.car").stat().st_size
    piece = factories.piece(
        miner, state="ACTIVE", sector_number=0, offset=0, payload_size=size, padded_size=2 << 30
    )
    (folder / "made.car").rename(piece_path(piece))
    spent = cpu_s()
    index_update(piece)
    yield Figure("index of a CAR of 1 GiB, 1,025 blocks, CPU", cpu_s() - spent, "s", INDEX_LIMIT_S)
    web = importlib.import_module("tests.hub").WebProcess()
    web.start()
    base = f"http://127.0.0.1:{web.port}"
    yield from read("/piece", f"{base}/piece/{piece.piece_cid}", size)
    yield from read("/ipfs", f"{base}/ipfs/{root}?format=car&dag-scope=all", size)


def read(what: str, url: str, size: int) -> Iterator[Figure]:
    """Read an address twice; measure the second time."""
    words = ["curl", "-sSf", "-o", "/dev/null", "-w", "%{size_download} %{time_total}", url]
    subprocess.run(words, check=True, capture_output=True)
    began_mib = resident_mib(peak=False)
    peak_reset()
    spent = time.process_time()
    answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    spent = time.process_time() - spent
    assert int(answer[0]) == size, (answer, size)
    rate = size / 1e6
    yield Figure(f"{what}: read by one curl, beside this machine's load", rate / float(answer[1]), "MB/s")
    yield Figure(f"{what}: by a second of a web process' CPU", rate / spent, "MB/s", RATE_LIMIT)
    yield Figure(f"{what}: memory above idle", resident_mib(peak=True) - began_mib, "MiB", MEMORY_LIMIT_MIB)


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case
