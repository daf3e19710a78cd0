"""Files of an earlier run of a stage that are not what was written: found, so that they are made again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from workers.processors.parallel import parallel_for
from workers.storage.checksums import Checksums, part_ignore
from workers.storage.files import DamagedFile


def damaged_of(
    cache: Path, paths: Sequence[Path], *, on_part: Callable[[], None] = part_ignore
) -> list[Path]:
    """Return which of a sector's files have another content than its sums say.

    `on_part` is called from several threads while they are read.  Raises OSError.
    """
    sums = Checksums(cache)
    found: list[Path] = []

    def check(first: int, end: int) -> None:
        for path in paths[first:end]:
            try:
                sums.check(path, on_part=on_part)
            except DamagedFile:
                found.append(path)

    parallel_for(check, len(paths), size=1)
    return found
