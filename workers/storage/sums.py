"""The sums of a sector's files, recorded in its store when they are made or first read.

They lie beside the files, in `sums/s-t01000-7.json`, and so move with the disk.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.storage.files import write_file

SUMS: Final = "sums"
"""Folder of a store."""


@dataclass(frozen=True, slots=True)
class FileSum:
    """What a file was when it was made or first read."""

    size: int
    digest: str
    """SHA-256 in hex."""


class SectorSums:
    """The recorded sums of one sector's files, by their names below the store's root."""

    def __init__(self, root: Path, name: str) -> None:
        self.path = root / SUMS / f"{name}.json"

    def read(self) -> dict[str, FileSum]:
        """Return all sums; none if nothing was recorded, or by somebody else."""
        try:
            known = json.loads(self.path.read_text())
            return {str(name): FileSum(int(one["size"]), str(one["sha256"])) for name, one in known.items()}
        except (FileNotFoundError, NotADirectoryError, ValueError, AttributeError, KeyError, TypeError):
            return {}

    def record(self, sums: Mapping[str, FileSum]) -> None:
        """Write sums beside those that are known.  Raises OSError."""
        if sums:
            self._write(self.read() | dict(sums))

    def forget(self, names: Collection[str] = (), *, folders: Collection[str] = ()) -> None:
        """Drop the sums of files that go or are written anew, and of all in these folders of the store."""
        known = self.read()
        stored = {
            name: one
            for name, one in known.items()
            if name not in names and name.partition("/")[0] not in folders
        }
        if not stored:
            self.remove()
        elif stored != known:
            self._write(stored)

    def remove(self) -> None:
        """Remove the record of a sector that leaves the store."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self.path.unlink()

    def _write(self, sums: Mapping[str, FileSum]) -> None:
        self.path.parent.mkdir(exist_ok=True)
        facts = {name: {"size": one.size, "sha256": one.digest} for name, one in sorted(sums.items())}
        write_file(self.path, json.dumps(facts, indent=1).encode())
