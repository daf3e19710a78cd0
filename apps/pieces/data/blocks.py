"""The blocks of pieces that are CARs: index files beside the raw bytes, and what is read by them."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from django.conf import settings

from apps.core.disk import DiskFull
from apps.pieces.data.files import WithUuid, piece_path, room_require
from apps.pieces.models import BlockIndex, HashChunk, Piece
from apps.pieces.states import IndexOutcome
from poolsite.filecoin.cids import BadCid, cid_parse
from poolsite.ipld.block_index import BLOCKS_MAX, BadIndex, IndexReader, file_open
from poolsite.ipld.car import BLOCK_MAX, BadCar, NotCar, header_read
from poolsite.ipld.cids import CODES, cid_parts, hash_of, multihash_read, multihashes_split, text_write
from poolsite.ipld.indexer import hashes_path
from poolsite.libp2p.ipni import chunk_make
from poolsite.open_files import files_limit

log = structlog.get_logger(__name__)

INDEX_S: Final = 3600
"""Time for one index: two minutes for 32 GiB."""
INDEX_BYTES_MAX: Final = (34 + 67) * BLOCKS_MAX
"""Bound for one's files: its filter takes at most 4 bytes a block, the longest multihash 67."""
KINDS: Final = ("blocks", "hashes")
"""Ends of the names of an index' files."""
OPEN_MAX: Final = 10_000
"""Indexes that a process keeps open, if it may open four times as many files."""
FILES_MAX: Final = 4
"""Pieces that one answer has open."""


@dataclass(frozen=True, slots=True)
class Indexing:
    """Outcome of indexing a file."""

    blocks: int = 0
    left_out: int = 0
    chunks: Sequence[tuple[str, int, int, int]] = ()
    """A chunk of multihashes: CID, first byte in their file, bytes and count; it links to the one before."""
    fault: str = ""
    """A value of `CarFault`, or "none" for what is no CAR."""
    at: int = 0


def index_path(piece: WithUuid) -> Path:
    """Return where the index of a piece's blocks lies."""
    path = piece_path(piece)
    return path.with_name(f"{path.name}.blocks")


def car_roots(piece: Piece) -> list[str]:
    """Return the CIDs that the CAR of an indexed piece names as its roots; none without an index."""
    row = BlockIndex.objects.filter(piece=piece, outcome=IndexOutcome.INDEXED, made_at__isnull=False)
    if not row.exists():
        return []
    try:
        with piece_path(piece).open("rb") as file:
            return [text_write(cid) for cid in header_read(file).roots]
    except (OSError, BadCar, NotCar):  # removed meanwhile, or replaced
        return []


def index_unlink(piece: Piece) -> None:
    """Delete the index of a piece, and what a kill left of one; none is fine."""
    for path in _paths(piece):
        path.unlink(missing_ok=True)
    _leftovers_unlink(piece)


def _leftovers_unlink(piece: Piece) -> None:
    for path in _paths(piece):
        for one in path.parent.glob(f"{path.name}.*"):
            one.unlink(missing_ok=True)


def _paths(piece: WithUuid) -> tuple[Path, Path]:
    path = index_path(piece)
    return path, hashes_path(path)


def index_files_bare() -> dict[UUID, list[Path]]:
    """Return the files of indexes beside which no raw bytes lie, by the uuid of their piece."""
    folder, found = Path(settings.PIECES_DIR), dict[UUID, list[Path]]()
    names = set(os.listdir(folder)) if folder.exists() else set()
    for name in names:
        piece, _, rest = name.partition(".")
        if piece not in names and rest.partition(".")[0] in KINDS:
            with suppress(ValueError):
                found.setdefault(UUID(piece), []).append(folder / name)
    return found


def is_newer(path: Path, moment: datetime) -> bool:
    """Return whether a file was written at or after a moment; one that is gone was not."""
    try:
        return path.stat().st_mtime >= moment.timestamp()
    except FileNotFoundError:
        return False


