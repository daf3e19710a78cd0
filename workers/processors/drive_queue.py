"""Sectors that wait for their labels on a host that keeps layers on drives: one batch after the other.

A batch begins when it is full, or once its first sector has waited as long as the host's file says and no
other is on its way.  After a kill its sectors come again, in any order, and it goes on where it was.  An
aborted one does not come: its lane stays empty.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from workers.processors.errors import TemporaryError
from workers.processors.label_queue import LABEL_QUEUE, LabelQueue, Waiting
from workers.processors.labelling import first_missing
from workers.processors.layer_source import LayersPlace
from workers.processors.page_batch import PageBatch, batch_forget, batch_ids
from workers.processors.page_layers import layer_files_write, trees_write
from workers.processors.page_shape import LAYERS_VARIABLE, LayerDrives, shape_of
from workers.processors.pc2 import trees_bytes
from workers.storage.files import NotEnoughSpace, space_check, write_file
from workers.storage.page_drives import DriveFailed, PageDrives, drives_open
from workers.storage.sector import LAYERS_PLACE

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.processors.parallel import Progress
    from workers.storage.sector import SectorFiles

ROOM_S: Final = 60.0
"""How often a batch without room looks whether an earlier one has given some back."""
BUSY_S: Final = 600.0
"""A process that was given up may still label a batch; after so long its drives are said to be in use."""
AGAIN_S: Final = 120.0
"""So long an unfinished batch waits after a restart for its sectors that are not on their way."""
FORGET_S: Final = 600.0
"""After so long without any of its sectors its room is a new batch's."""
STATE: Final = ".json"
"""Suffix of the file of a batch, in the folder of its host."""


