"""What sectors take in a store: measured sector by sector and remembered, as it is looked at often."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Final

SECTOR_KINDS: Final = ("sealed", "cache", "update", "update-cache", "unsealed")
"""Folders of a store."""
PIECES: Final = "piece"
"""Folder of raw client data that Curio and lotus put into a store: no sector's, and counted."""
MEASURE_S: Final = 2.0
"""Longest time that one look measures; what it did not come to counts as the average, and comes next."""
SETTLED_S: Final = 600.0
"""What nobody has written to for so long is not measured at each look."""
AGAIN_S: Final = 3600.0
"""So often everything is measured again."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A file, or a folder with all that is in it."""

    inode: int
    size: int
    at: float
    """When, by the monotonic clock."""
    is_settled: bool


class UsedBytes:
    """The sums of all stores of a worker."""

    def __init__(self) -> None:
        self._known: dict[Path, dict[tuple[str, str], Measured]] = {}
        self._locks: dict[Path, threading.Lock] = {}
        """One for each store: one that hangs holds up no other."""

    def of(self, root: Path, *, measure_s: float = MEASURE_S, is_anew: bool = False) -> int:
        """Return the bytes that sectors take in a store; of a bucket as listed lately, unless anew.

        Raises OSError if a bucket does not answer.
        """
        if (listed := listed_bytes(root, is_anew=is_anew)) is not None:
            return listed
        with self._locks.setdefault(root, threading.Lock()):
            known, found = self._known.get(root, {}), dict[tuple[str, str], Measured]()
            started = time.monotonic()
            left_out: Counter[str] = Counter()
            kinds: set[str] = set()
            for kind, entry in _entries(root):
                key = kind, entry.name
                one = known.get(key)
                if one is not None and one.inode != entry.inode():
                    one = None
                if one is None or not one.is_settled or started - one.at > AGAIN_S:
                    if time.monotonic() - started < measure_s or kind not in kinds:
                        one = _measured(entry)
                    elif one is None:
                        left_out[kind] += 1
                        continue
                found[key] = one
                kinds.add(kind)
            self._known[root] = found
            return sum(one.size for one in found.values()) + _average_sum(found, left_out)


@singledispatch
def listed_bytes(_root: Path, *, is_anew: bool) -> int | None:  # noqa: ARG001  # buckets remember
    """Return the bytes of all sectors' files where one listing tells them; None: each is measured."""
    return None


def _entries(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    for kind in (*SECTOR_KINDS, PIECES):
        with suppress(OSError), os.scandir(root / kind) as entries:
            for entry in entries:
                yield kind, entry


def _measured(entry: os.DirEntry[str]) -> Measured:
    size, newest = 0, 0.0
    folders = [Path(entry.path)] if entry.is_dir(follow_symlinks=False) else []
    if not folders:
        with suppress(OSError):
            facts = entry.stat(follow_symlinks=False)
            size, newest = facts.st_blocks * 512, facts.st_mtime
    while folders:
        # Removed or moved while it was measured: the next pass measures it.
        with suppress(OSError):
            folder = folders.pop()
            newest = max(newest, folder.stat().st_mtime)
            for file in os.scandir(folder):
                if file.is_dir(follow_symlinks=False):
                    folders.append(Path(file.path))
                else:
                    facts = file.stat(follow_symlinks=False)
                    size, newest = size + facts.st_blocks * 512, max(newest, facts.st_mtime)
    return Measured(entry.inode(), size, time.monotonic(), time.time() - newest > SETTLED_S)


def _average_sum(found: dict[tuple[str, str], Measured], left_out: Counter[str]) -> int:
    """Return what those that were not measured take, if each takes what others of its kind do."""
    total = 0
    for kind, count in left_out.items():
        sizes = [one.size for (of, _), one in found.items() if of == kind]
        total += count * sum(sizes) // max(len(sizes), 1)
    return total
