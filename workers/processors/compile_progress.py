"""How far a kernel child has compiled what its stages need, in a small file that its host reads.

The first line of a child says only that it is ready; a host wants to show how far it is, and to claim
no job of a stage before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from poolsite.wire.hardware import ProofsTrial, TreesTrial
from workers.storage.files import temporary_name

Trial = TypeVar("Trial", TreesTrial, ProofsTrial)

COMPILE_PROGRESS_VARIABLE = "POOLSITE_COMPILE_PROGRESS_FILE"
"""Environment variable of a child: where it says how far it is; unset: to nobody."""

TRIALS_VARIABLE = "POOLSITE_TRIALS_FOLDER"
"""Environment variable of every child of ours: the folder in which files say what it found of a card."""
TREES_FILE, GROTH16_FILE = "trees.json", "groth16.json"
"""Names of the files with the trials of a card: at trees, and at Groth16 proofs."""


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


def progress_write(path: Path, progress: CompileProgress | TreesTrial | ProofsTrial) -> None:
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
        for file in (path, path.with_name(TREES_FILE), path.with_name(GROTH16_FILE)):
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

    def trials(self) -> tuple[TreesTrial | None, ProofsTrial | None]:
        """Return what a child found of a card at trees and at proofs; None: no card, or not tried yet."""
        return self._found(TREES_FILE, TreesTrial), self._found(GROTH16_FILE, ProofsTrial)

    def _found(self, name: str, kind: type[Trial]) -> Trial | None:
        try:
            return msgspec.json.decode(self.path.with_name(name).read_bytes(), type=kind)
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
            return None

    def uncompiled_stages(self) -> frozenset[str]:
        """Return the stages that must not be claimed yet."""
        return frozenset() if self.read().is_complete else self.stages