class DriveQueue(LabelQueue):
    """Labels sectors for many threads, as batches on drives."""

    def __init__(self, settings: LayerDrives) -> None:
        super().__init__()
        self.writes_files = settings.writes_files
        self.settings, self.begun_at = settings, time.monotonic()
        self.folder, self.wait_s = Path(settings.folder), 60.0 * settings.wait_minutes
        self._known: dict[bytes, Path] = {}
        """By replica id the file of the batch that a sector is in."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._known_read()

    def _known_read(self) -> None:
        paths = self.folder.glob(f"*{STATE}")
        self._known = {replica_id: path for path in paths for replica_id in batch_ids(path)}

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
        alike = self._alike(one)
        if self._running or alike[0] is not one:
            return False
        path, full = self._known.get(one.sector.replica_id), self.settings.sectors
        if path is not None:
            full = min(full, list(self._known.values()).count(path))
        elif unfinished := self._unfinished():
            if time.monotonic() < self.begun_at + FORGET_S:
                return False
            if any(other.sector.replica_id in unfinished for other in self._waiting):
                return False
        if len(alike) >= full:
            return True
        return one.parameters not in self._coming and time.monotonic() >= self._begins_at(one)

    def _begins_at(self, one: Waiting) -> float:
        """Return when its batch begins though it is not full."""
        is_begun = one.sector.replica_id in self._known
        return self._alike(one)[0].since + (min(self.wait_s, AGAIN_S) if is_begun else self.wait_s)

    def _pause_s(self, one: Waiting) -> float:
        ends = (self._begins_at(one), self.begun_at + FORGET_S)
        return min([super()._pause_s(one), *(left for end in ends if (left := end - time.monotonic()) > 0)])

    def _take(self, one: Waiting) -> list[Waiting]:
        batch = self._alike(one)[: self.settings.sectors]
        self._waiting = [other for other in self._waiting if other not in batch]
        self._running += 1
        return batch

    def _run(self, batch: Sequence[Waiting]) -> None:
        """Label a batch for all its sectors; an error is that of all."""
        members = list(batch)

        def progress(done: int, total: int) -> None:
            for one in members:
                one.progress(done, total)

        try:
            self._label_all(members, progress)
        except Exception as error:  # noqa: BLE001  # it belongs to the sectors' own threads
            for one in members:
                if not one.done.done():
                    one.done.set_exception(error)
        with self._changed:
            self._running -= 1
            self._known_read()
            self._changed.notify_all()
        for one in members:
            if not one.done.done():
                one.done.set_result(None)

    def _label_all(self, members: list[Waiting], progress: Progress) -> None:
        """Label the batch, and make what pc2 needs of it for all that wait for it by then."""
        drives = self._drives_open(members[0].parameters, progress)
        try:
            batch = self._batch_open(members, drives, progress)
            try:
                is_again = batch.is_labelled
                batch.run(progress=progress)
                with self._changed:
                    members += [one for one in self._waiting if one.sector.replica_id in batch.replica_ids]
                    self._waiting = [one for one in self._waiting if one not in members]
                    self._changed.notify_all()
                if self.settings.writes_files:
                    self._files_write(batch, members, progress)
                    batch.remove()
                else:
                    self._trees_write(batch, members, progress, is_again=is_again)
            finally:
                batch.close()
        finally:
            drives.close()

    def _files_write(self, batch: PageBatch, members: Sequence[Waiting], progress: Progress) -> None:
        """Write the files of each sector's layers."""
        files = {}
        for one in members:
            if first_missing(one.sector) >= batch.first_layer:
                files[one.sector.replica_id] = one.sector.files
            else:
                text = "layers: its batch has given back a layer that it lacks: it is labelled anew"
                one.done.set_exception(TemporaryError(text))
        layer_files_write(batch, [files.get(name) for name in batch.replica_ids], progress=progress)

    def _trees_write(
        self, batch: PageBatch, members: Sequence[Waiting], progress: Progress, *, is_again: bool
    ) -> None:
        """Write the replica and trees of each sector; the layers stay on the drives for the proofs."""
        total = batch.shape.layers * batch.shape.nodes
        files: dict[int, SectorFiles] = {}
        for one in members:
            own = one.sector.files
            try:
                space_check(own.cache, trees_bytes(own))
            except NotEnoughSpace as error:
                one.done.set_exception(error)
            else:
                files[batch.replica_ids.index(one.sector.replica_id)] = own
        if is_again and self._members_path(batch.path).exists():
            batch.check(progress=progress)  # a sector comes again, as a proof met a damaged page
        trees_write(batch, files, progress=lambda *_: progress(total, total))
        for lane, own in files.items():
            LayersPlace(batch=str(batch.path), drives=self.settings.drives, lane=lane).write(own)
        caches = {*self._caches(batch.path), *(str(own.cache) for own in files.values())}
        write_file(self._members_path(batch.path), json.dumps(sorted(caches)).encode())

    @staticmethod
    def _members_path(path: Path) -> Path:
        """Return the file that lists the cache folders of those whose layers are still needed."""
        return path.with_suffix(".members")

    def _caches(self, path: Path) -> list[str]:
        try:
            caches: list[str] = json.loads(self._members_path(path).read_bytes())
        except FileNotFoundError:
            return []
        return caches

    def _spent(self) -> list[Path]:
        """Return the batches that were handed over, and whose layers nobody needs any more."""
        found = []
        for path in self.folder.glob(f"*{STATE}"):
            caches = [Path(cache) / LAYERS_PLACE for cache in self._caches(path)]
            if caches and not any(map(Path.exists, caches)):
                found.append(path)
        return found

    def _forget(self, path: Path, drives: PageDrives) -> None:
        self._members_path(path).unlink(missing_ok=True)
        batch_forget(path, drives)

    def _drives_open(self, parameters: SealParameters, progress: Progress) -> PageDrives:
        """Open the drives, once no process that was given up uses them.  Raises TemporaryError, OSError."""
        paths = [Path(path) for path in self.settings.drives]
        store = self.folder / "store"
        if not store.exists():
            write_file(store, secrets.token_hex(16).encode())
        extent = shape_of(parameters, self.settings.sectors, len(paths)).extent_bytes
        until = time.monotonic() + BUSY_S
        while True:
            progress(0, parameters.layers * parameters.nodes)
            try:
                is_new = not any(self.folder.glob(f"*{STATE}"))
                return drives_open(paths, store=store.read_text(), extent_bytes=extent, is_new=is_new)
            except DriveFailed as error:
                if error.errno != errno.EBUSY:
                    raise
                if time.monotonic() >= until:
                    raise TemporaryError(f"layers: {error}") from None

    def _batch_open(self, members: Sequence[Waiting], drives: PageDrives, progress: Progress) -> PageBatch:
        """Return the batch that these are in, or a new one, once there is room for it.

        Raises NotEnoughSpace if no other batch will give room back.
        """
        parameters, path = members[0].parameters, self._known.get(members[0].sector.replica_id)
        if path is not None:
            return PageBatch(parameters, batch_ids(path), drives, path)
        ids = tuple(dict.fromkeys(one.sector.replica_id for one in members))
        path = self.folder / f"{ids[0].hex()}{STATE}"
        for unfinished in set(self._unfinished().values()):
            self._forget(unfinished, drives)
        while True:
            for spent in self._spent():
                self._forget(spent, drives)
            try:
                return PageBatch(parameters, ids, drives, path)
            except NotEnoughSpace:
                if not any(self.folder.glob(f"*{STATE}")):
                    raise
            progress(0, parameters.layers * parameters.nodes)
            time.sleep(ROOM_S)  # sectors of an earlier batch wait for their seeds

    def _unfinished(self) -> dict[bytes, Path]:
        """Return by replica id the batches that were not handed over."""
        return {name: path for name, path in self._known.items() if not self._members_path(path).exists()}


_made_lock = threading.Lock()


def label_line() -> LabelQueue:
    """Return the line of this process: of batches on drives where the host's file names some."""
    with _made_lock:
        return _line_of(os.environ.get(LAYERS_VARIABLE, ""))


@functools.cache
def _line_of(settings: str) -> LabelQueue:
    return DriveQueue(msgspec.json.decode(settings, type=LayerDrives)) if settings else LABEL_QUEUE
