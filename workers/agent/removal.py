"""Removing what a sector that is over has left on this host, because the console asks for it.

`jobs/<job>/removed` is written first: a stage that runs ends, none begins again, and a kill in between leaves
a job that is known to be over.  The mark stays, all else goes.

What a sector leaves that another job begins again is put aside by renaming, while no job begins: this host
may be the one that begins it, and the new files have the same names.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from workers.agent.places import KINDS
from workers.storage.answers import COPY_S
from workers.storage.files import TEMPORARY_SUFFIX
from workers.storage.sector import sector_name
from workers.storage.store import StoreAway, path_remove
from workers.storage.sums import SUMS, SectorSums

if TYPE_CHECKING:
    from poolsite.wire.commands import Command
    from workers.agent.journal import Journal
    from workers.agent.places import SealingPlaces
    from workers.storage.attachment import Attachment
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

CHECK_S: Final = 1.0
"""Patience for the stage that runs, before its lock is tried again."""


@dataclass(frozen=True, slots=True)
class AbortedSector:
    """What a command to remove names."""

    job_id: str
    miner_id: int
    number: int
    keeps_store: bool = False
    """What was begun over a sector that is proven: of its stores only half copies are removed."""


def aborted_sector(args: dict[str, str]) -> AbortedSector:
    """Read what a command names.  Raises KeyError, ValueError."""
    return AbortedSector(
        str(uuid.UUID(args["job"])), int(args["miner_id"]), int(args["number"]), "keeps_store" in args
    )


def stage_end(journal: Journal, command: Command) -> bool:
    """End what computes a job's stage; return that the command is carried out."""
    try:
        job_id, token = str(uuid.UUID(command.args["job"])), int(command.args["token"])
    except (KeyError, ValueError) as error:
        log.error("end_stage_not_understood", args=command.args, reason=repr(error))
    else:
        journal.stage_end(job_id, token=token)
    return True


