"""Room on the disk of the pieces that transfers side by side were promised, whichever process they run in."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from django.conf import settings

from apps.core.disk import DiskFull, DiskLevel, DiskSpace, disk_space
from apps.core.errors import Conflict
from apps.core.marked_texts import gettext
from apps.pieces.data.files import file_locked
from apps.pieces.errors import PieceBusy

FOLDER: Final = "reserved"
"""In that of the pieces, while there are promises: each is a file of the same name as the one that grows.

It holds how many bytes that one will have, and whoever was promised them locks it: a kill ends the promise.
"""


class RoomAwaited(Conflict):
    """There is room once other transfers have ended or failed."""

    code = "disk_reserved"

    def __init__(self, space: DiskSpace, *, promised: int) -> None:
        text = gettext(
            "{left} MiB free on the disk of {place}; {promised} MiB of them are reserved for uploads and "
            "downloads in progress, and {reserve} MiB must stay free: try again later"
        )
        reserve = settings.DISK_RESERVE_BYTES // 2**20
        place = space.place or settings.VAR
        left, promised = space.free // 2**20, promised // 2**20
        super().__init__(text.format(left=left, place=place, promised=promised, reserve=reserve))


class Room:
    """Room for the bytes of one file that are to come, until it is released or its process ends.

    Those that have come are no longer free on the disk, and count there.  Used by one thread at a time.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held = ExitStack()
        self._promise: BinaryIO | None = None

    def __enter__(self) -> Room:
        """Return itself: nothing is promised yet."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Release it."""
        self.release()

    def reserve(self, size: int) -> None:
        """Promise that the file may grow to so many bytes, instead of what was promised before.

        Raises DiskFull where the disk has no room for them, RoomAwaited where others were promised it.
        """
        to_come = max(size - _size_of(self._file), 0)
        with _promises_locked() as folder:
            space, others = disk_space(settings.PIECES_DIR), _promised(folder, without=self._file.name)
            if replace(space, free=space.free - to_come).level is DiskLevel.FULL:
                raise DiskFull(space, size=to_come)
            if replace(space, free=space.free - to_come - others).level is DiskLevel.FULL:
                raise RoomAwaited(space, promised=others)
            if self._promise is None:
                self._promise = self._held.enter_context(file_locked(folder / self._file.name))
            self._promise.seek(0)
            self._promise.write(b"%d\n" % size)
            self._promise.truncate()

    def release(self) -> None:
        """Free what is promised, if anything is."""
        if self._promise is None:
            return
        with _promises_locked() as folder:
            (folder / self._file.name).unlink(missing_ok=True)
            self._held.close()
            self._promise = None
            with suppress(OSError):  # others stay, with their promises
                folder.rmdir()


@contextmanager
def _promises_locked() -> Iterator[Path]:
    """Return the folder of promises while no other process, or thread, makes or ends one."""
    pieces = Path(settings.PIECES_DIR)
    pieces.mkdir(parents=True, exist_ok=True)
    number = os.open(pieces, os.O_RDONLY)
    try:
        with suppress(
            OSError
        ):  # a file system that locks no folders: two of the same moment may get the same room
            fcntl.flock(number, fcntl.LOCK_EX)
        yield pieces / FOLDER
    finally:
        os.close(number)


def _promised(folder: Path, *, without: str) -> int:
    """Return how many bytes are still to come; promises of processes that were killed are removed."""
    total = 0
    for promise in folder.iterdir() if folder.is_dir() else ():
        if promise.name == without:
            continue
        try:
            with file_locked(promise, flags=0):
                promise.unlink()
        except PieceBusy:
            total += max(int(promise.read_bytes() or 0) - _size_of(folder.parent / promise.name), 0)
        except FileNotFoundError:
            continue
    return total


def _size_of(file: Path) -> int:
    """Return how many bytes of a file take room: what streams have not filled yet does not."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0
    return min(found.st_size, found.st_blocks * 512)
