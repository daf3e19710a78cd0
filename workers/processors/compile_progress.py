"""How far a kernel child has compiled what its stages need, in a small file that its host reads.

The first line of a child says only that it is ready; a host wants to show how far it is, and to claim
no job of a stage before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from poolsite.wire.hardware import TreesTrial
from workers.storage.files import temporary_name

COMPILE_PROGRESS_VARIABLE = "POOLSITE_COMPILE_PROGRESS_FILE"
"""Environment variable of a child: where it says how far it is; unset: to nobody."""

TREES_VARIABLE = "POOLSITE_TREES_FILE"
"""Environment variable of every child of ours: where one that makes trees says what it found of a card."""


@dataclass(frozen=True, slots=True)
class CompileProgress:
    """Kernels that are compiled or loaded, of those that are needed."""

    done: int = 0
    total: int = 1

    @property
    def is_complete(self) -> bool:
        """Return whether every stage can run at full speed."""
        return self.done >= self.total


NOT_STARTED = CompileProgress()
"""Nobody has said anything yet."""


def trees_path(compiling: Path) -> Path:
    """Return the file in which children say what they found of a card, beside that of their progress."""
    return compiling.with_name("trees.json")


def progress_write(path: Path, progress: CompileProgress | TreesTrial) -> None:
    """Write what a child says; nothing if its host has no such file: its folder is gone, or another one."""
    if not path.exists():
        return
    fresh = temporary_name(path)  # in one step: a reader never sees half of it
    fresh.write_bytes(msgspec.json.encode(progress))
    os.replace(fresh, path)


class HostCompileProgress:
    """What a host knows of its child."""

    def __init__(self, path: Path, stages: Sequence[str]) -> None:
        self.path = path
        self.stages = frozenset(stage.upper() for stage in stages)
        """Stages that need kernels of ours."""
        self._known = NOT_STARTED
        for file in (path, trees_path(path)):
            file.write_bytes(b"")  # whatever an earlier start said; an empty file fits on a full disk

    def read(self) -> CompileProgress:
        """Return what the child wrote last; a host without stages of ours has nothing to compile.

        Where the host's folder cannot be read, what was known stays: the kernels are in the child's memory.
        """
        if not self.stages:
            return CompileProgress(1, 1)
        try:
            self._known = msgspec.json.decode(self.path.read_bytes(), type=CompileProgress)
        except OSError:
            pass
        except msgspec.MsgspecError:
            self._known = NOT_STARTED
        return self._known

    def trees(self) -> TreesTrial | None:
        """Return what a child found of a card; None: there is none, or it was not tried yet."""
        try:
            return msgspec.json.decode(trees_path(self.path).read_bytes(), type=TreesTrial)
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
            return None

    def uncompiled_stages(self) -> frozenset[str]:
        """Return the stages that must not be claimed yet."""
        return frozenset() if self.read().is_complete else self.stages
