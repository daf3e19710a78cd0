"""Sectors in the sealing folders that no job of this host knows: told to the console, removed on its order.

What is to go is put aside by renaming first, so a sector that begins anew never loses a file of its own; what
was put aside when the host was killed goes at its next look.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.wire.hosts import LEFTOVERS_MAX, SealingLeftover
from workers.agent.places import KINDS
from workers.agent.removal import bytes_of
from workers.storage.answers import answered
from workers.storage.files import DamagedFile, names_in
from workers.storage.sector import sector_name
from workers.storage.store import NAME, StoreAway, path_remove
from workers.storage.sums import SectorSums

if TYPE_CHECKING:
    from poolsite.wire.commands import Command
    from workers.agent.journal import Journal
    from workers.agent.places import SealingPlaces
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

CHECK_S: Final = 60.0
"""Pause between two looks."""
ASIDE: Final = "removing"
"""In a sealing folder: what is put aside to be removed."""


class JournalUnread(Exception):
    """The record of a job cannot be read: its sector is not known."""


class SealingLeftovers:
    """Looks for leftovers and removes them, in threads of its own."""

    def __init__(self, *, places: SealingPlaces, stores: Stores, journal: Journal) -> None:
        self.places, self.stores, self.journal = places, stores, journal
        self.unknown_jobs: Callable[[], frozenset[str]] = frozenset
        """Jobs of the journal that the console never had, as where a host came from another pool."""
        self._found: tuple[SealingLeftover, ...] | None = None
        self._orders: dict[str, str | None] = {}
        """By command: None while it is carried out, then why it could not be; empty: it was."""
        self._lock, self._aside = threading.Lock(), threading.Lock()
        self._wanted = threading.Event()
        self._is_stopped = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._work, name="leftovers", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._is_stopped.set()
        self._wanted.set()

    def reported(self) -> tuple[SealingLeftover, ...] | None:
        """Return what was found last; None before the first look."""
        with self._lock:
            return self._found

    def read(self) -> None:
        """Look once; folders that are away, and all where a record is broken, say nothing."""
        found: list[SealingLeftover] = []
        with suppress(JournalUnread):
            known = self._known()
            for root in self._roots():
                with suppress(OSError):
                    found += answered(str(root.parent), partial(self._of, root, known))
        found.sort(key=lambda one: (-one.size, one.folder, one.miner_id, one.number))
        with self._lock:
            self._found = tuple(found[:LEFTOVERS_MAX])

    def order(self, command: Command) -> str | None:
        """Return whether an order was carried out: None while it is, why not, or nothing."""
        with self._lock:
            if command.id in self._orders:
                done = self._orders[command.id]
                if done:
                    del self._orders[command.id]
                return done
            self._orders[command.id] = None
        threading.Thread(target=self._carry_out, args=(command,), name="leftover", daemon=True).start()
        return None

    def _work(self) -> None:
        while not self._is_stopped.is_set():
            try:
                self.read()
            except Exception:  # whatever lies there: the next look tries again
                log.exception("leftovers_not_looked_for")
            self._wanted.wait(CHECK_S)
            self._wanted.clear()

    def _roots(self) -> list[Path]:
        return [
            root
            for root in self.places.all_roots()
            if self.places.is_there(root) and not self._is_shared(root)
        ]

    def _is_shared(self, root: Path) -> bool:
        """Return whether a store has the same folder: there a scan of the store tells what is left."""
        stores = (one.store.root for one in self.stores.here())
        return any(root in (one, *one.parents) for one in stores if type(one) is type(root))

    def _of(self, root: Path, known: frozenset[str], _beat: Callable[[], None]) -> list[SealingLeftover]:
        with self._aside:
            path_remove(root / ASIDE)
        paths: dict[tuple[int, int], list[Path]] = defaultdict(list)
        for kind in KINDS:
            with suppress(FileNotFoundError, NotADirectoryError):
                for entry in names_in(root / kind):
                    one = NAME.match(entry)
                    # Behind a dot: labels of another ticket that were put aside, and what is half written.
                    is_sectors = one is not None and entry[one.end() : one.end() + 1] in ("", ".")
                    if one is not None and is_sectors and one[0] not in known:
                        paths[int(one[1]), int(one[2])].append(root / kind / entry)
        return [
            SealingLeftover(
                miner_id=miner_id, number=number, folder=str(root), size=sum(map(bytes_of, sector_paths))
            )
            for (miner_id, number), sector_paths in sorted(paths.items())
        ]

    def _known(self) -> frozenset[str]:
        """Return the names of the sectors of all jobs that the console may want.  Raises JournalUnread."""
        names, unknown = set(), self.unknown_jobs()
        for job_id in self.journal.unfinished_jobs():
            if job_id in unknown:
                continue
            work = self.journal.work_read(job_id)
            if work is not None:
                names.add(sector_name(work.inputs.miner_id, work.inputs.number))
            elif job_id in self.journal.unfinished_jobs():
                raise JournalUnread(job_id)
        return frozenset(names)

    def _carry_out(self, command: Command) -> None:
        try:
            fault = self._remove(command.args)
        except (KeyError, ValueError) as error:
            fault = f"the command cannot be read: {error!r}"
        except (OSError, DamagedFile, JournalUnread) as error:
            fault = str(error) or repr(error)
        self.read()
        with self._lock:
            self._orders[command.id] = fault
        log.info("leftover_removed" if not fault else "leftover_stays", args=command.args, reason=fault)

    def _remove(self, args: dict[str, str]) -> str:
        """Remove a sector's files from one sealing folder; return why not, or nothing.

        Raises KeyError, ValueError, OSError, DamagedFile, JournalUnread.
        """
        root, name = Path(args["folder"]), sector_name(int(args["miner_id"]), int(args["number"]))
        if root not in self._roots():
            return f"{root} is not a sealing folder of this host at the moment: is its disk mounted?"
        if away := self.stores.away():
            raise StoreAway(f"store {away[0].name} is unavailable and may share files with {root}")
        self.stores.apart_check(root, name)
        with self._aside, self.journal.no_job_begins:
            path_remove(root / ASIDE)
            if name in self._known():
                return "a job on this host is working on the sector"
            for job_id in self.unknown_jobs():
                work = self.journal.work_read(job_id)
                if work is None or sector_name(work.inputs.miner_id, work.inputs.number) != name:
                    continue
                if self.journal.is_worked_on(job_id):
                    return "a process on this host is still working on the sector"
                self.journal.forget(job_id)
            (root / ASIDE).mkdir(exist_ok=True)
            for path in files_of(root, name):
                path.rename(root / ASIDE / f"{path.parent.name}-{path.name}")
        path_remove(root / ASIDE)
        return ""


def files_of(root: Path, name: str) -> Iterable[Path]:
    """Return what a sealing folder has of a sector."""
    for kind in KINDS:
        paths = [root / kind / name, *(root / kind).glob(f"{name}.*")]
        yield from (path for path in paths if path.exists() or path.is_symlink())
    if (sums := SectorSums(root, name).path).exists():
        yield sums
