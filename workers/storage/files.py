"""Files that appear whole or not at all: written under a temporary name, synced, renamed.

A kill at any moment leaves the old file, nothing, or the complete new one; a leftover `.tmp` is
overwritten by the next run.  What a store in a bucket does another way is told apart by its path's type
(`bucket_files`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from hashlib import sha256
from pathlib import Path

from workers.storage.sizes import size_text

LIBC = ctypes.CDLL(None, use_errno=True)

COPY_BYTES = 1 << 22
"""How much of a file is copied at a time."""

SYNC_BYTES = 1 << 28
"""After so much a copy that is watched is written to the disk: its last sync is not a long silence."""

TEMPORARY_SUFFIX = ".tmp"
"""What an unfinished file's name ends with, as in rust-fil-proofs."""


class TruncatedFile(OSError):
    """A file that does not have the size its kind must have."""


class DamagedFile(OSError):
    """A file whose content is not what was written."""


class DamagedCopy(OSError):
    """A copy that its disk gives back with another content than was written to it."""


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
            raise DamagedFile(f"{source} is damaged: its content differs from what was written")
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
    disk: str = ""
    """Which disk of this host it is; empty where folders of one cannot be told from those of another."""


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
    total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    return Space(total, free, bool(disk.f_flag & os.ST_RDONLY), str(folder.stat().st_dev))


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
        raise NotEnoughSpace(f"{folder}: {size_text(needed_bytes)} of disk needed, {size_text(free)} free")


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
