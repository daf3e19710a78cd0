"""Where a host seals: its own sealing folder, one of its sealing stores, or of a damocles-worker's threads.

A sector stays in the folder that it began in.  `jobs/<job>/place` names it; where that is lost,
the sector's files do.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.wire.hardware import SealingFolder
from poolsite.wire.pipeline import PIPELINES, RUN_NEXT, WORKER_STAGES, SectorState
from poolsite.wire.sealing_rule_values import NEW_PLANS
from poolsite.wire.sealing_rules import SealingRules
from workers.agent.paths import REBUILD_STATES
from workers.agent.sealing_stores import SealingStores, root_of
from workers.stage_processors import SEALING
from workers.storage.answers import answered
from workers.storage.files import write_file
from workers.storage.sector import sector_name
from workers.storage.store import StoreAway
from workers.storage.store_mark import BadMark
from workers.storage.store_scan import sector_bytes

if TYPE_CHECKING:
    from poolsite.wire.job_inputs import SealInputs
    from workers.agent.journal import Journal
    from workers.host_settings import HostSettings
    from workers.stage_processors import Location

PLACE: Final = "place"
THREADS: Final = "sealing_threads.json"
"""In the host's folder: the sealing folders of threads that were seen, as each is on its disk."""
KINDS: Final = ("cache", "sealed", "unsealed", "update-cache", "update", "update-unsealed")
"""Folders of a sealing folder in which a sector has a file or folder of its name."""
GROWING: Final = tuple(spec.stage for spec in PIPELINES["Sealing"] if spec.grows)
"""Stages before whose end a sector has not written all that it will."""
PROMISED: Final = tuple(stage for stage, spec in WORKER_STAGES.items() if spec.grows)
"""The same of updates and rebuilds too."""
ROOM_TENTHS: Final = {"sealer": 162, "rebuild": 203, "snapup": 42}
"""Disk that a sector takes at most while it is worked on by a plan, in tenths of its size."""


class NoThread(Exception):
    """No sealing thread takes a sector by its rules."""


