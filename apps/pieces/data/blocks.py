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
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import structlog
from django.conf import settings

from apps.core.disk import DiskFull
from apps.pieces.data.files import WithUuid, piece_path, room_require
from apps.pieces.models import BlockIndex, HashChunk, Piece
from apps.pieces.states import IndexOutcome
from poolsite.filecoin.cids import BadCid, cid_parse
from poolsite.ipld.block_index import BLOCKS_MAX, BadIndex, IndexReader, Place, file_open
from poolsite.ipld.car import BLOCK_MAX, BadCar, NotCar, header_read
from poolsite.ipld.cids import CODES, cid_parts, hash_of, multihash_read, multihashes_split, text_write
from poolsite.ipld.indexer import hashes_path
from poolsite.libp2p.ipni import chunk_make

log = structlog.get_logger(__name__)

INDEX_S: Final = 3600
"""Time for one index: two minutes for 32 GiB."""
INDEX_BYTES_MAX: Final = (34 + 67) * BLOCKS_MAX
"""Bound for one's files: its filter takes at most 4 bytes a block, the longest multihash 67."""
KINDS: Final = ("blocks", "hashes")
"""Ends of the names of an index' files."""
FILES_MAX: Final = 4
"""Pieces that one answer has open."""
INDEXES_MAX: Final = 32
"""Indexes that one answer has open."""
ROWS_READ: Final = 64
"""Rows of pieces that are read at a time: a block that is in many is soon found in one of the first."""
VOLUME_BLOCKS_MAX: Final = 1 << 25
"""Entries of one volume: a GiB, written with 75 MB of memory."""

Value = TypeVar("Value")


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


def volume_path(name: UUID) -> Path:
    """Return where a volume lies."""
    return Path(settings.PIECES_DIR) / f"{name}.volume"


def volume_files() -> dict[Path, UUID]:
    """Return the files of volumes, and what a kill left of one, with their names."""
    found = dict[Path, UUID]()
    for path in Path(settings.PIECES_DIR).glob("*.volume*"):
        with suppress(ValueError):
            found[path] = UUID(path.name.partition(".")[0])
    return found


def volume_is_whole(name: UUID, *, blocks: int) -> bool:
    """Return whether the file of a volume is there with so many blocks.  Raises OSError."""
    try:
        return bool(IndexReader(volume_path(name)).count == blocks)
    except (FileNotFoundError, BadIndex):
        return False


def volume_has(row: BlockIndex, count: int) -> bool:
    """Return whether the volume of an index names its piece for some blocks.  Raises OSError, BadIndex."""
    assert row.volume is not None
    index, volume = IndexReader(index_path(row.piece)), IndexReader(volume_path(row.volume))
    keys = (index.entry(number)[0] for number in random.sample(range(index.count), min(count, index.count)))
    return all(row.piece_id in [place.at for place in volume.find(key)] for key in keys)


@dataclass(frozen=True, slots=True)
class Merging:
    """Outcome of merging indexes into a volume."""

    blocks: int = 0
    damaged: str = ""
    """Path of a source that is gone or damaged; then there is no volume."""


def volume_make(name: UUID, sources: list[dict[str, object]]) -> Merging | None:
    """Merge indexes and volumes in a process of its own; None if that failed, and the log says why."""
    command = [sys.executable, "-m", "poolsite.ipld.merger", str(volume_path(name))]
    made = _program_run(command, room=INDEX_BYTES_MAX, text=json.dumps(sources))
    return None if made is None else Merging(**made)


def index_make(piece: Piece) -> Indexing | None:
    """Index a piece in a process of its own; None if that failed, and the log says why.

    An earlier index serves until this one is whole.
    """
    _leftovers_unlink(piece)
    command = [sys.executable, "-m", "poolsite.ipld.indexer", str(piece_path(piece)), str(index_path(piece))]
    made = _program_run(command, room=min(INDEX_BYTES_MAX, piece.payload_size or 0))
    return None if made is None else Indexing(**made)


def _program_run(command: list[str], *, room: int, text: str = "") -> dict[str, Any] | None:
    """Return what a program prints that writes into the folder of pieces; None if it failed."""
    try:
        room_require(room)
        done = subprocess.run(  # noqa: S603  # the paths are made of uuids
            command,
            input=text,
            capture_output=True,
            cwd=settings.BASE_DIR,
            timeout=INDEX_S,
            check=False,
            text=True,
        )
        if not done.returncode:
            made: dict[str, Any] = json.loads(done.stdout)
            return made
        reason = done.stderr.strip()[-500:]
    except (DiskFull, OSError, subprocess.SubprocessError, ValueError) as error:
        reason = repr(error)[:500]
    log.error("index_failed", file=command[-1], reason=reason)
    return None


class ServedIndex(NamedTuple):
    """A block index by which anybody may retrieve, as its row speaks of it."""

    piece: int
    """Key of the piece."""
    uuid: UUID
    size: int
    """Raw bytes of the piece."""
    actor_id: int
    """ID of its miner."""
    has_data: bool
    """Whether the raw bytes are here; else they have to be unsealed first."""
    day_bytes: int = 0
    """Bytes of its miner that an address may retrieve a day; 0: no limit."""
    copy_read_at: datetime | None = None
    """When the bytes were last read, if they were unsealed for somebody who retrieves them."""

    @property
    def miner(self) -> str:
        """Return its miner's address."""
        return f"f0{self.actor_id}"


RowsRead = Callable[[Collection[int] | None], list[ServedIndex]]
"""Reads the indexes by which anybody may retrieve: of some pieces, by their keys, or all."""


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


