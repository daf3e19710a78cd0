"""Digests of a sector's large files, taken while they are written, checked before they are used.

They lie beside the cache folder, whose content stays exactly that of rust-fil-proofs; a folder that
came from elsewhere has none, and then there is nothing to check against.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import singledispatch
from hashlib import sha256
from pathlib import Path

from workers.storage.files import DamagedCopy, DamagedFile, write_file

READ_BYTES = 1 << 22
"""How much of a file is read at a time."""


def part_ignore() -> None:
    """Do nothing after a part: nobody asked to be told."""


def file_digest(path: Path, *, on_part: Callable[[], None] = part_ignore) -> str:
    """Return the SHA-256 of a file in hex; `on_part` is called after each part that is read."""
    digest = sha256()
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
            on_part()
    return digest.hexdigest()


def disk_digest(path: Path, *, on_part: Callable[[], None] = part_ignore) -> str:
    """Return the SHA-256 of what the disk has of a file, whatever memory has of it."""
    digest = sha256()
    for part in disk_parts(path):
        digest.update(part)
        on_part()
    return digest.hexdigest()


@singledispatch
def disk_parts(path: Path) -> Generator[bytes, None, None]:
    """Read what the disk has of a file; memory is not filled with it: proofs need the cache."""
    done, handle = 0, os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        while part := os.read(handle, READ_BYTES):
            os.posix_fadvise(handle, done, len(part), os.POSIX_FADV_DONTNEED)
            done += len(part)
            yield part
    finally:
        os.close(handle)


@singledispatch
def copy_check(copy: Path, digest: str, *, on_part: Callable[[], None] = part_ignore) -> None:
    """Raise DamagedCopy, with the copy removed, if the disk has another content of it."""
    if disk_digest(copy, on_part=on_part) != digest:
        copy.unlink()
        raise DamagedCopy(f"{copy} does not match what was written: check the disk")


class Checksums:
    """The digests of one sector's files, by name: those of its cache folder and the sealed file."""

    def __init__(self, cache: Path) -> None:
        self.path = cache.with_name(cache.name + ".sums")

    def read(self) -> dict[str, str]:
        """Return all digests; none if there is no such file.  Raises DamagedFile, OSError."""
        try:
            known = json.loads(self.path.read_text())
            return {str(name): str(digest) for name, digest in known.items()}
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (ValueError, AttributeError):
            raise DamagedFile(f"{self.path} is damaged: what it noted cannot be compared") from None

    def _read_whole(self) -> dict[str, str]:
        """Return all digests; none if the file is damaged, which is written anew."""
        try:
            return self.read()
        except DamagedFile:
            return {}

    def known(self, path: Path) -> str | None:
        """Return the digest of a file; None if nobody noted it, or what was noted is damaged."""
        return self._read_whole().get(path.name)

    def record(self, path: Path, digest: str) -> None:
        """Note the digest of a file that is about to get its name."""
        self.record_all({path: digest})

    def record_all(self, digests: Mapping[Path, str]) -> None:
        """Note the digests of files that are about to get their names."""
        self._write(self._read_whole() | {path.name: digest for path, digest in digests.items()})

    def forget(self, paths: Iterable[Path]) -> None:
        """Drop the digests of files that are deleted or will be written anew."""
        known, removed = self._read_whole(), {path.name for path in paths}
        if removed & known.keys():
            self._write({name: digest for name, digest in known.items() if name not in removed})

    def _write(self, digests: Mapping[str, str]) -> None:
        write_file(self.path, json.dumps(digests, indent=1).encode())

    def check(self, path: Path, *, on_part: Callable[[], None] = part_ignore) -> None:
        """Raise DamagedFile if the file's content is not the noted one, or what was noted is damaged."""
        known = self.read().get(path.name)
        if known is not None and file_digest(path, on_part=on_part) != known:
            raise DamagedFile(f"{path} is damaged: its content differs from what was written")