class SealingPlaces:
    """The sealing folders of a host; its processes share what the journal says."""

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        locations: Sequence[Location] = (),
        *,
        settings: HostSettings | None = None,
    ) -> None:
        self.own = folder / SEALING
        self.journal, self.locations = journal, tuple(locations)
        self.path = folder / THREADS
        self.settings = settings
        """Rules and plans of the threads; None: those of their file are obeyed, and no rules."""
        self._busy: set[str] = set()
        self._freed_at: dict[str, float] = {}
        """Threads that had a sector at the last look, and when others were seen to have none any more."""
        self.stores = SealingStores(folder)
        self.beside: Callable[[], Mapping[str, int]] = dict
        """Returns what sectors on their way into the host's attached stores were promised, by disk.

        No new sector gets that room.  Growing sectors keep none from finished ones, which must end first.
        """
        self._choosing = threading.Lock()

    def root(self, job_id: str, inputs: SealInputs) -> Path:
        """Return the sealing folder of a sector, chosen when it begins.  Raises StoreAway, NoThread."""
        if not self.is_divided:
            return self._named(job_id) or self.own
        with self._choosing:
            if (named := self._named(job_id)) is not None:
                return named
            name = sector_name(inputs.miner_id, inputs.number)
            found = next((root for root in self.all_roots() if _has(root, name)), None)
            root = found or self._chosen(inputs)
            with suppress(FileExistsError):
                root.mkdir()  # not its parents: nothing is written under a mount that is absent
            self.threads_note()
            folder = self.journal.folder(job_id)
            folder.mkdir(exist_ok=True)
            write_file(folder / PLACE, str(root).encode())
            return root

    @property
    def is_divided(self) -> bool:
        """Return whether sectors are sealed elsewhere than in the host's own folder."""
        return bool(self.locations or self.stores.attached())

    def threads_note(self) -> None:
        """Note the threads whose sealing folder is there.  Raises OSError."""
        seen = self._seen()
        if here := {str(one.root) for one in self.locations if _is_folder(one.root)} - seen:
            write_file(self.path, json.dumps(sorted(here | seen)).encode())

    def _seen(self) -> set[str]:
        try:
            return {str(root) for root in json.loads(self.path.read_text())}
        except (FileNotFoundError, ValueError, TypeError):
            return set()

    def thread_fault(self, one: Location) -> str:
        """Return why nothing can be sealed in a thread's folder, as under an absent mount; empty: it can."""
        if _is_folder(one.root):
            return ""
        if not _is_folder(Path(one.path)):
            return f"{one.path} is not a folder that its disk gives: is it mounted and healthy?"
        if str(one.root) not in self._seen():
            return ""
        return f"{one.root} is gone: is its disk mounted? If you replaced the disk, create that folder"

    def reported(self) -> dict[str, SealingFolder]:
        """Return the sealing stores, and the locations of threads that are away, as the console is told."""
        sectors = self.sectors_by_store()
        away = {one.path: fault for one in self.locations if (fault := self.thread_fault(one))}
        return self.stores.reported(sectors) | {
            path: SealingFolder(sectors=sectors.get(path, 0), reason=fault) for path, fault in away.items()
        }

    def _chosen(self, inputs: SealInputs) -> Path:
        """Return the folder for a sector that begins.  Raises StoreAway, NotEnoughSpace, BadInput."""
        if self.locations:
            return self._choose(inputs).root
        one = self.stores.choose(
            miner_id=inputs.miner_id,
            needs_bytes=room_of(inputs),
            promised=self._promised(),
            beside=self.beside(),
        )
        return root_of(one)

    def _promised(self) -> dict[str, int]:
        """Return what unfinished sectors have yet to write, by the path of their sealing store."""
        promised: dict[str, int] = {}
        for job_id in self.journal.unfinished_jobs():
            # A job without the file has no folder yet, or has just ended: it promises nothing.
            with suppress(FileNotFoundError):
                root = Path((self.journal.folder(job_id) / PLACE).read_text())
                work = self.journal.work_read(job_id)
                if work is None or work.inputs.stage not in PROMISED:
                    continue
                if self.stores.of_root(root) is not None:
                    name = sector_name(work.inputs.miner_id, work.inputs.number)
                    written = _written(root, name)
                    path = str(root.parent)
                    promised[path] = promised.get(path, 0) + max(room_of(work.inputs) - written, 0)
        return promised

    def sectors_by_store(self) -> dict[str, int]:
        """Return how many unfinished sectors each sealing store has, by its path."""
        return {str(Path(root).parent): count for root, count in self._sector_counts().items()}

    def roots(self, job_id: str) -> list[Path]:
        """Return the folders in which a sector may have files.  Raises StoreAway."""
        named = self._named(job_id)
        if named is None and (missing := self.missing()):
            raise StoreAway(
                f"{missing[0]} is not available and may contain files of the sector: is its disk mounted?"
            )
        return list(dict.fromkeys((*([named] if named else ()), *self.all_roots())))

    def rooms(self, room_bytes: int) -> int:
        """Return how many new sectors find a free thread or a sealing store with room on its disk."""
        if self.locations:
            return len(self.threads_free(room_bytes))
        return self.stores.rooms(room_bytes, self._promised(), self.beside())

    def threads_free(self, room_bytes: int) -> list[int]:
        """Return the numbers of the free threads that begin new sectors and have room on their disk."""
        sectors, free_ones = self._sector_counts(), list[int]()
        self._freed_note(sectors)
        owed = Counter(self.beside())
        for root, size in self.unwritten(room_bytes).items():
            # A disk that is away has no room to count either.
            with suppress(OSError):
                owed[str(os.stat(root).st_dev)] += size
        left: dict[str, int] = {}
        for one in self.locations:
            if self.plan(one) not in NEW_PLANS or str(one.root) in sectors or self._rests(one):
                continue
            if self.thread_fault(one):
                continue
            try:
                device, disk = str(os.stat(one.path).st_dev), os.statvfs(one.path)
            except OSError:
                continue  # away: its thread begins nothing until it is back
            free = left.get(device, disk.f_bavail * disk.f_frsize - owed[device])
            if free >= room_bytes:
                left[device] = free - room_bytes
                free_ones.append(one.number)
        return free_ones

    def plan(self, one: Location) -> str:
        """Return the plan that a thread has now."""
        return one.plan if self.settings is None else self.settings.plan(one.number)

    def rules(self, one: Location) -> SealingRules:
        """Return the rules that a thread obeys now."""
        return SealingRules() if self.settings is None else self.settings.rules(one.number)

    def rules_of_job(self, job_id: str) -> SealingRules:
        """Return the rules by which a sector is sealed that has its folder."""
        with suppress(FileNotFoundError):
            root = (self.journal.folder(job_id) / PLACE).read_text()
            for one in self.locations:
                if str(one.root) == root:
                    return self.rules(one)
        return SealingRules() if self.settings is None else self.settings.rules()

    def _freed_note(self, sectors: Mapping[str, int]) -> None:
        """Note since when threads have no sector any more; those of a start have been free for long."""
        for root in self._busy - sectors.keys():
            self._freed_at[root] = time.monotonic()
        self._busy = set(sectors)

    def _rests(self, one: Location) -> bool:
        freed = self._freed_at.get(str(one.root))
        return freed is not None and time.monotonic() - freed < self.rules(one).interval_s

    def unwritten(self, room_bytes: int) -> dict[Path, int]:
        """Return by sealing folder how much of their room its growing sectors have not written yet."""
        owed: Counter[Path] = Counter()
        for job_id in self.journal.unfinished_jobs():
            work = self.journal.work_read(job_id)
            if work is None or work.inputs.stage not in GROWING:
                continue
            with suppress(OSError):
                root = self._named(job_id) or self.own
                name = sector_name(work.inputs.miner_id, work.inputs.number)
                owed[root] += max(room_bytes - _written(root, name), 0)
        return owed

    def missing(self) -> list[str]:
        """Return the locations that are no folders."""
        stores = [one.path for one in self.stores.attached() if not one.is_here]
        return [*stores, *(one.path for one in self.locations if self.thread_fault(one))]

    def _named(self, job_id: str) -> Path | None:
        """Return the folder that the journal names.  Raises StoreAway."""
        try:
            root = Path((self.journal.folder(job_id) / PLACE).read_text())
        except FileNotFoundError:
            return None
        if not self.is_there(root):
            raise StoreAway(
                f"{root}, which contains the sector's files, is not available: is its disk mounted?"
            )
        return root

    def is_there(self, root: Path) -> bool:
        """Return whether a sealing folder is there, on the disk that it was on."""
        one = self.stores.of_root(root)
        if one is None:
            return _is_folder(root)
        try:
            return one.read(lambda _: root.is_dir())
        except (OSError, BadMark):
            return False

    def all_roots(self) -> list[Path]:
        """Return all sealing folders, whether they are there or not."""
        return list(dict.fromkeys((self.own, *(one.root for one in self.locations), *self.stores.roots())))

    def _sector_counts(self) -> dict[str, int]:
        """Return how many unfinished sectors each sealing folder has."""
        counts: dict[str, int] = {}
        for job_id in self.journal.unfinished_jobs():
            with suppress(FileNotFoundError):
                root = (self.journal.folder(job_id) / PLACE).read_text()
                counts[root] = counts.get(root, 0) + 1
        return counts

    def _choose(self, inputs: SealInputs) -> Location:
        """Return a thread for a sector: free if there is one, of its plan if there is one.

        A new sector gets one whose rules take it.  Raises StoreAway, NoThread.
        """
        plan = plan_of(inputs)
        there = [one for one in self.locations if not self.thread_fault(one)]
        if not there:
            paths = ", ".join(one.path for one in self.locations)
            raise StoreAway(f"no sealing thread's location is available ({paths}): are their disks mounted?")
        if inputs.state == SectorState.ALLOCATED:
            there = [one for one in there if takes(self.rules(one), inputs)]
            if not there:
                raise NoThread("no sealing thread's rules allow this sector")
        sectors = self._sector_counts()
        return min(there, key=lambda one: (sectors.get(str(one.root), 0), not _fits(self.plan(one), plan)))


