"""The blocks of pieces that are CARs: index files beside the raw bytes, and what is read by them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from django.conf import settings

from apps.pieces.data.files import piece_path
from apps.pieces.models import BlockIndex, Piece
from poolsite.ipld.block_index import BadIndex, IndexReader, file_open
from poolsite.ipld.car import BLOCK_MAX
from poolsite.ipld.cids import CODES, cid_parts, hash_of, multihash_read, text_write

log = structlog.get_logger(__name__)

INDEX_S: Final = 3600
"""Time for one index: two minutes for 32 GiB."""
OPEN_MAX: Final = 256
"""Pieces of which a process keeps index and bytes open."""


@dataclass(frozen=True, slots=True)
class Indexing:
    """What came of indexing a file."""

    blocks: int = 0
    left_out: int = 0
    fault: str = ""
    """A value of `CarFault`, or "none" for what is no CAR."""
    at: int = 0


def index_path(piece: Piece) -> Path:
    """Return where the index of a piece's blocks lies."""
    path = piece_path(piece)
    return path.with_name(f"{path.name}.blocks")


def index_unlink(piece: Piece) -> None:
    """Delete the index of a piece, and what a kill left of one; none is fine."""
    index_path(piece).unlink(missing_ok=True)
    _leftovers_unlink(piece)


def _leftovers_unlink(piece: Piece) -> None:
    path = index_path(piece)
    for one in path.parent.glob(f"{path.name}.*"):
        one.unlink(missing_ok=True)


def index_make(piece: Piece) -> Indexing | None:
    """Index a piece in a process of its own; None if that failed, and the log says why.

    An earlier index serves until this one is whole.
    """
    _leftovers_unlink(piece)
    command = [sys.executable, "-m", "poolsite.ipld.indexer", str(piece_path(piece)), str(index_path(piece))]
    try:
        done = subprocess.run(  # noqa: S603  # the paths are made of a uuid
            command, capture_output=True, cwd=settings.BASE_DIR, timeout=INDEX_S, check=False
        )
        return Indexing(**json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        log.error("index_failed", piece=str(piece.uuid), reason=repr(error)[:500])
        return None


class OpenPiece:
    """Index and bytes of a piece, open; may be used from any thread."""

    def __init__(self, row: BlockIndex) -> None:
        """Open both files.  Raises OSError, BadIndex."""
        self.index = IndexReader(index_path(row.piece))
        self._fd = file_open(self, piece_path(row.piece))
        if os.fstat(self._fd).st_size != row.piece.payload_size:
            raise BadIndex(piece_path(row.piece).name)

    def read(self, at: int, size: int) -> bytes:
        """Return bytes of the piece.  Raises OSError."""
        return os.pread(self._fd, min(size, BLOCK_MAX), at)


class OpenPieces:
    """The pieces that a process has open, those that were used last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[int, str], OpenPiece] = OrderedDict()

    def get(self, row: BlockIndex) -> OpenPiece:
        """Return a piece, opened if it is not.  Raises OSError, BadIndex."""
        key = (row.pk, str(row.made_at))
        with self._lock:
            found = self._open.get(key)
            if found is not None:
                self._open.move_to_end(key)
                return found
        opened = OpenPiece(row)
        with self._lock:
            self._open[key] = opened
            if len(self._open) > OPEN_MAX:
                self._open.popitem(last=False)  # closed once no thread reads it
        return opened

    def recent(self) -> list[int]:
        """Return the keys of those pieces, the last used first."""
        with self._lock:
            return [pk for pk, _ in reversed(self._open)]


OPEN: Final = OpenPieces()
"""This process' open pieces.  (Module state: requests of one client ask for blocks of one piece.)"""


class BlockStore:
    """The blocks of some pieces for one request, each verified; every block is always of the same piece."""

    def __init__(self, rows: list[BlockIndex]) -> None:
        turn = {pk: number for number, pk in enumerate(OPEN.recent())}
        self._rows = sorted(rows, key=lambda row: (turn.get(row.pk, len(turn)), row.pk))
        self._sent: dict[int, bytearray] = {}
        self._last: tuple[bytes, BlockIndex, int] | None = None

    def root_get(self, cid: bytes) -> tuple[bytes, BlockIndex]:
        """Return the first block and whose it is; that piece is asked first from now on.

        Raises LookupError.
        """
        data, row, _ = self._find(cid)
        self._rows = [row, *(other for other in self._rows if other is not row)]
        return data, row

    def get(self, cid: bytes) -> bytes:
        """Return a block.  Raises LookupError."""
        return self._find(cid)[0]

    def is_unsent(self, cid: bytes) -> bool:
        """Return whether a block was not sent yet, and note that it is now."""
        multihash = cid_parts(cid).multihash
        if self._last is None or self._last[0] != multihash:
            self._find(cid)
        assert self._last is not None
        _, row, number = self._last
        sent = self._sent.setdefault(row.pk, bytearray(row.blocks // 8 + 1))
        is_new = not sent[number >> 3] >> (number & 7) & 1
        sent[number >> 3] |= 1 << (number & 7)
        return is_new

    def _find(self, cid: bytes) -> tuple[bytes, BlockIndex, int]:
        multihash = cid_parts(cid).multihash
        wanted = multihash_read(multihash)
        for row in self._rows if wanted.is_verifiable else ():
            try:
                piece = OPEN.get(row)
                for place in piece.index.find(wanted.digest):
                    data = piece.read(place.at, place.size)
                    if wanted.is_of(data):
                        self._last = (multihash, row, place.number)
                        return data, row, place.number
            except (OSError, BadIndex) as error:  # gone or cut: the samples find that
                log.warning("index_unread", piece=str(row.piece.uuid), reason=repr(error)[:200])
        raise LookupError(text_write(cid))


def blocks_sample(row: BlockIndex, count: int) -> tuple[int, int]:
    """Compare some blocks of an index with the piece; return how many are wrong, and of how many.

    Raises OSError, BadIndex where index or piece cannot be read.
    """
    piece = OpenPiece(row)
    numbers = random.sample(range(piece.index.count), min(count, piece.index.count))
    wrong = 0
    for number in numbers:
        key, place = piece.index.entry(number)
        data = piece.read(place.at, place.size)
        wrong += not any(hash_of(code, data).startswith(key) for code in CODES)
    return wrong, len(numbers)
