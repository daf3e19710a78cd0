"""Drives that hold the layers of a batch as pages: a file on an ordinary file system, or a raw device.

A drive begins with a header that names the store and the drive's place in it; extents of one size follow.  An
extent has the same place on every drive.  What has no header of ours is never written to: a device must be
blank, and a person puts an empty file into the folder of a drive.  Else the folder under the mount of a drive
that is gone would be taken for a new one.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import stat
import time
import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from poolsite.wire.page_shape import BLOCK_BYTES, FIRST_EXTENT
from workers.storage.files import LIBC, NotEnoughSpace
from workers.storage.sizes import size_text

T = TypeVar("T")

FILE_NAME: Final = "poolsite-pages"
"""The file in a folder that is named as a drive; an empty one says that the drive may be used."""
KIND: Final = "poolsite pages 1"
REMEDY: Final = (
    "once it answers again, retry its sectors; if it was replaced, first “Reset drives…” on the host's page,"
    " or “python -m workers reset-drives” on the host"
)
FAILED: Final = {errno.EIO, errno.ENXIO, errno.ENODEV, errno.EROFS}
"""Errors of a drive that does not answer, is gone, or whose file system takes no more writes after errors."""
LOCK_WAIT_S, LOCK_PAUSE_S = 10.0, 0.02
PUNCH_HOLE, KEEP_SIZE = 2, 1


class NotOurDrive(OSError):
    """A drive that holds something else, or another store's pages."""


class DriveMissing(NotOurDrive):
    """A drive that is not mounted, or was never used: the machine may be starting."""


class DriveFailed(OSError):
    """A drive that does not read or write; `number` is its place in the store."""

    number = 0


def drive_failed(drive: Drive, error: OSError | None, text: str = "") -> DriveFailed:
    """Return the error of a drive by its place and path."""
    number, why = error.errno if error else errno.EIO, text or (error.strerror if error else "")
    failed = DriveFailed(number, f"drive {drive.number + 1}: {why}; {REMEDY}", str(drive.path))
    failed.number = drive.number
    return failed


@dataclass(frozen=True, slots=True)
class Header:
    """A drive's header."""

    store: str
    """Random hex, the same on all drives of a store."""
    drive: int
    drives: int
    extent_bytes: int

    def encode(self) -> bytes:
        """Return the first block of the drive."""
        fields = {"kind": KIND, **{name: getattr(self, name) for name in self.__slots__}}
        text = json.dumps(fields).encode()
        return (text + b"\n" + f"{zlib.crc32(text):08x}".encode()).ljust(BLOCK_BYTES, b"\0")


def header_decode(block: bytes) -> Header | None:
    """Return a drive's header; None if the block is none of ours."""
    text, _, rest = block.rstrip(b"\0").partition(b"\n")
    if rest != f"{zlib.crc32(text):08x}".encode():
        return None
    try:
        fields: dict[str, Any] = json.loads(text)
        if fields.pop("kind", "") != KIND:
            return None
        return Header(**fields)
    except (ValueError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, slots=True)
class Drive:
    """An open drive."""

    number: int
    path: Path
    handle: int


@contextmanager
def failing(drive: Drive) -> Iterator[None]:
    """Raise DriveFailed for a drive that does not open, or not read or write its header."""
    try:
        yield
    except OSError as error:
        if error.errno not in FAILED:
            raise
        raise drive_failed(drive, error) from None


