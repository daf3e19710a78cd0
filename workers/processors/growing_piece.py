"""The commitment of a file that is still being written: the roots of its subtrees are noted beside it.

A note saves work and decides nothing: with each root stands the SHA-256 of its raw bytes, and it counts only
while the file has these very bytes.  So a commitment is always that of what the file has at the end, whatever
a kill, a restored folder or a damaged disk has done to either of the two files.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254_zero
from workers.processors.parallel import thread_count
from workers.processors.pieces import (
    SUBTREE_NODES,
    raw_commitment,
    roots_commitment,
    subtree_root,
    unpadded_size,
)
from workers.processors.tasks import PieceSource

RUN_BYTES = unpadded_size(SUBTREE_NODES * NODE_BYTES)
"""Raw bytes below a root: 15.875 MiB."""
CHECK_BYTES = 8
NOTE_BYTES = 2 * 32 + CHECK_BYTES
READ_BYTES = 1 << 20


class Note(NamedTuple):
    """A line of what is noted."""

    digest: bytes
    """SHA-256 of the run."""
    root: bytes

    def packed(self) -> bytes:
        """Return its bytes, with the beginning of their SHA-256 behind them."""
        both = self.digest + self.root
        return both + hashlib.sha256(both).digest()[:CHECK_BYTES]


def notes_path(path: str | Path) -> Path:
    """Return where the roots of a file are noted."""
    return Path(f"{path}.runs")


def notes_read(path: str | Path) -> list[Note | None]:
    """Return what is noted of a file's runs, in their order; None for a note that is damaged."""
    try:
        packed = notes_path(path).read_bytes()
    except FileNotFoundError:
        return []
    lines = [packed[at : at + NOTE_BYTES] for at in range(0, len(packed), NOTE_BYTES)]
    notes = [(line, Note(line[:32], line[32:64])) for line in lines]
    return [note if note.packed() == line else None for line, note in notes]


def roots_note(path: str, until: int) -> int:
    """Note the roots of the runs that end at `until` or before, and were not noted; returns how many are.

    A kill leaves at most one note torn, which is written anew.  A program whose console was killed goes on
    for some seconds, for which that of the next console waits.
    """
    with Path(path).open("rb") as file, notes_path(path).open("ab") as notes:
        fcntl.flock(notes, fcntl.LOCK_EX)
        notes.seek(0, os.SEEK_END)
        noted = notes.tell() // NOTE_BYTES
        notes.truncate(noted * NOTE_BYTES)
        while (noted + 1) * RUN_BYTES <= until:
            file.seek(noted * RUN_BYTES)
            raw = file.read(RUN_BYTES)  # both are hashes of the same bytes, read once
            if len(raw) < RUN_BYTES:
                break
            with ThreadPoolExecutor(1) as beside:
                digest = beside.submit(hashlib.sha256, raw)
                root = subtree_root(io.BytesIO(raw))
            notes.write(Note(digest.result().digest(), root).packed())
            notes.flush()
            noted += 1
    return noted


def file_commitment(path: str, source: PieceSource) -> bytes:
    """Return comm_p of a file, zeros behind it; of runs that are as noted only SHA-256 is computed."""
    with Path(path).open("rb") as file:
        if source.piece_size <= RUN_BYTES:
            return raw_commitment(file, source.piece_size)
        known = dict(_still_true(file, notes_read(path)))
        zero = sha254_zero(SUBTREE_NODES * NODE_BYTES)
        roots = []
        for first in range(0, source.piece_size, RUN_BYTES):
            root = known.get(first) if first < source.payload_size else zero
            if root is None:
                file.seek(first)
                root = subtree_root(file)
            roots.append(root)
        return roots_commitment(roots)


def _still_true(file: BinaryIO, notes: list[Note | None]) -> Iterator[tuple[int, bytes]]:
    """Yield the first byte and the root of each run that has the bytes of its note."""

    def digest(first: int) -> bytes:
        room, summed = bytearray(READ_BYTES), hashlib.sha256()
        at = first
        while size := os.preadv(file.fileno(), [memoryview(room)[: first + RUN_BYTES - at]], at):
            summed.update(memoryview(room)[:size])
            at += size
        return summed.digest()

    noted = [(number * RUN_BYTES, note) for number, note in enumerate(notes) if note is not None]
    with ThreadPoolExecutor(thread_count()) as threads:
        digests = threads.map(digest, [first for first, _ in noted])
        for (first, note), found in zip(noted, digests, strict=True):
            if found == note.digest:
                yield first, note.root