class OpenVolumes:
    """The volumes that a process has open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[UUID, IndexReader] = {}

    def get(self, names: Collection[UUID]) -> list[IndexReader] | None:
        """Return these volumes, and close all others; None if one cannot be read."""
        with self._lock:
            for name in self._open.keys() - set(names):  # closed once no thread reads it
                del self._open[name]
            try:
                for name in set(names) - self._open.keys():
                    self._open[name] = IndexReader(volume_path(name))
            except (OSError, BadIndex) as error:
                log.warning("volume_unread", volume=str(name), reason=repr(error)[:200])
                return None
            return list(self._open.values())

    def clear(self) -> None:
        """Close all."""
        with self._lock:
            self._open.clear()


VOLUMES: Final = OpenVolumes()
"""This process' open volumes.  (Module state: they are the same for every request.)"""


class BlockStore:
    """The blocks of all served pieces for one request, each verified; notes which of them were sent.

    The pieces of the last blocks are asked first, then volumes and the indexes that are in none name the
    pieces where a block may be.  No piece stays open after a request: its room on the disk would be kept.
    """

    def __init__(self, singles: list[ServedIndex], volumes: list[IndexReader], read: RowsRead) -> None:
        """Start with the indexes in no volume, and the volumes; `read` reads rows of the pieces they name."""
        self._singles, self._volumes, self._read = singles, volumes, read
        self._rows: dict[int, ServedIndex | None] = {row.piece: row for row in singles}
        """By piece; None: nobody may retrieve it."""
        self._recent: OrderedDict[int, ServedIndex] = OrderedDict()
        self._indexes: OrderedDict[int, IndexReader] = OrderedDict()
        self._files: OrderedDict[int, PieceFile] = OrderedDict()
        self._sent: dict[int, bytearray] = {}
        """By piece, with a bit for each entry of its index."""
        self._last: tuple[bytes, ServedIndex, int] | None = None
        self.sealed: ServedIndex | None = None
        """A piece that has the block which was not found last, and has to be unsealed first."""

    def root_get(self, cid: bytes) -> tuple[bytes, ServedIndex]:
        """Return a block and whose it is.  Raises LookupError."""
        data, row, _ = self._find(cid)
        return data, row

    def rows_recent(self) -> list[ServedIndex]:
        """Return the pieces of which blocks were read last."""
        return list(self._recent.values())

    def get(self, cid: bytes) -> bytes:
        """Return a block.  Raises LookupError."""
        return self._find(cid)[0]

    def has(self, cid: bytes) -> bool:
        """Return whether a block was sent, of whichever piece; it is not read."""
        digest = multihash_read(cid_parts(cid).multihash).digest
        rows = map(self._rows.get, self._sent)
        for row in rows if len(self._sent) <= FILES_MAX else self._rows_of(digest):
            if row is None or (sent := self._sent.get(row.piece)) is None:
                continue
            for place in self._places(row, digest):
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
        sent = self._sent.setdefault(row.piece, bytearray())
        sent.extend(bytes(max(0, (number >> 3) + 1 - len(sent))))
        sent[number >> 3] |= 1 << (number & 7)

    def _find(self, cid: bytes) -> tuple[bytes, ServedIndex, int]:
        multihash, self.sealed = cid_parts(cid).multihash, None
        wanted = multihash_read(multihash)
        if wanted.is_verifiable:
            for row in chain(reversed(tuple(self._recent.values())), self._rows_of(wanted.digest)):
                for place in self._places(row, wanted.digest):
                    if not row.has_data:
                        self.sealed = row
                    elif wanted.is_of(data := self._bytes(row, place)):
                        self._last = (multihash, row, place.number)
                        _keep(self._recent, row.piece, row, FILES_MAX)
                        return data, row, place.number
        raise LookupError(text_write(cid))

    def _rows_of(self, digest: bytes) -> Iterator[ServedIndex]:
        """Yield the indexes in which a block may be."""
        yield from self._singles
        try:
            places = (place.at for volume in self._volumes for place in volume.find(digest))
            while keys := list(islice(places, ROWS_READ)):
                if unknown := [key for key in keys if key not in self._rows]:
                    self._rows |= dict.fromkeys(unknown) | {row.piece: row for row in self._read(unknown)}
                yield from (row for key in keys if (row := self._rows[key]) is not None)
        except (OSError, BadIndex) as error:  # a head makes it anew
            log.warning("volume_unread", reason=repr(error)[:200])
            VOLUMES.clear()
            self._volumes, self._singles = [], self._read(None)
            self._rows = {row.piece: row for row in self._singles}
            yield from self._singles

    def _places(self, row: ServedIndex, digest: bytes) -> list[Place]:
        try:
            index = self._indexes.get(row.piece) or IndexReader(index_path(row))
            _keep(self._indexes, row.piece, index, INDEXES_MAX)
            return index.find(digest)
        except (OSError, BadIndex) as error:
            self._drop(row, error)
            return []

    def _bytes(self, row: ServedIndex, place: Place) -> bytes:
        """Return what lies at a place; nothing if the piece cannot be read."""
        try:
            file = self._files.get(row.piece) or PieceFile(row, size=row.size)
            _keep(self._files, row.piece, file, FILES_MAX)
            return file.read(place.at, place.size)
        except (OSError, BadIndex) as error:
            self._drop(row, error)
            return b""

    def _drop(self, row: ServedIndex, error: Exception) -> None:
        """Skip a piece from now on whose bytes or index are gone or cut: the samples find that."""
        log.warning("index_unread", piece=str(row.uuid), reason=repr(error)[:200])
        self._rows[row.piece] = None
        self._singles = [single for single in self._singles if single != row]
        self._recent.pop(row.piece, None)


def _keep(cache: OrderedDict[int, Value], key: int, value: Value, most: int) -> None:
    """Keep the values that were used last."""
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > most:
        cache.popitem(last=False)


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