def hash_chunk_read(chunk: HashChunk, before: str) -> bytes | None:
    """Return a chunk of multihashes, of the CID of the one before it; None unless the file still gives it."""
    path = hashes_path(index_path(chunk.index.piece))
    try:
        with path.open("rb") as file:
            hashes = list(multihashes_split(os.pread(file.fileno(), chunk.size, chunk.at)))
        made = chunk_make(hashes, cid_parse(before) if before else None)
    except (OSError, BadCid) as error:
        log.warning("hashes_unread", piece=path.name, reason=repr(error)[:200])
        return None
    return made.body if str(made.cid) == chunk.cid else None


def index_make(piece: Piece) -> Indexing | None:
    """Index a piece in a process of its own; None if that failed, and the log says why.

    An earlier index serves until this one is whole.
    """
    _leftovers_unlink(piece)
    command = [sys.executable, "-m", "poolsite.ipld.indexer", str(piece_path(piece)), str(index_path(piece))]
    try:
        room_require(min(INDEX_BYTES_MAX, piece.payload_size or 0))
        done = subprocess.run(  # noqa: S603  # the paths are made of a uuid
            command, capture_output=True, cwd=settings.BASE_DIR, timeout=INDEX_S, check=False
        )
        if not done.returncode:
            return Indexing(**json.loads(done.stdout))
        reason = done.stderr.decode(errors="replace").strip()[-500:]
    except (DiskFull, OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        reason = repr(error)[:500]
    log.error("index_failed", piece=str(piece.uuid), reason=reason)
    return None


class ServedIndex(NamedTuple):
    """A block index by which anybody may retrieve, as its row speaks of it."""

    piece: int
    """Key of the piece."""
    made_at: datetime
    """Names the file's version."""
    uuid: UUID
    size: int
    """Raw bytes of the piece."""
    actor_id: int
    """ID of its miner."""
    has_data: bool
    """Whether the raw bytes are here; else they have to be unsealed first."""

    @property
    def miner(self) -> str:
        """Return its miner's address."""
        return f"f0{self.actor_id}"


class PieceFile:
    """The bytes of a piece, open; may be used from any thread."""

    def __init__(self, piece: WithUuid, *, size: int | None) -> None:
        """Open the file.  Raises OSError, BadIndex."""
        path = piece_path(piece)
        self._fd = file_open(self, path)
        if os.fstat(self._fd).st_size != size:
            raise BadIndex(path.name)

    def read(self, at: int, size: int) -> bytes:
        """Return bytes of the piece.  Raises OSError."""
        return os.pread(self._fd, min(size, BLOCK_MAX), at)


class OpenIndexes:
    """The indexes that a process has open, those in which blocks were found last.

    Only indexes: whoever had a piece open would keep its room on the disk once it is removed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[int, tuple[datetime, IndexReader]] = OrderedDict()
        self._most = min(OPEN_MAX, files_limit() // 4)

    def get(self, row: ServedIndex) -> IndexReader:
        """Return an index, opened if it is not.  Raises OSError, BadIndex."""
        found = self._open.get(row.piece)
        if found is not None and found[0] == row.made_at:
            return found[1]
        opened = IndexReader(index_path(row))
        with self._lock:
            self._open[row.piece] = row.made_at, opened
            self._open.move_to_end(row.piece, last=False)
            if len(self._open) > self._most:  # closed once no thread reads it
                del self._open[next(piece for piece in self._open if piece != row.piece)]
        return opened

    def use(self, row: ServedIndex) -> None:
        """Note that a block was found in an index."""
        with self._lock:
            if row.piece in self._open:
                self._open.move_to_end(row.piece)

    def sort(self, rows: list[ServedIndex]) -> list[ServedIndex]:
        """Return indexes, those in which blocks were found last first, and close all others."""
        waiting = {row.piece: row for row in rows}
        with self._lock:
            for piece in [piece for piece in self._open if piece not in waiting]:
                del self._open[piece]
            recent = [waiting.pop(piece) for piece in reversed(self._open)]
        return [*recent, *sorted(waiting.values())]


OPEN: Final = OpenIndexes()
"""This process' open indexes.  (Module state: requests of one client ask for blocks of one piece.)"""


class BlockStore:
    """The blocks of some pieces for one request, each verified; notes which of them were sent.

    The piece of the last block is asked first, and one that cannot be read no more.
    """

    def __init__(self, rows: list[ServedIndex]) -> None:
        self._rows = OPEN.sort(rows)
        self._files: OrderedDict[int, PieceFile] = OrderedDict()
        self._sent: dict[int, tuple[ServedIndex, bytearray]] = {}
        """By piece, with a bit for each entry of its index."""
        self._last: tuple[bytes, ServedIndex, int] | None = None
        self.sealed: ServedIndex | None = None
        """A piece that has a block which was not found, and has to be unsealed first."""

    def root_get(self, cid: bytes) -> tuple[bytes, ServedIndex]:
        """Return a block and whose it is.  Raises LookupError."""
        data, row, _ = self._find(cid)
        return data, row

    def get(self, cid: bytes) -> bytes:
        """Return a block.  Raises LookupError."""
        return self._find(cid)[0]

    def has(self, cid: bytes) -> bool:
        """Return whether a block was sent, of whichever piece; it is not read."""
        wanted = multihash_read(cid_parts(cid).multihash)
        for row, sent in self._sent.values():
            with suppress(OSError, BadIndex):
                for place in OPEN.get(row).find(wanted.digest):
                    if place.number >> 3 < len(sent) and sent[place.number >> 3] >> (place.number & 7) & 1:
                        return True
        return False

    def add(self, cid: bytes) -> None:
        """Note that a block is sent.  Raises LookupError."""
        multihash = cid_parts(cid).multihash
        if self._last is None or self._last[0] != multihash:
            self._find(cid)
        assert self._last is not None
        _, row, number = self._last
        _, sent = self._sent.setdefault(row.piece, (row, bytearray()))
        sent.extend(bytes(max(0, (number >> 3) + 1 - len(sent))))
        sent[number >> 3] |= 1 << (number & 7)

    def _find(self, cid: bytes) -> tuple[bytes, ServedIndex, int]:
        multihash = cid_parts(cid).multihash
        wanted = multihash_read(multihash)
        unread = set()
        try:
            for turn, row in enumerate(self._rows if wanted.is_verifiable else ()):
                try:
                    for place in OPEN.get(row).find(wanted.digest):
                        if not row.has_data:
                            self.sealed = row
                            continue
                        data = self._file(row).read(place.at, place.size)
                        if wanted.is_of(data):
                            self._first(turn)
                            self._last = (multihash, row, place.number)
                            return data, row, place.number
                except (OSError, BadIndex) as error:  # gone or cut: the samples find that
                    log.warning("index_unread", piece=str(row.uuid), reason=repr(error)[:200])
                    unread.add(row)
        finally:
            if unread:
                self._rows = [row for row in self._rows if row not in unread]
        raise LookupError(text_write(cid))

    def _file(self, row: ServedIndex) -> PieceFile:
        """Return the bytes of a piece.  Raises OSError, BadIndex."""
        found = self._files.get(row.piece)
        if found is None:
            found = self._files[row.piece] = PieceFile(row, size=row.size)
            if len(self._files) > FILES_MAX:
                self._files.popitem(last=False)
        return found

    def _first(self, turn: int) -> None:
        """Note that this piece has the block: it is asked first from now on."""
        if turn:
            self._rows.insert(0, self._rows.pop(turn))
        OPEN.use(self._rows[0])


def blocks_sample(row: BlockIndex, count: int) -> tuple[int, int]:
    """Compare some blocks of an index with the piece; return how many are wrong, and of how many.

    Raises OSError, BadIndex where index or piece cannot be read.
    """
    piece = row.piece
    index, file = IndexReader(index_path(piece)), PieceFile(piece, size=piece.payload_size)
    numbers = random.sample(range(index.count), min(count, index.count))
    wrong = 0
    for number in numbers:
        key, place = index.entry(number)
        try:
            data = file.read(place.at, place.size)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            wrong += 1  # a damaged part of the disk
            continue
        wrong += not any(hash_of(code, data).startswith(key) for code in CODES)
    return wrong, len(numbers)
