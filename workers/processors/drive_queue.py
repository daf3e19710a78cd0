"""Sectors that wait for their labels on a host that keeps layers on drives: one batch after the other.

A batch begins when it is full, or once its first sector has waited as long as the host's file says and no
other is on its way.  After a kill its sectors come again, in any order, and it goes on where it was.  An
aborted one does not come: its lane stays empty.
"""

from __future__ import annotations

import errno
import functools
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from poolsite.filecoin.porep.parameters import parameters_of_size
from poolsite.wire.batch_model import SET, STARTED, BatchMachine, batch_choose, batch_figures
from poolsite.wire.hardware import BatchSize
from poolsite.wire.page_shape import BATCH_MAX, shape_of
from workers.gpus import gpus_here
from workers.processors.batch_rates import SIZE, RateMeter, measured_read, rates_read, size_read
from workers.processors.errors import BadFile, PermanentError, ProcessorError, TemporaryError, TicketTooOld
from workers.processors.label_queue import LABEL_QUEUE, LabelQueue, Waiting
from workers.processors.labelling import first_missing
from workers.processors.layer_drives import (
    BATCH_SUFFIX,
    LAYERS_VARIABLE,
    MEMBERS_SUFFIX,
    STORE,
    LayerDrives,
)
from workers.processors.layer_source import LayersPlace, is_place
from workers.processors.page_batch import PageBatch, batch_forget, batch_ids
from workers.processors.page_layers import layer_files_write, noted, trees_write
from workers.processors.page_stripes import DamagedChunk, batch_read
from workers.processors.parallel import thread_count
from workers.storage.files import NotEnoughSpace, write_file
from workers.storage.memory import memory_bytes
from workers.storage.page_drives import DriveFailed, PageDrives, drives_open

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from poolsite.wire.page_shape import PageShape
    from workers.processors.parallel import Progress

ROOM_S: Final = 60.0
"""How often a batch without room, and a host that labels none, look whether one has given some back."""
BUSY_S: Final = 600.0
"""A process that was given up may still label a batch.  Once it has not gone on for so long, its drives are
said to be in use."""
AGAIN_S: Final = 120.0
"""So long an unfinished batch waits after a restart for its sectors that are not on their way, and a new one
for those that get another ticket."""
FORGET_S: Final = 600.0
"""After so long without any of its sectors its room is a new batch's that finds no other."""
TOO_LATE: Final = (
    "layers: its batch would take about {0:.1f} h, and its ticket is good for {1:.1f} h: it gets another one"
)
TOO_LONG: Final = (
    "layers: a batch like its own takes about {2:.1f} h here, and a new ticket is good for {3:.1f} h:"
    " name fewer sectors, or more drives, in [layers]"
)


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """The sectors whose layers a batch has, as the file beside its own says."""

    caches: tuple[str, ...] = ()
    """Their cache folders."""
    are_told: bool = False
    """Whether each of these says so, too; a kill before that leaves some that do not."""


