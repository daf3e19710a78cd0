"""Files that appear whole or not at all: written under a temporary name, synced, renamed.

A kill at any moment leaves the old file, nothing, or the complete new one; a leftover `.tmp` is
overwritten by the next run.  What a store in a bucket does another way is told apart by its path's type
(`bucket_files`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import secrets
from dataclasses import dataclass
from functools import singledispatch
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.storage.sizes import size_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)

COPY_BYTES = 1 << 22
"""How much of a file is copied at a time."""

SYNC_BYTES = 1 << 28
"""After so much a copy that is watched is written to the disk: its last sync is not a long silence."""

TEMPORARY_SUFFIX = ".tmp"
"""What an unfinished file's name ends with, as in rust-fil-proofs."""

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
"""u8[n]: the bytes of a file."""


class TruncatedFile(OSError):
    """A file that does not have the size its kind must have."""


class DamagedFile(OSError):
    """A file whose content is not what was written."""


class NotEnoughSpace(OSError):
    """The disk is too full for what is about to be written."""


def temporary_name(path: Path) -> Path:
    """Return the name under which `path` is written."""
    return path.with_name(path.name + TEMPORARY_SUFFIX)


def is_complete(path: Path, size_bytes: int) -> bool:
    """Return whether `path` is there with its full size (its content was synced before it got its name)."""
    try:
        return path.stat().st_size == size_bytes
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the content of a file durable, what was written through a mapping included."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def finish_file(path: Path) -> None:
    """Return the synced temporary file its name."""
    temporary_name(path).replace(path)
    sync_folder(path.parent)


@singledispatch
def write_file(path: Path, content: bytes) -> None:
    """Write a small file."""
    with temporary_name(path).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    finish_file(path)


@singledispatch
def write_new(path: Path, content: bytes) -> None:
    """Write a small file that is not there yet.  Raises FileExistsError: of several at once one wins."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    write_file(fresh, content)
    try:
        os.link(fresh, path)
    finally:
        fresh.unlink()


def copy_file(
    source: Path,
    target: Path,
    *,
    size_bytes: int,
    digest: str | None = None,
    beat: Callable[[], None] | None = None,
) -> None:
    """Copy `source` to `target`, extended with zeros to `size_bytes`; `beat` is called as it goes on.

    Raises TruncatedFile if it is longer, DamagedFile if its SHA-256 is not `digest`.
    """
    file_put(target, source, size_bytes=size_bytes, digest=digest, beat=beat)


@singledispatch
def file_put(
    target: Path,
    source: Path,
    *,
    size_bytes: int,
    digest: str | None,
    beat: Callable[[], None] | None,
) -> None:
    """Copy as `copy_file` does: the target says how."""
    temporary = temporary_name(target)
    with source.open("rb") as reader, temporary.open("wb") as writer:
        seen, unsynced = sha256(), 0
        while part := reader.read(COPY_BYTES):
            writer.write(part)
            if beat is not None:
                unsynced += len(part)
                if unsynced >= SYNC_BYTES:
                    writer.flush()
                    os.fdatasync(writer.fileno())
                    unsynced = 0
                beat()
            if digest is not None:
                seen.update(part)
        if writer.tell() > size_bytes:
            raise TruncatedFile(f"{source} has {writer.tell()} bytes, more than {size_bytes}")
        if digest not in (None, seen.hexdigest()):
            raise DamagedFile(f"{source} is damaged: its content is not what was written")
        writer.truncate(size_bytes)
        writer.flush()
        os.fsync(writer.fileno())
    finish_file(target)


@dataclass(frozen=True, slots=True)
class Space:
    """What a disk has."""

    total: int
    free: int
    is_read_only: bool = False


@singledispatch
def write_fault(root: Path) -> int:
    """Return the number of the error with which a small file is written; 0: it is."""
    probe = root / f".write-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        probe.write_bytes(b"poolsite")
    except OSError as error:
        return error.errno or errno.EIO
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return 0


@singledispatch
def space_of(folder: Path) -> Space:
    """Return what the disk of a folder has.  Raises OSError."""
    disk = os.statvfs(folder)
    is_read_only = bool(disk.f_flag & os.ST_RDONLY)
    return Space(disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize, is_read_only)


@singledispatch
def unfinished_remove(path: Path) -> None:
    """Remove what a copy that was not finished has left for a file's name."""
    temporary_name(path).unlink(missing_ok=True)


