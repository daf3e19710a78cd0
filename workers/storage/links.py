"""Links by which two folders of sectors are one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from workers.storage.files import DamagedFile
from workers.storage.used import SECTOR_KINDS


def apart_check(root: Path, other: Path, name: str) -> None:
    """Raise DamagedFile if two stores have one folder, by a link: removing from one would take both."""
    if type(root) is not type(other):  # a folder and a bucket share nothing
        return
    for part in ("", *SECTOR_KINDS, *(f"{kind}/{name}" for kind in SECTOR_KINDS)):
        with suppress(FileNotFoundError, NotADirectoryError):
            if (root / part).samefile(other / part):
                raise DamagedFile(
                    f"{root / part} and {other / part} are one folder: the stores share it through a link"
                )