class DriveQueue(LabelQueue):
    """Labels sectors for many threads, as batches on drives."""

    def __init__(self, settings: LayerDrives) -> None:
        super().__init__()
        self.writes_files = settings.writes_files
        self.settings, self.begun_at = settings, time.monotonic()
        self._again_at = 0.0
        """When sectors that were let go for another ticket are waited for no more."""
        self.folder, self.wait_s = Path(settings.folder), 60.0 * settings.wait_minutes
        self._known: dict[bytes, Path] = {}
        """By replica id the file of the batch that a sector is in."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._known_read()
        self.size = BatchSize(sectors=settings.sectors, why=SET)
        """How many sectors a batch has, and why."""
        self._within_s: float = 0
        """How long a new ticket lasts, by the last sector that came; 0: not known."""
        self._size_choose()

    def tend(self) -> None:
        """Release the room of spent batches from now on, in a thread of its own."""

        def work() -> None:
            while True:
                time.sleep(ROOM_S)
                with suppress(OSError, ProcessorError):  # what is wrong is said to the next sector
                    self.room_return()
                    with self._changed:
                        self._size_choose()

        threading.Thread(target=work, name="room of batches", daemon=True).start()

    def room_return(self) -> None:
        """Release the room of spent batches, unless one is labelled: it does so if it needs some."""
        is_some_spent = bool(self._spent())  # it reads each sector's folder, whose disk may hang
        with self._changed:
            if self._running or not is_some_spent:
                return
            self._running += 1
        try:
            paths, store = [Path(path) for path in self.settings.drives], (self.folder / STORE).read_text()
            drives = drives_open(paths, store=store, extent_bytes=None, is_new=False)
            try:
                for spent in self._spent():
                    self._forget(spent, drives)
            finally:
                drives.close()
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _size_choose(self) -> None:
        """Choose how many sectors a batch has, by trial, unless the host's file says so.

        While batches lie on the drives it stays: extents have the size of their layers.
        """
        if self.settings.sectors or self._running:
            return
        before = size_read(self.folder)
        if self._paths():
            self.size = before or BatchSize(sectors=BATCH_MAX, why=STARTED)
            return
        self.size = batch_choose(
            measured_read(self.folder.parent),
            parameters=parameters_of_size(self.settings.sector_bytes),
            drives=self.settings.drives,
            slots=self.settings.slots,
            machine=BatchMachine(cpus=thread_count(), ram_bytes=memory_bytes(), has_card=bool(gpus_here())),
            within_s=self._within_s,
        )
        if self.size != before:
            write_file(self.folder / SIZE, msgspec.json.encode(self.size))

    def _paths(self) -> list[Path]:
        """Return the files of all batches."""
        return sorted(self.folder.glob(f"*{BATCH_SUFFIX}"))

    def _known_read(self) -> None:
        self._known = {replica_id: path for path in self._paths() for replica_id in batch_ids(path)}

    def _alike(self, one: Waiting) -> list[Waiting]:
        """Return those that may be in one batch with it, the first that came first."""
        path = self._known.get(one.sector.replica_id)
        return [
            other
            for other in self._waiting
            if other.parameters == one.parameters and self._known.get(other.sector.replica_id) == path
        ]

    def _is_turn(self, one: Waiting) -> bool:
        """Return whether a batch may begin with it: full, or nobody is on the way and it waited enough."""
        if self._running or self._alike(one)[0] is not one:
            return False
        self._known_read()  # a process that was given up may have begun one since
        alike = self._alike(one)
        if alike[0] is not one:
            return False
        path = self._known.get(one.sector.replica_id)
        if path is None:
            self._within_s = one.ticket.fresh_s or self._within_s
            self._size_choose()
        full = self.size.sectors
        if path is not None:
            full = min(full, list(self._known.values()).count(path))
        elif self._is_held_up():
            return False
        if len(alike) >= full:
            return path is not None or self._is_in_time(alike)
        if one.parameters in self._coming or time.monotonic() < self._begins_at(one):
            return False
        return path is not None or self._is_in_time(alike)

    def _is_in_time(self, alike: list[Waiting]) -> bool:
        """Return whether a new batch of these may begin; else it waits for those that get another ticket."""
        members = list(alike)
        self._late_refuse(members, None)
        if len(members) == len(alike):
            return True
        self._waiting = [one for one in self._waiting if not one.done.done()]
        self._again_at = time.monotonic() + AGAIN_S
        self._changed.notify_all()
        return False

    def _is_held_up(self) -> bool:
        """Return whether a new batch waits for an unfinished one, or for the first of its sectors."""
        unfinished = self._unfinished()
        is_early = time.monotonic() < self.begun_at + FORGET_S
        return (is_early and bool(unfinished)) or any(map(self._is_waited_for, unfinished))

    def _begins_at(self, one: Waiting) -> float:
        """Return when its batch begins though it is not full."""
        is_begun = one.sector.replica_id in self._known
        since = self._alike(one)[0].since
        return since + min(self.wait_s, AGAIN_S) if is_begun else max(since + self.wait_s, self._again_at)

    def _pause_s(self, one: Waiting) -> float:
        if one.done.done():
            return 0.0  # let go just now
        ends = (self._begins_at(one), self.begun_at + FORGET_S)
        return min([super()._pause_s(one), *(left for end in ends if (left := end - time.monotonic()) > 0)])

    def _take(self, one: Waiting) -> list[Waiting]:
        batch = self._alike(one)[: self.size.sectors]
        self._waiting = [other for other in self._waiting if other not in batch]
        self._running += 1
        return batch

    def _run(self, batch: Sequence[Waiting]) -> None:
        members = list(batch)
        try:
            _outcome_set(members, partial(self._label_all, members))
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _label_all(self, members: list[Waiting]) -> None:
        """Label those of a batch, once no process that was given up uses the drives."""
        path, progress = self._known.get(members[0].sector.replica_id), _progress_of(members)
        drives = self._drives_open(members[0].parameters, progress)
        try:
            self._known_read()
            for one in members:
                if self._known.get(one.sector.replica_id) != path:  # it was killed, and lets the drives go
                    text = "layers: another process had begun its batch, which goes on at the next attempt"
                    one.done.set_exception(TemporaryError(text))
            members[:] = [one for one in members if not one.done.done()]
            if members:
                self._batch_make(members, drives, progress)
        finally:
            drives.close()

    def _batch_make(self, members: list[Waiting], drives: PageDrives, progress: Progress) -> None:
        """Label the batch, and make what pc2 needs of it for all that wait for it by then."""
        try:
            batch = self._batch_open(members, drives, progress)
            if batch is not None:
                try:
                    self._batch_work(batch, members, progress)
                finally:
                    batch.close()
        finally:
            self._known_read()

    def _late_refuse(self, members: list[Waiting], path: Path | None) -> None:
        """Refuse those whose batch would end after their ticket, as far as is known how long it takes."""
        if not members:
            return
        known = batch_read(path) if path is not None else {}
        shape = shape_of(members[0].parameters, len(known.get("ids", members)), len(self.settings.drives))
        done = (known.get("layer", 1) - 1) * shape.nodes + known.get("chunk", 0) * shape.chunk
        rates = rates_read(self.folder)
        takes_s, whole_s = (rates.batch_s(shape, sectors=len(members), done=already) for already in (done, 0))
        if takes_s is None or whole_s is None:  # no such batch has ended yet
            measured = self._measured_s(shape, members[0].parameters)
            if measured is None:
                return
            layers_s, trees_s = measured
            whole_s = layers_s + trees_s
            takes_s = whole_s - layers_s * done / (shape.layers * shape.nodes)
        for one in members:
            left_s = one.ticket.end_s - time.time()
            if one.ticket.end_s and left_s < takes_s:
                is_never = 0 < one.ticket.fresh_s < whole_s
                text = TOO_LONG if is_never else TOO_LATE
                hours = takes_s / 3600, max(left_s, 0) / 3600, whole_s / 3600, one.ticket.fresh_s / 3600
                one.done.set_exception((PermanentError if is_never else TicketTooOld)(text.format(*hours)))
        members[:] = [one for one in members if not one.done.done()]

    def _measured_s(self, shape: PageShape, parameters: SealParameters) -> tuple[float, float] | None:
        """Return the seconds of layers and trees by what was measured; None: not of these drives."""
        measured = measured_read(self.folder.parent)
        if measured is None or measured.drives != tuple(self.settings.drives):
            return None
        page = next((page for page in measured.pages if page.sectors == shape.lanes), None)
        if page is None:
            return None
        machine = BatchMachine(cpus=thread_count(), columns_s=measured.columns_s)
        drives = len(self.settings.drives)
        found = batch_figures(shape.sectors, page, drives=drives, machine=machine, parameters=parameters)
        return None if found.hours is None else (3600 * found.hours, 3600 * (found.trees_hours or 0.0))

    def _batch_work(self, batch: PageBatch, members: list[Waiting], progress: Progress) -> None:
        meter = RateMeter(self.folder, batch, members=len(members))
        try:
            self._batch_finish(batch, members, progress, meter=meter)
        finally:
            meter.end()

    def _batch_finish(
        self, batch: PageBatch, members: list[Waiting], progress: Progress, *, meter: RateMeter
    ) -> None:
        """Label what is missing, and make what each sector needs of it."""

        def report(done: int, total: int) -> None:
            os.utime(batch.path)
            meter.write_now(done)
            progress(done, total)

        def labelled(done: int, total: int) -> None:
            meter.labelled(done)
            report(done, total)

        total = batch.shape.layers * batch.shape.nodes
        batch.run(progress=labelled)
        meter.labelled(total, is_end=True)
        with self._changed:
            members += [one for one in self._waiting if one.sector.replica_id in batch.replica_ids]
            self._waiting = [one for one in self._waiting if one not in members]
            self._changed.notify_all()
        if self.settings.writes_files:
            self._files_write(batch, members, report)
            batch.remove()
        else:
            began = time.monotonic()
            made = self._trees_write(batch, members, report)
            meter.trees_made(made, took_s=time.monotonic() - began)

    def _files_write(self, batch: PageBatch, members: Sequence[Waiting], progress: Progress) -> None:
        """Write the files of each sector's layers, except of those that were aborted meanwhile."""
        for one in members:
            if first_missing(one.sector) < batch.first_layer:
                text = "layers: its batch has given back a layer that it lacks: it is labelled anew"
                one.done.set_exception(TemporaryError(text))
        is_written = False
        while not is_written:
            for one in members:
                if not one.done.done() and not one.sector.files.cache.is_dir():
                    one.done.set_exception(TemporaryError("layers: its cache folder was removed"))
            wanted = [one.sector for one in members if not one.done.done()]
            files = {sector.replica_id: sector.files for sector in wanted}
            try:
                layer_files_write(batch, [files.get(name) for name in batch.replica_ids], progress=progress)
                is_written = True
            except FileNotFoundError:
                if all(sector.files.cache.is_dir() for sector in wanted):
                    raise

    def _trees_write(self, batch: PageBatch, members: Sequence[Waiting], progress: Progress) -> int:
        """Write the replica and trees of each sector; the layers stay on the drives for the proofs.

        Those that were aborted meanwhile, or whose own disk is full, have an error: the others none.
        Return how many were made anew.
        """
        total = batch.shape.layers * batch.shape.nodes
        lanes = {batch.replica_ids.index(one.sector.replica_id): one for one in members}
        anew = {lane for lane, one in lanes.items() if not one.sector.files.is_encoded}
        files = {lane: one.sector.files for lane, one in lanes.items()}

        def alive(*_: int) -> None:
            progress(total, total)

        try:
            failed = trees_write(batch, files, progress=alive)
        except DamagedChunk:  # more than one pass makes good by itself
            batch.check(progress=progress)
            failed = trees_write(batch, files, progress=alive)
        made = {lane: own for lane, own in files.items() if lane not in failed}
        before = self._members(batch.path).caches
        caches = tuple(sorted({*before, *(str(own.cache) for own in made.values())}))
        if made:  # the first of both: a kill leaves no sector that the batch does not know
            self._members_write(batch.path, Members(caches=caches))
        for lane, own in made.items():
            with noted(failed, lane):
                LayersPlace(
                    batch=str(batch.path), id=batch.id.hex(), drives=self.settings.drives, lane=lane
                ).write(own)
        if made:
            self._members_write(batch.path, Members(caches=caches, are_told=True))
        for lane, error in failed.items():
            lanes[lane].done.set_exception(error)
        return len(anew - failed.keys())

    @staticmethod
    def _members_path(path: Path) -> Path:
        return path.with_suffix(MEMBERS_SUFFIX)

    def _members(self, path: Path) -> Members:
        """Return whose layers a batch has.  Raises BadFile."""
        own = self._members_path(path)
        try:
            return msgspec.json.decode(own.read_bytes(), type=Members)
        except FileNotFoundError:
            return Members()
        except (UnicodeDecodeError, msgspec.DecodeError):
            raise BadFile(f"{own} is damaged: whose layers the batch has is lost") from None

    def _members_write(self, path: Path, members: Members) -> None:
        write_file(self._members_path(path), msgspec.json.encode(members))

    def _is_waited_for(self, path: Path) -> bool:
        return any(self._known.get(one.sector.replica_id) == path for one in self._waiting)

    def _is_needed(self, path: Path) -> bool:
        """Return whether a sector waits for a batch, or reads its layers."""
        if self._is_waited_for(path):
            return True
        return any(is_place(Path(cache), path) for cache in self._members(path).caches)

    def _unfinished(self) -> list[Path]:
        """Return the batches that were not handed over."""
        return [path for path in self._paths() if not self._members(path).are_told]

    def _spent(self) -> list[Path]:
        """Return the batches that were handed over, and that nobody needs any more."""
        return [path for path in self._paths() if self._members(path).are_told and not self._is_needed(path)]

    def _left(self) -> list[Path]:
        """Return the unfinished batches for which nobody came."""
        return [
            path
            for path in self._unfinished()
            if not self._is_needed(path) and time.time() - path.stat().st_mtime >= FORGET_S
        ]

    def _forget(self, path: Path, drives: PageDrives) -> None:
        batch_forget(path, drives, also=self._members_path(path))

    def _drives_open(self, parameters: SealParameters, progress: Progress) -> PageDrives:
        """Open the drives, once no process that was given up uses them.  Raises TemporaryError, OSError."""
        paths = [Path(path) for path in self.settings.drives]
        store = self.folder / STORE
        if not store.exists():
            write_file(store, secrets.token_hex(16).encode())
        extent = shape_of(parameters, self.size.sectors, len(paths)).extent_bytes
        until = time.monotonic() + BUSY_S
        while True:
            progress(0, parameters.layers * parameters.nodes)
            try:
                is_new = not self._paths()
                return drives_open(paths, store=store.read_text(), extent_bytes=extent, is_new=is_new)
            except DriveFailed as error:
                if error.errno != errno.EBUSY:
                    raise
                if time.monotonic() >= until and self._idle_s() >= BUSY_S:
                    raise TemporaryError(f"layers: {error}") from None

    def _idle_s(self) -> float:
        """Return for how long no process of this host has gone on with a batch."""
        seen = []
        for path in (self.folder / STORE, *self._paths()):
            with suppress(FileNotFoundError):
                seen.append(path.stat().st_mtime)
        return time.time() - max(seen, default=0.0)

    def _batch_open(self, members: list[Waiting], drives: PageDrives, progress: Progress) -> PageBatch | None:
        """Return the batch that these are in, or a new one, once there is room for it.

        None: it would outlive the tickets of all of them.
        Raises NotEnoughSpace if no other batch will give room back.
        """
        parameters, path = members[0].parameters, self._known.get(members[0].sector.replica_id)
        if path is not None:
            self._late_refuse(members, path)
            return PageBatch(parameters, batch_ids(path), drives, path) if members else None
        while True:
            self._late_refuse(members, None)
            if not members:
                return None
            ids = tuple(dict.fromkeys(one.sector.replica_id for one in members))
            path = self.folder / f"{ids[0].hex()}{BATCH_SUFFIX}"
            for spent in self._spent():
                self._forget(spent, drives)
            try:
                return PageBatch(parameters, ids, drives, path)
            except NotEnoughSpace:
                if not self._paths():
                    raise
            if left := self._left():
                self._forget(left[0], drives)
            elif not self._others_label(drives, progress):
                os.utime(self.folder / STORE)
                progress(0, parameters.layers * parameters.nodes)
                time.sleep(ROOM_S)  # sectors of an earlier batch wait for their seeds

    def _others_label(self, drives: PageDrives, progress: Progress) -> bool:
        """Go on with a batch that has its room, before one that waits for some.

        Return whether there was one.
        """
        with self._changed:
            first = next((one for one in self._waiting if one.sector.replica_id in self._known), None)
            others = self._alike(first) if first else []
            self._waiting = [one for one in self._waiting if one not in others]
        if not others:
            return False
        own = _progress_of(others)

        def report(done: int, total: int) -> None:
            progress(0, total)
            own(done, total)

        _outcome_set(others, partial(self._batch_make, others, drives, report))
        return True


def _progress_of(members: Sequence[Waiting]) -> Progress:
    """Return a progress that is told to all sectors, those that join later too."""

    def progress(done: int, total: int) -> None:
        for one in members:
            one.progress(done, total)

    return progress


def _outcome_set(members: Sequence[Waiting], act: Callable[[], None]) -> None:
    """Do what sectors wait for; an error is that of all that have none of their own."""
    own = tuple(members)
    try:
        act()
    except Exception as error:  # noqa: BLE001  # it belongs to the sectors' own threads
        for one in {*own, *members}:
            if not one.done.done():
                one.done.set_exception(error)
    for one in {*own, *members}:
        if not one.done.done():
            one.done.set_result(None)


_made_lock = threading.Lock()


def label_line() -> LabelQueue:
    """Return the line of this process: of batches on drives where the host's file names some."""
    with _made_lock:
        return _line_of(os.environ.get(LAYERS_VARIABLE, ""))


@functools.cache
def _line_of(settings: str) -> LabelQueue:
    return DriveQueue(msgspec.json.decode(settings, type=LayerDrives)) if settings else LABEL_QUEUE