def plan_of(inputs: SealInputs) -> str:
    """Return the plan by which a sector is worked on, in a damocles-worker's words."""
    if inputs.state in REBUILD_STATES:
        return "rebuild"
    return "snapup" if inputs.state in RUN_NEXT else "sealer"


def takes(rules: SealingRules, inputs: SealInputs) -> bool:
    """Return whether a sector is begun by these rules."""
    deals = [piece.size for piece in inputs.pieces if piece.payload_size] if inputs.pieces else None
    return rules.takes.takes(miner_id=inputs.miner_id, sector_size=inputs.sector_size, deals=deals)


def _fits(plan: str, wanted: str) -> bool:
    return plan == wanted or (wanted == "sealer" and plan in NEW_PLANS)


def room_of(inputs: SealInputs) -> int:
    """Return the disk that a sector takes at most while it is worked on."""
    return inputs.sector_size * ROOM_TENTHS[plan_of(inputs)] // 10


def _is_folder(path: Path) -> bool:
    """Return whether this is a folder; not where its disk is shut down or does not answer."""
    try:
        return answered(str(path), lambda _: path.is_dir())
    except OSError:
        return False


def _written(root: Path, name: str) -> int:
    try:
        return answered(str(root.parent), lambda _: sector_bytes(root, name))
    except OSError:
        return 0


def _has(root: Path, name: str) -> bool:
    try:
        return answered(str(root.parent), lambda _: any((root / kind / name).exists() for kind in KINDS))
    except OSError:
        return False