class PageDrives:
    """The drives of one store, in their order."""

    def __init__(
        self, drives: Sequence[Drive], *, store: str, extent_bytes: int, is_read_only: bool = False
    ) -> None:
        self.drives, self.store, self.extent_bytes = tuple(drives), store, extent_bytes
        self.is_read_only = is_read_only

    def extent_start(self, extent: int) -> int:
        """Return where an extent begins on each drive."""
        return FIRST_EXTENT + self.extent_bytes * extent

    def extent_take(self, extent: int, size: int) -> None:
        """Reserve bytes of an extent on all drives, or on none.  Raises NotEnoughSpace, DriveFailed."""
        for drive in self.drives:
            end = self.extent_start(extent) + size
            try:
                if stat.S_ISBLK(os.fstat(drive.handle).st_mode):
                    if os.lseek(drive.handle, 0, os.SEEK_END) < end:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                else:
                    os.posix_fallocate(drive.handle, self.extent_start(extent), size)
            except OSError as error:
                self.extent_release(extent)
                if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise drive_failed(drive, error) from None
                text = f"drive {drive.number + 1} has no room for {size_text(size)} of a layer"
                raise NotEnoughSpace(errno.ENOSPC, text, str(drive.path)) from None

    def extent_release(self, extent: int) -> None:
        """Return the room of an extent to the drives' file systems, or tell the devices that it is unused.

        Where a file system cannot, the room stays the file's, for the next layer that takes the extent.
        """
        for drive in self.drives:
            start, size = ctypes.c_long(self.extent_start(extent)), ctypes.c_long(self.extent_bytes)
            LIBC.fallocate(drive.handle, PUNCH_HOLE | KEEP_SIZE, start, size)

    def clear(self) -> None:
        """Return the room of all extents, of what no batch's file tells too.  Raises OSError."""
        for drive in self.drives:
            if stat.S_ISREG(os.fstat(drive.handle).st_mode):
                os.ftruncate(drive.handle, FIRST_EXTENT)

    def write(self, number: int, parts: Sequence[memoryview], offset: int) -> None:
        """Write neighbouring parts, each whole blocks at their boundaries.  Raises DriveFailed."""
        drive, at = self.drives[number], offset
        for part in parts:
            done = 0
            while done < len(part):
                try:
                    many = os.pwrite(drive.handle, part[done:], at)
                except OSError as error:
                    raise drive_failed(drive, error) from None
                if not many:
                    raise drive_failed(drive, None, "takes no more bytes")
                done, at = done + many, at + many

    def read(self, number: int, part: memoryview, offset: int) -> None:
        """Fill memory from a drive, whole blocks at their boundaries.  Raises DriveFailed."""
        drive, done = self.drives[number], 0
        while done < len(part):
            try:
                many = os.preadv(drive.handle, [part[done:]], offset + done)
            except OSError as error:
                raise drive_failed(drive, error) from None
            if not many:
                raise drive_failed(drive, None, f"ends at {offset + done} bytes: it was cut")
            done += many

    def sync(self) -> None:
        """Make what was written durable.  Raises DriveFailed."""
        for drive in self.drives:
            try:
                os.fdatasync(drive.handle)
            except OSError as error:
                raise drive_failed(drive, error) from None

    def close(self) -> None:
        """Close all drives."""
        for drive in self.drives:
            os.close(drive.handle)


def drives_open(paths: Sequence[Path], *, store: str, extent_bytes: int | None, is_new: bool) -> PageDrives:
    """Open the drives of the store of that id; with `is_new`, when nothing lies on them, divide them anew.

    `extent_bytes` None: as they were divided before.
    Raises NotOurDrive for one that holds something else or is another store's; unless `is_new` for a blank
    one, too, and for one in another place or with extents of another size; OSError.
    """
    drives: list[Drive] = []
    try:
        for number, path in enumerate(paths):
            with failing(Drive(number, path, -1)):
                handle = _handle_open(path, number)
            drives.append(Drive(number, path, handle))
            _lock(drives[-1])
        headers = []
        for drive in drives:
            with failing(drive):
                headers.append(_header_read(drive))
        if extent_bytes is None:
            extent_bytes = next((header.extent_bytes for header in headers if header is not None), 0)
        wanted = [Header(store, drive.number, len(drives), extent_bytes) for drive in drives]
        for drive, header, own in zip(drives, headers, wanted, strict=True):
            is_free = is_new and (header is None or header.store == store)
            if header != own and not is_free:
                raise NotOurDrive(errno.EINVAL, _difference(header, own), str(drive.path))
        for drive, header, own in zip(drives, headers, wanted, strict=True):
            if header != own:
                with failing(drive):
                    _header_write(drive, own)
    except BaseException:
        for drive in drives:
            os.close(drive.handle)
        raise
    return PageDrives(drives, store=store, extent_bytes=extent_bytes)


