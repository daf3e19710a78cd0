"""How much memory there is.

Of the machine's memory a process may have only a part: what its control groups (a container, a unit of
systemd) leave it.  Source: Linux, Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.storage.sizes import size_text

MEMORY_FILE: Final = Path("/proc/meminfo")
GROUPS_FILE: Final = Path("/proc/self/cgroup")
GROUPS_FOLDER: Final = Path("/sys/fs/cgroup")


class NotEnoughMemory(MemoryError):
    """The machine has too little free memory for what is about to run."""


def memory_bytes() -> int:
    """Return this machine's memory, or the part of it that our control groups allow."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *(group.limit for group in _groups())])


def available_bytes() -> int:
    """Return the memory that can be taken without swapping, and without leaving our control groups."""
    with suppress(OSError):
        for line in MEMORY_FILE.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
                return min([free, *(group.free for group in _groups())])
    return 1 << 62  # not Linux: nobody knows


def memory_check(needed_bytes: int, purpose: str) -> None:
    """Raise NotEnoughMemory unless `needed_bytes` are available."""
    available = available_bytes()
    if available < needed_bytes:
        text = f"{size_text(needed_bytes)} of memory needed, {size_text(available)} available"
        raise NotEnoughMemory(f"{purpose}: {text}")


@dataclass(frozen=True, slots=True)
class _Files:
    """Where a version of control groups keeps its figures."""

    limit: str
    used: str
    reclaimable: str
    """Key of `memory.stat`: pages of files that nobody has used lately, which are given up first."""


@dataclass(frozen=True, slots=True)
class _Group:
    """A control group that has a limit of memory."""

    limit: int
    free: int


_FIRST: Final = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_SECOND: Final = _Files("memory.max", "memory.current", "inactive_file")


def _groups() -> Iterator[_Group]:
    """Yield the groups that this process is in and that limit its memory, those above them too."""
    lines: list[str] = []
    with suppress(OSError):
        lines = GROUPS_FILE.read_text().splitlines()
    for line in lines:
        _, names, path = line.split(":", 2)
        if "memory" in names.split(","):
            root, files = GROUPS_FOLDER / "memory", _FIRST
        elif not names:
            root, files = GROUPS_FOLDER, _SECOND
        else:
            continue
        # a container sees its own group as the root, whatever its path is called
        within = root / path.lstrip("/")
        for folder in [within, *within.parents]:
            if folder.is_relative_to(root) and (group := _group(folder, files)):
                yield group


def _group(folder: Path, files: _Files) -> _Group | None:
    """Return a group's figures; None: it is not there, or has no limit."""
    try:
        limit = int((folder / files.limit).read_text())  # `max` in the second version
        used = int((folder / files.used).read_text())
        counts = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return _Group(limit, max(limit - used + int(counts.get(files.reclaimable, 0)), 0))
