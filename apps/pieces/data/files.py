"""The raw bytes of pieces: one file each, named by the row's uuid, in `settings.PIECES_DIR`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final, Protocol
from uuid import UUID

from django.conf import settings

from apps.core.disk import DiskFull, DiskLevel, disk_space
from apps.core.marked_texts import gettext
from apps.pieces.errors import PieceBusy, UploadIncomplete
from apps.pieces.models import Piece

CHUNK_BYTES: Final = 1 << 20
"""What is held of a piece in memory."""
SYNC_BYTES: Final = 64 << 20
"""After so many a part of an upload is written down: what a kill costs at most."""


class Source(Protocol):
    """Raw bytes that come in."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end.  Raises OSError when the sender left."""


class WithUuid(Protocol):
    """A piece, or some columns of its row."""

    @property
    def uuid(self) -> UUID:
        """Return what its files are named by."""


def piece_path(piece: WithUuid) -> Path:
    """Return where the raw bytes lie."""
    return Path(settings.PIECES_DIR) / str(piece.uuid)


def notes_path(path: Path) -> Path:
    """Return where the program that computes a file's commitment notes parts of it."""
    return path.with_name(f"{path.name}.runs")


def is_stored(piece: Piece) -> bool:
    """Return whether the raw bytes are kept here: by the row, and by the disk, which may be an older copy.

    Raises OSError while the disk does not say: nothing is put in their place then.
    """
    try:
        return piece.has_data and piece_path(piece).stat().st_size == piece.payload_size
    except FileNotFoundError:
        return False


def is_known_stored(piece: Piece) -> bool:
    """Return whether the raw bytes are certain to be kept here; not while the disk does not say."""
    try:
        return is_stored(piece)
    except OSError:
        return False


def room_require(size: int) -> None:
    """Raise DiskFull unless so many bytes fit beside the reserve."""
    space = disk_space(settings.PIECES_DIR)
    if replace(space, free=space.free - size).level is DiskLevel.FULL:
        raise DiskFull(space, size=size)


@contextmanager
def piece_opened(piece: Piece) -> Iterator[BinaryIO]:
    """Open the file for writing, made if it is not there, and hold it alone; a kill frees it.

    Raises PieceBusy.
    """
    with file_locked(piece_path(piece)) as file:
        yield file


@contextmanager
def piece_whole(piece: Piece) -> Iterator[Path]:
    """Lock the file of a piece whose bytes are all here, and yield its path; it is not made.

    Raises PieceBusy, UploadIncomplete: a kill may have come between the row and its file.
    """
    path = piece_path(piece)
    with ExitStack() as held:
        try:
            size = held.enter_context(file_locked(path, flags=0)).seek(0, os.SEEK_END)
        except FileNotFoundError:
            size = 0
        if size != piece.payload_size:
            raise UploadIncomplete(
                gettext("only {received} of {payload_size} bytes are on the disk: send them again").format(
                    received=size, payload_size=piece.payload_size
                )
            )
        yield path


@contextmanager
def file_locked(path: Path, *, flags: int = os.O_CREAT) -> Iterator[BinaryIO]:
    """Open a file as `piece_opened` does.  Raises PieceBusy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | flags, 0o600), "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PieceBusy from None
        yield file


def bytes_write(
    file: BinaryIO,
    source: Source,
    *,
    at: int,
    most: int,
    note: Callable[[int], None],
    reserve: Callable[[int], None] | None = None,
) -> bool:
    """Write what comes at `at`, and report to `note` how many bytes are on the disk; it overwrites.

    `reserve` promises room up to a size before more is written, where the whole was promised none.

    Returns whether it was all; False if it goes beyond `most`.  Raises OSError when the sender left, DiskFull
    once the reserve is touched: the pool's database may lie on the same disk; and what `reserve` raises.
    """
    _room_check(at, reserve)
    file.seek(at)
    file.truncate(at)
    noted = at
    try:
        while chunk := source.read(CHUNK_BYTES):
            if at + len(chunk) > most:
                return False
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]
            at += len(chunk)
            if at - noted >= SYNC_BYTES:
                noted = _synced(file, at, note)
                _room_check(at, reserve)
        return True
    finally:
        _synced(file, at, note)


def _room_check(at: int, reserve: Callable[[int], None] | None) -> None:
    room_require(0)
    if reserve is not None:
        reserve(at + SYNC_BYTES)


def _synced(file: BinaryIO, at: int, note: Callable[[int], None]) -> int:
    os.fsync(file.fileno())
    note(at)
    return at


def piece_unlink(piece: Piece) -> None:
    """Delete the raw bytes; none is fine."""
    notes_path(piece_path(piece)).unlink(missing_ok=True)
    piece_path(piece).unlink(missing_ok=True)


def bytes_read(path: Path, *, first: int, count: int) -> Iterator[bytes]:
    """Yield `count` bytes of a file from number `first` on."""
    with path.open("rb") as file:
        file.seek(first)
        while count > 0 and (chunk := file.read(min(count, CHUNK_BYTES // 4))):
            count -= len(chunk)
            yield chunk
