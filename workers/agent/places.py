"""Where a host seals: its own sealing folder, or one for each sealing thread of a damocles-worker's file.

A sector stays in the folder that it began in.  `jobs/<job>/place` names it; where that is lost,
the sector's files do.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.wire.pipeline import RUN_NEXT, Stage
from workers.agent.paths import REBUILD_STATES
from workers.stage_processors import SEALING
from workers.storage.files import write_file
from workers.storage.sector import sector_name
from workers.storage.store import StoreAway
from workers.storage.store_check import sector_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poolsite.wire.jobs import SealInputs
    from workers.agent.journal import Journal
    from workers.stage_processors import Location

PLACE: Final = "place"
KINDS: Final = ("cache", "sealed", "unsealed", "update-cache", "update", "update-unsealed")
"""Folders of a sealing folder in which a sector has a file or folder of its name."""
GROWING: Final = (Stage.ADD_PIECE, Stage.TREE_D, Stage.PC1, Stage.PC2)
"""Stages before whose end a sector has not written all that it will."""
NEW_PLANS: Final = ("sealer", "niporep")


class SealingPlaces:
    """The sealing folders of a host; its processes share what the journal says."""

    def __init__(self, folder: Path, journal: Journal, locations: Sequence[Location] = ()) -> None:
        self.own = folder / SEALING
        self.journal, self.locations = journal, tuple(locations)
        self._choosing = threading.Lock()

    def root(self, job_id: str, inputs: SealInputs) -> Path:
        """Return the sealing folder of a sector, chosen when it begins.  Raises StoreAway."""
        if not self.locations:
            return self._named(job_id) or self.own
        with self._choosing:
            if (named := self._named(job_id)) is not None:
                return named
            name = sector_name(inputs.miner_id, inputs.number)
            found = next((root for root in self._all() if _has(root, name)), None)
            root = found or self._choose(plan_of(inputs)).root
            with suppress(FileExistsError):
                root.mkdir()  # not its parents: nothing is written under a mount that is absent
            folder = self.journal.folder(job_id)
            folder.mkdir(parents=True, exist_ok=True)
            write_file(folder / PLACE, str(root).encode())
            return root

    def roots(self, job_id: str) -> list[Path]:
        """Return the folders in which a sector may have files.  Raises StoreAway."""
        named = self._named(job_id)
        if named is None and (missing := self.missing()):
            raise StoreAway(
                f"{missing[0]} is not there, and may have files of the sector: is its disk mounted?"
            )
        return list(dict.fromkeys((*([named] if named else ()), *self._all())))

    def rooms(self, room_bytes: int) -> int:
        """Return how many new sectors find a free thread with room on its disk."""
        taken, rooms = self._taken(), 0
        owed: Counter[int] = Counter()
        for root, size in self.unwritten(room_bytes).items():
            with suppress(OSError):
                owed[os.stat(root).st_dev] += size
        left: dict[int, int] = {}
        for one in self.locations:
            if one.plan not in NEW_PLANS or str(one.root) in taken:
                continue
            try:
                device, disk = os.stat(one.path).st_dev, os.statvfs(one.path)
            except OSError:
                continue
            free = left.get(device, disk.f_bavail * disk.f_frsize - owed[device])
            if free >= room_bytes:
                left[device], rooms = free - room_bytes, rooms + 1
        return rooms

    def unwritten(self, room_bytes: int) -> dict[Path, int]:
        """Return by sealing folder how much of their room its growing sectors have not written yet."""
        owed: Counter[Path] = Counter()
        for job_id in self.journal.unfinished_jobs():
            work = self.journal.work_read(job_id)
            if work is None or work.inputs.stage not in GROWING:
                continue
            with suppress(StoreAway):
                root = self._named(job_id) or self.own
                name = sector_name(work.inputs.miner_id, work.inputs.number)
                owed[root] += max(room_bytes - sector_bytes(root, name), 0)
        return owed

    def missing(self) -> list[str]:
        """Return the locations that are no folders."""
        return [one.path for one in self.locations if not Path(one.path).is_dir()]

    def _named(self, job_id: str) -> Path | None:
        """Return the folder that the journal names.  Raises StoreAway."""
        try:
            root = Path((self.journal.folder(job_id) / PLACE).read_text())
        except FileNotFoundError:
            return None
        if not root.is_dir():
            raise StoreAway(f"{root} is not there, and the sector's files lie in it: is its disk mounted?")
        return root

    def _all(self) -> list[Path]:
        return list(dict.fromkeys((self.own, *(one.root for one in self.locations))))

    def _taken(self) -> dict[str, int]:
        """Return how many unfinished sectors each sealing folder has."""
        taken: dict[str, int] = {}
        for job_id in self.journal.unfinished_jobs():
            with suppress(FileNotFoundError):
                root = (self.journal.folder(job_id) / PLACE).read_text()
                taken[root] = taken.get(root, 0) + 1
        return taken

    def _choose(self, plan: str) -> Location:
        """Return a thread for a sector: free if there is one, of its plan if there is one."""
        there = [one for one in self.locations if Path(one.path).is_dir()]
        if not there:
            paths = ", ".join(one.path for one in self.locations)
            raise StoreAway(f"no location of a sealing thread is there ({paths}): are their disks mounted?")
        taken = self._taken()
        return min(there, key=lambda one: (taken.get(str(one.root), 0), not _fits(one.plan, plan)))


def plan_of(inputs: SealInputs) -> str:
    """Return the plan by which a sector is worked on, in a damocles-worker's words."""
    if inputs.state in REBUILD_STATES:
        return "rebuild"
    return "snapup" if inputs.state in RUN_NEXT else "sealer"


def _fits(plan: str, wanted: str) -> bool:
    return plan == wanted or (wanted == "sealer" and plan in NEW_PLANS)


def _has(root: Path, name: str) -> bool:
    return any((root / kind / name).exists() for kind in KINDS)