def drives_read(paths: Sequence[Path], *, store: str) -> PageDrives:
    """Open the drives of a store to read single pages, while another process may label on them.

    They are closed with the last reference.  Raises NotOurDrive, OSError.
    """
    drives: list[Drive] = []
    try:
        for number, path in enumerate(paths):
            file = path if path.is_block_device() else path / FILE_NAME
            try:
                with failing(Drive(number, path, -1)):
                    drives.append(Drive(number, path, os.open(file, os.O_RDONLY)))
            except FileNotFoundError:
                raise _missing(path, number) from None
            with failing(drives[-1]):
                header = _header_read(drives[-1])
            wanted = Header(store, number, len(paths), header.extent_bytes if header else 0)
            if header != wanted:
                raise NotOurDrive(errno.EINVAL, _difference(header, wanted), str(path))
    except BaseException:
        for drive in drives:
            os.close(drive.handle)
        raise
    opened = PageDrives(drives, store=store, extent_bytes=wanted.extent_bytes, is_read_only=True)
    for drive in drives:
        weakref.finalize(opened, os.close, drive.handle)
    return opened


def _difference(found: Header | None, wanted: Header) -> str:
    """Return why a drive is not the one that its place wants."""
    if found is None:
        return (
            f"drive {wanted.drive + 1} is blank: what it held is lost;"
            " if it was replaced, “Reset drives…” on the host's page,"
            " or “python -m workers reset-drives” on the host, and retry its sectors"
        )
    if found.store != wanted.store:
        return f"drive {wanted.drive + 1} belongs to another store of pages"
    if (found.drive, found.drives) != (wanted.drive, wanted.drives):
        was = f"{found.drive + 1} of {found.drives}"
        return f"this was drive {was}, and is named as {wanted.drive + 1} of {wanted.drives}"
    return f"its extents have {found.extent_bytes} bytes instead of {wanted.extent_bytes}"


def _missing(path: Path, number: int) -> DriveMissing:
    """Return the error of a folder without our file, or of a device that is not there."""
    text = f"drive {number + 1} is not mounted, or new: once it is mounted, touch {path / FILE_NAME}"
    if path.is_relative_to("/dev"):
        text = f"drive {number + 1} is not there"
    return DriveMissing(errno.ENOENT, text, str(path))


def _handle_open(path: Path, number: int) -> int:
    """Open a device that nobody has mounted, or the file in a folder, without the page cache and alone.

    Raises DriveMissing if the folder has none.
    """
    if path.is_block_device():
        return _freed(Drive(number, path, -1), partial(os.open, path, os.O_RDWR | os.O_DIRECT | os.O_EXCL))
    file = path / FILE_NAME
    try:
        return os.open(file, os.O_RDWR | os.O_DIRECT)
    except FileNotFoundError:
        raise _missing(path, number) from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.open(file, os.O_RDWR)  # a file system without: slower, and the cache takes memory


def _lock(drive: Drive) -> None:
    """Lock a drive as long as it is open: a process that was given up may still write to it."""
    _freed(drive, partial(fcntl.flock, drive.handle, fcntl.LOCK_EX | fcntl.LOCK_NB))


def _freed(drive: Drive, take: Callable[[], T]) -> T:
    """Return what `take` does once no other process has the drive.  Raises DriveFailed.

    Of one that was killed, or that closed its io_uring, the system closes the drives a moment later, once
    nothing is in progress there.
    """
    until = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return take()
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EWOULDBLOCK):
                raise
            if time.monotonic() >= until:
                text = f"drive {drive.number + 1}: in use by another process, or mounted"
                raise DriveFailed(errno.EBUSY, text, str(drive.path)) from None
            time.sleep(LOCK_PAUSE_S)


def _header_read(drive: Drive) -> Header | None:
    """Return a drive's header; None: its beginning is blank.  Raises NotOurDrive for anything else there."""
    with mmap.mmap(-1, FIRST_EXTENT) as memory:
        many = os.preadv(drive.handle, [memory], 0)
        beginning = memory[:many]
    header = header_decode(beginning[:BLOCK_BYTES])
    if header is None and any(beginning):
        raise NotOurDrive(errno.EEXIST, "holds something else: nothing of it was changed", str(drive.path))
    return header


def _header_write(drive: Drive, header: Header) -> None:
    with mmap.mmap(-1, BLOCK_BYTES) as memory:
        memory[:] = header.encode()
        os.pwrite(drive.handle, memory, 0)
    os.fsync(drive.handle)