class Removals:
    """Removes aborted sectors' files in a thread of its own: half a TiB takes a while."""

    def __init__(self, *, places: SealingPlaces, stores: Stores, journal: Journal) -> None:
        self.places, self.stores, self.journal = places, stores, journal
        self._is_stopped = threading.Event()
        self._lock = threading.Lock()
        self._bytes: dict[str, int] = {}
        """Of the sectors whose files are being removed, by job."""
        self._done: set[str] = set()
        """Commands that were carried out: another one for the same sector is for a store that came since."""

    @property
    def bytes_left(self) -> int:
        """Return the bytes of the files that are being removed."""
        with self._lock:
            return sum(self._bytes.values())

    def stop(self) -> None:
        """Stop; the rest is removed at the next start, when the console asks again."""
        self._is_stopped.set()

    def remove(self, command: Command) -> bool:
        """Return whether the files of a sector are gone; if they are not, they are being removed."""
        try:
            sector = aborted_sector(command.args)
        except (KeyError, ValueError) as error:
            log.error("removal_not_understood", args=command.args, reason=repr(error))
            return True
        with self._lock:
            if command.id in self._done:
                return True
            if sector.job_id in self._bytes:
                return False
            self._bytes[sector.job_id] = 0
        threading.Thread(target=self._work, args=(sector, command.id), name="removal", daemon=True).start()
        return False

    def _work(self, sector: AbortedSector, command: str) -> None:
        try:
            if self._remove(sector):
                with self._lock:
                    self._done.add(command)
        except OSError as error:  # a store that is away: asked for again with the next heartbeat
            log.warning("files_not_removed", job=sector.job_id, reason=str(error)[:200])
        with self._lock:
            self._bytes.pop(sector.job_id, None)

    def _remove(self, sector: AbortedSector) -> bool:
        """Remove what is there; return whether nothing is left.  Raises OSError."""
        self.journal.removed_write(sector.job_id)
        while not self._is_stopped.is_set():
            with self.journal.at_work(sector.job_id, patience_s=CHECK_S) as is_own:
                if not is_own:
                    continue
                if sector.keeps_store:
                    name = sector_name(sector.miner_id, sector.number)
                    for root in self.places.roots(sector.job_id):
                        self.stores.apart_check(root, name)
                    self._put_aside(sector)
                away = self._away(sector)
                found = self._doomed(sector)
                with self._lock:
                    self._bytes[sector.job_id] = size = sum(map(bytes_of, found))
                for path in found:
                    path_remove(path)
                if left := self._doomed(sector):
                    raise OSError(f"{left[0]} cannot be removed")
                if sector.keeps_store:
                    self._unfinished_remove(sector)
                if away := away or self._away(sector):  # what seals has its room back meanwhile
                    raise StoreAway(
                        f"store {away[0].name} is unavailable and may contain files of the sector"
                    )
                self.stores.release(sector.job_id)
                self.journal.clear(sector.job_id)
                log.info("files_removed", job=sector.job_id, sector=sector.number, bytes=size)
                return True
        return False

    def _put_aside(self, sector: AbortedSector) -> None:
        """Rename what a sector has in the sealing folders, unless another job here works on it by now.

        Raises OSError.
        """
        with self.journal.no_job_begins:
            if any(self._is_of(job_id, sector) for job_id in self.journal.unfinished_jobs()):
                log.info("files_left_to_another_job", job=sector.job_id, sector=sector.number)
                return
            for path in self.files(sector):
                path.rename(path.with_name(f"{sector.job_id}.{path.name}"))

    def _is_of(self, job_id: str, sector: AbortedSector) -> bool:
        """Return whether another job is of a sector."""
        work = None if job_id == sector.job_id else self.journal.work_read(job_id)
        return work is not None and (work.inputs.miner_id, work.inputs.number) == (
            sector.miner_id,
            sector.number,
        )

    def _doomed(self, sector: AbortedSector) -> list[Path]:
        """Return the files and folders that are removed.  Raises StoreAway."""
        if not sector.keeps_store:
            return self.files(sector)
        roots = self.places.roots(sector.job_id)
        folders = [root / kind for root in roots for kind in (*KINDS, SUMS)]
        return [path for folder in folders for path in folder.glob(f"{sector.job_id}.*")]

    def _unfinished_remove(self, sector: AbortedSector) -> None:
        """Remove what a copy that was killed has left in stores, beside what stays there.  Raises OSError."""
        name = sector_name(sector.miner_id, sector.number)
        folders = [one.store.root / kind for one in self.stores.here() if not one.is_bucket for kind in KINDS]
        for folder in folders:
            for path in (folder / f"{name}{TEMPORARY_SUFFIX}", *(folder / name).glob(f"*{TEMPORARY_SUFFIX}")):
                with suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime < COPY_S:  # another host may have begun it again
                        raise StoreAway(f"{path} was written to lately: it is removed once that has ended")
                    path.unlink()

    def _away(self, sector: AbortedSector) -> list[Attachment]:
        """Return the stores that may have files of a sector and cannot be read now."""
        return [] if sector.keeps_store else self.stores.away()

    def files(self, sector: AbortedSector) -> list[Path]:
        """Return the files and folders of a sector in the sealing folders and in the stores.

        Raises StoreAway.
        """
        name, sealing = sector_name(sector.miner_id, sector.number), self.places.roots(sector.job_id)
        stored = () if sector.keeps_store else tuple(one.store.root for one in self.stores.here())
        roots = (*sealing, *stored)
        paths = [root / kind / name for root in roots for kind in KINDS]
        paths += [SectorSums(root, name).path for root in roots]
        paths += [root / kind / f"{name}.tmp" for root in stored for kind in KINDS]
        # Labels of another ticket that were put aside, half a replica; the dot keeps sector 50 out of 5.
        paths += [path for root in sealing for kind in KINDS for path in root.glob(f"{kind}/{name}.*")]
        return [path for path in paths if path.exists()]


def bytes_of(path: Path) -> int:
    """Return the bytes that a file, or all files of a folder, take on the disk."""
    return sum(_allocated(file) for file in ((path,) if path.is_file() else _files_of(path)))


def _files_of(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _allocated(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_blocks * 512
    return 0
