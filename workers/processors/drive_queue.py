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
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from workers.processors.errors import TemporaryError
from workers.processors.label_queue import LABEL_QUEUE, LabelQueue, Waiting
from workers.processors.labelling import first_missing
from workers.processors.page_batch import PageBatch, batch_forget, batch_ids
from workers.processors.page_layers import layer_files_write
from workers.processors.page_shape import LAYERS_VARIABLE, LayerDrives, shape_of
from workers.storage.files import write_file
from workers.storage.page_drives import DriveFailed, PageDrives, drives_open

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.processors.parallel import Progress

BUSY_S: Final = 600.0
"""A process that was given up may still label a batch; after so long its drives are said to be in use."""
AGAIN_S: Final = 120.0
"""So long a batch that was begun waits after a restart for its sectors that are not on their way."""
FORGET_S: Final = 600.0
"""After so long without any of its sectors its room is a new batch's."""
STATE: Final = ".json"
"""What the file of a batch ends with, in the folder of its host."""


class DriveQueue(LabelQueue):
    """Labels sectors for many threads, as batches on drives."""

    def __init__(self, settings: LayerDrives) -> None:
        super().__init__()
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
        elif self._known and (self._is_begun_awaited() or time.monotonic() < self.begun_at + FORGET_S):
            return False
        if len(alike) >= full:
            return True
        return one.parameters not in self._coming and time.monotonic() >= self._begins_at(one)

    def _is_begun_awaited(self) -> bool:
        """Return whether a sector waits whose batch was begun before a kill."""
        return any(other.sector.replica_id in self._known for other in self._waiting)

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
        """Label a batch and give each its layers; an error is that of all."""
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
        """Label the batch and write the layers' files of all that wait for it by then."""
        drives = self._drives_open(members[0].parameters, progress)
        try:
            batch = self._batch_open(members, drives)
            try:
                batch.run(progress=progress)
                with self._changed:
                    members += [one for one in self._waiting if one.sector.replica_id in batch.replica_ids]
                    self._waiting = [one for one in self._waiting if one not in members]
                    self._changed.notify_all()
                files = {}
                for one in members:
                    if first_missing(one.sector) >= batch.first_layer:
                        files[one.sector.replica_id] = one.sector.files
                    else:
                        text = "layers: its batch has given back a layer that it lacks: it is labelled anew"
                        one.done.set_exception(TemporaryError(text))
                layer_files_write(batch, [files.get(name) for name in batch.replica_ids], progress=progress)
            finally:
                batch.close()
            batch.remove()
        finally:
            drives.close()

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

    def _batch_open(self, members: Sequence[Waiting], drives: PageDrives) -> PageBatch:
        """Return the batch that these are in, or a new one in the place of those that nobody came for."""
        path = self._known.get(members[0].sector.replica_id)
        if path is None:
            for old in self.folder.glob(f"*{STATE}"):
                batch_forget(old, drives)
            path = self.folder / f"{members[0].sector.replica_id.hex()}{STATE}"
            ids = tuple(dict.fromkeys(one.sector.replica_id for one in members))
        else:
            ids = batch_ids(path)
        return PageBatch(members[0].parameters, ids, drives, path)


_made_lock = threading.Lock()


def label_line() -> LabelQueue:
    """Return the line of this process: of batches on drives where the host's file names some."""
    with _made_lock:
        return _line_of(os.environ.get(LAYERS_VARIABLE, ""))


@functools.cache
def _line_of(settings: str) -> LabelQueue:
    return DriveQueue(msgspec.json.decode(settings, type=LayerDrives)) if settings else LABEL_QUEUE