@singledispatch
def unfinished_sizes(_root: Path) -> dict[str, int]:
    """Return the bytes that unfinished uploads take which nobody went on with, by sector's name.

    A folder has none: what is unfinished there has a name.  Raises OSError.
    """
    return {}


@singledispatch
def names_in(folder: Path) -> list[str]:
    """Return the names in a folder.  Raises FileNotFoundError, OSError."""
    return os.listdir(folder)


def space_check(folder: Path, needed_bytes: int) -> None:
    """Raise NotEnoughSpace unless `folder`'s disk has room for `needed_bytes`."""
    free = space_of(folder).free
    if free < needed_bytes:
        raise NotEnoughSpace(f"{folder}: {size_words(needed_bytes)} of disk needed, {size_words(free)} free")


def pages_release(part: np.ndarray[Any, Any]) -> None:
    """Release the memory of a part of a mapped file that is done with; its content stays in the file.

    Only for arrays of `file_read` that nobody has written to, and of `file_write`: other memory would
    be lost.  What is touched again is read again.
    """
    start = -(-part.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (part.ctypes.data + part.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if end > start:
        LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def mapped_digest(raw: Bytes) -> str:
    """Return the SHA-256 of a mapped file in hex, and give its memory back on the way."""
    digest = sha256()
    for first in range(0, len(raw), COPY_BYTES):
        part = raw[first : first + COPY_BYTES]
        digest.update(part.data)
        pages_release(part)
    return digest.hexdigest()


def file_read(path: Path, *, size_bytes: int) -> Bytes:
    """Map a file for reading; the array is writable memory, but writes stay private.

    Raises TruncatedFile if the size is not `size_bytes`, FileNotFoundError.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != size_bytes:
            raise TruncatedFile(f"{path} has {size} bytes instead of {size_bytes}")
        mapping = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
    return np.frombuffer(mapping, np.uint8)


@contextlib.contextmanager
def file_write(path: Path, *, size_bytes: int, keep: bool = False) -> Iterator[Bytes]:
    """Map a new file of `size_bytes` for writing; it gets its name when the block ends without error.

    Its room is taken from the disk first: a full disk is an OSError here, not a SIGBUS in a kernel.
    With `keep`, a temporary file of the right size that an earlier run left is continued.
    """
    temporary = temporary_name(path)
    with temporary.open("r+b" if keep and is_complete(temporary, size_bytes) else "w+b") as file:
        os.posix_fallocate(file.fileno(), 0, size_bytes)
        mapping = mmap.mmap(file.fileno(), size_bytes)
        yield np.frombuffer(mapping, np.uint8)
        mapping.flush()
        os.fsync(file.fileno())
    finish_file(path)


def hole_write(path: Path, *, size_bytes: int) -> None:
    """Write a file of zeros that takes no disk, where the file system has holes."""
    with temporary_name(path).open("wb") as file:
        file.truncate(size_bytes)
        os.fsync(file.fileno())
    finish_file(path)


def is_hole(path: Path) -> bool:
    """Return whether a file is one hole, and so nothing but zeros."""
    with path.open("rb") as file:
        try:
            os.lseek(file.fileno(), 0, os.SEEK_DATA)
        except OSError as error:
            return error.errno == errno.ENXIO
    return False


def link_write(target: Path, path: Path) -> None:
    """Hard-link a file to another name, replacing what had it."""
    temporary = temporary_name(path)
    temporary.unlink(missing_ok=True)
    os.link(target, temporary)
    finish_file(path)
