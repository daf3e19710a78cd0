"""Labels of up to 128 sectors of one graph whose layers lie on drives, in a few GiB of memory.

In step k chunk k is labelled, the parents of chunk k + 1 are read, chunk k - 1 is written.  A base parent
that has left the ring was written two steps ago at least, as the ring has three chunks or more.  Killed at
any moment it continues at the last checkpoint.  A page that cannot be read, or is not what was written, is
made again with its chunk; what cannot be is named with its drive, layer and chunk.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.wire.page_shape import BATCH_MAX, PageShape, shape_of
from workers.kernels import labels, page_plan
from workers.kernels.crc32c import page_sums
from workers.kernels.labels_portable import DRG_PARENTS
from workers.processors.errors import BadInput, PermanentError
from workers.processors.page_audit import wrong_node
from workers.processors.page_reader import reader_of
from workers.processors.page_stripes import DamagedChunk, Stripes, Sums, batch_read
from workers.processors.parallel import Progress, no_progress, parallel_for, thread_count
from workers.processors.parent_cache import rows_function
from workers.processors.resident import resident_allocate
from workers.storage.files import write_file
from workers.storage.page_drives import PageDrives

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.processors.page_reader import PageReader
    from workers.storage.mapped import Bytes

T = TypeVar("T")

CHECKPOINT_S: Final = 30.0
"""At most so much work is done again after a kill."""
SUMMED_PAGES: Final = 4096
"""Pages whose sums one thread computes at a time: a millisecond."""
REPAIRS_MAX: Final = 16
"""Chunks made again in one run, after which a drive counts as failed."""
WRONG_AGAIN: Final = (
    "layers: this machine labels wrongly: node {node} of layer {layer} is not the hash of its parents, though"
    " it was labelled anew; test its memory and processor, and seal these sectors on another host"
)


@dataclass(frozen=True, slots=True)
class Position:
    """A checkpoint: all chunks before this one are on the drives."""

    layer: int
    """From 1; one more than there are: all are."""
    chunk: int


class Slot:
    """Plan and reads of one chunk; two of them take turns."""

    def __init__(self, shape: PageShape, number: int, room: Bytes) -> None:
        reads = shape.chunk * page_plan.PARENTS
        self.number, self.room = number, room
        self.rows = np.empty((shape.chunk, page_plan.PARENTS), np.uint32)
        self.addresses = np.zeros((shape.chunk, page_plan.PARENTS), np.int64)
        self.requests = np.zeros((reads, page_plan.REQUEST), np.int64)
        self.results, self.sums = np.zeros(reads, np.int64), np.zeros(reads, np.uint32)
        self.count = 0

    def memory_bytes(self) -> int:
        """Return the bytes of its tables and its room."""
        tables = (self.room, self.rows, self.addresses, self.requests, self.results, self.sums)
        return sum(table.nbytes for table in tables)


class LabelMemory:
    """Memory of labels: the ring, two rooms for reads with their reader, the sums of two layers."""

    def __init__(self, shape: PageShape, drives: PageDrives) -> None:
        """Allocate all of it.  Raises NotEnoughRoom."""
        purpose = f"a batch of {shape.sectors} sectors on drives"
        [self.ring] = resident_allocate(
            1, size_bytes=shape.window * shape.page_bytes, purpose=purpose, alive=lambda: None
        )
        size = shape.chunk * page_plan.PARENTS * shape.page_bytes
        rooms = resident_allocate(2, size_bytes=size, purpose=purpose, alive=lambda: None)
        self.slots = [Slot(shape, number, room) for number, room in enumerate(rooms)]
        self.sums = np.zeros((2, shape.nodes), np.uint32)
        self.reader: PageReader = reader_of([drive.handle for drive in drives.drives], rooms)

    @property
    def size_bytes(self) -> int:
        """Return the bytes of ring, rooms, tables and sums."""
        return self.ring.nbytes + self.sums.nbytes + sum(slot.memory_bytes() for slot in self.slots)


class PageBatch:
    """One batch on the drives of a store; its checkpoint and its extents are in a file of its own."""

    def __init__(
        self, parameters: SealParameters, replica_ids: Sequence[bytes], drives: PageDrives, path: Path
    ) -> None:
        """Begin, or continue what the file says.  Raises BadInput, NotEnoughSpace, NotEnoughRoom."""
        if not 0 < len(replica_ids) <= BATCH_MAX:
            raise BadInput(f"{len(replica_ids)} sectors in a batch: from 1 to {BATCH_MAX} are possible")
        self.shape = shape_of(parameters, len(replica_ids), len(drives.drives))
        if self.shape.extent_bytes > drives.extent_bytes:
            raise BadInput(f"a layer takes {self.shape.extent_bytes} bytes a drive: extents are smaller")
        self.drives, self.path, self.replica_ids = drives, path, tuple(replica_ids)
        names = b"".join(self.replica_ids) + parameters.name.encode() + repr(self.shape).encode()
        self.id = sha256(names).digest()[:16]
        self.extents, self.position = self._state_read()
        self._parents = rows_function(parameters)
        self.stripes = Stripes(self.shape, drives, batch=self.id, extents=self.extents)
        self._memory = None if self.is_labelled else LabelMemory(self.shape, drives)
        self.reads = self.labelled = 0
        self.sectors_a_thread = sectors_a_thread(self.shape.lanes)
        padded = [*self.replica_ids, *[bytes(32)] * (self.shape.lanes - self.shape.sectors)]
        words = np.frombuffer(b"".join(padded), np.uint32).reshape(-1, 8)
        many = self.sectors_a_thread
        self._ids = [words[first : first + many].copy() for first in range(0, self.shape.lanes, many)]

    @property
    def memory(self) -> LabelMemory:
        """Return what labels need, allocated anew for a repair after the labels.  Raises NotEnoughRoom."""
        if self._memory is None:
            self._memory = LabelMemory(self.shape, self.drives)
        return self._memory

    def memory_release(self) -> None:
        """Release what labels need: the trees take memory of their own."""
        if self._memory is not None:
            self._memory.reader.close()
            self._memory = None

    def close(self) -> None:
        """Release memory, threads and rings; the drives stay open."""
        self.memory_release()

    def memory_bytes(self) -> int:
        """Return the bytes of ring, rooms and tables."""
        return self.stripes.memory_bytes + (0 if self._memory is None else self._memory.size_bytes)

    # What is on the drives.

    def _state_read(self) -> tuple[list[int], Position]:
        """Return extents and position of an earlier run, else reserve extents for a new one."""
        known = batch_read(self.path)
        if known and (known["batch"] != self.id.hex() or known["store"] != self.drives.store):
            raise BadInput(f"{self.path} is of another batch, or of other drives")
        extents = list(known["extents"]) if known else self._extents_free()
        position = Position(known["layer"], known["chunk"]) if known else Position(1, 0)
        if position == Position(1, 0):
            self._state_write(extents, position)  # first: a kill leaves no extent that nobody knows
            try:
                for extent in extents:
                    self.drives.extent_take(extent, self.shape.extent_bytes)
            except OSError:
                self._extents_release(extents)
                self.path.unlink()
                raise
        return extents, position

    def _extents_free(self) -> list[int]:
        """Return extents that no batch of the folder has."""
        paths = self.path.parent.glob(f"*{self.path.suffix}")
        used = {extent for path in paths for extent in batch_read(path).get("extents", ())}
        free = [extent for extent in range(len(used) + self.shape.layers) if extent not in used]
        return free[: self.shape.layers]

    def _state_write(self, extents: list[int], position: Position) -> None:
        ids = [replica_id.hex() for replica_id in self.replica_ids]
        known = {"batch": self.id.hex(), "ids": ids, "store": self.drives.store, "extents": extents}
        at = {"layer": position.layer, "chunk": position.chunk}
        write_file(self.path, json.dumps({**known, **at}).encode())

    def _checkpoint(self, position: Position) -> None:
        self.drives.sync()
        self._state_write(self.extents, position)
        self.position = position

    def _extents_release(self, extents: Sequence[int]) -> None:
        for extent in extents:
            self.drives.extent_release(extent)

    @property
    def first_layer(self) -> int:
        """Return the first layer whose room was not released."""
        return next((at for at, extent in enumerate(self.extents, 1) if extent >= 0), len(self.extents) + 1)

    def layer_release(self, layer: int) -> None:
        """Return the room of a layer that nobody reads any more; again, if a kill came between."""
        extent = self.extents[layer - 1]
        if extent >= 0:
            self.drives.extent_release(extent)
            self.extents[layer - 1] = -1
            self._state_write(self.extents, self.position)

    def remove(self) -> None:
        """Return all room and forget the batch."""
        batch_forget(self.path, self.drives)

    def chunk_read(self, layer: int, chunk: int) -> Bytes:
        """Return the pages of a chunk until the next call.  Raises DamagedChunk."""
        pages, sums = self.stripes.read(layer, chunk)
        if self._memory is not None:
            self._sums_of(layer, chunk)[:] = sums
        return pages

    def _sums_of(self, layer: int, chunk: int) -> Sums:
        """Return the place in memory of the sums of a chunk's pages."""
        size = self.shape.chunk
        return self.memory.sums[layer % 2, chunk * size : (chunk + 1) * size]

    def _sums_read(self, layer: int, chunk: int) -> None:
        """Read the sums of a chunk's pages without these.  Raises DamagedChunk."""
        self._sums_of(layer, chunk)[:] = self.stripes.sums_read(layer, chunk)

    # One chunk.

    def _plan(self, layer: int, chunk: int) -> Slot:
        """Compute parents, where they are and what has to be read."""
        shape, memory = self.shape, self.memory
        slot, first, skipped = memory.slots[chunk % 2], chunk * shape.chunk, int(chunk == 0)
        self._parents(first, slot.rows)
        places = np.zeros(page_plan.PLACES, np.int64)
        places[page_plan.STRIDE] = shape.page_bytes
        places[page_plan.RING], places[page_plan.WINDOW] = memory.ring.ctypes.data, shape.window
        places[page_plan.FLOOR] = max(0, first + shape.chunk - shape.window)
        places[page_plan.ROOM] = slot.room.ctypes.data
        places[page_plan.CHUNK], places[page_plan.STRIPE] = shape.chunk, shape.stripe_bytes
        places[page_plan.DRIVES] = shape.drives
        places[page_plan.HERE] = self.stripes.start(layer, 0)
        places[page_plan.BELOW] = self.stripes.start(layer - 1, 0) if layer > 1 else 0
        addresses = slot.addresses[skipped:]
        slot.count = page_plan.plan(slot.rows[skipped:], layer, places, addresses, slot.requests)
        return slot

    def pages_read(self, layer: int, nodes: Sequence[int]) -> Bytes:
        """Read the pages of nodes and of their parents from the drives, once the layer is labelled.

        Return u8[nodes, 1 + parents, lanes, 32], until the next call.  Raises DamagedChunk.
        """
        shape, slot = self.shape, self.memory.slots[0]
        rows, parents = slot.rows[: len(nodes)], DRG_PARENTS if layer == 1 else page_plan.PARENTS
        for at, node in enumerate(nodes):
            self._parents(node, rows[at : at + 1])
        wanted = np.column_stack([nodes, rows[:, :parents]]).astype(np.int64)
        is_below = np.arange(1 + parents) > DRG_PARENTS
        starts = [self.stripes.start(of, 0) for of in range(layer - 1 or 1, layer + 1)]
        chunks, slot.count = wanted // shape.chunk, wanted.size
        offsets = chunks // shape.drives * shape.stripe_bytes + wanted % shape.chunk * shape.page_bytes
        requests = slot.requests[: wanted.size]
        requests[:, page_plan.DRIVE] = (chunks % shape.drives).ravel()
        requests[:, page_plan.OFFSET] = (offsets + np.where(is_below, starts[0], starts[-1])).ravel()
        requests[:, page_plan.ADDRESS] = slot.room.ctypes.data + shape.page_bytes * np.arange(wanted.size)
        requests[:, page_plan.PAGE] = (2 * wanted + is_below).ravel()
        self._read(layer, slot)
        read = slot.room[: wanted.size * shape.page_bytes]
        return read.reshape(*wanted.shape, shape.lanes, NODE_BYTES)

    def _read(self, layer: int, slot: Slot) -> None:
        """Read what was planned, a wrong page twice.  Raises DamagedChunk if it is wrong again."""
        size, count, memory = self.shape.page_bytes, slot.count, self.memory
        requests, results, sums = slot.requests[:count], slot.results[:count], slot.sums[:count]
        pages = slot.room[: count * size].reshape(count, size)

        def work(first: int, end: int) -> None:
            page_sums(pages[first:end], sums[first:end])

        for attempt in range(2):
            memory.reader.read(requests, size, slot.number, results)
            parallel_for(work, count, size=SUMMED_PAGES)
            node, is_below = requests[:, page_plan.PAGE] >> 1, requests[:, page_plan.PAGE] & 1
            wrong = np.flatnonzero((results != size) | (sums != memory.sums[(layer - is_below) % 2, node]))
            self.reads += count
            if not len(wrong):
                return
            if attempt:
                at = int(wrong[0])
                of, chunk = layer - int(is_below[at]), int(node[at]) // self.shape.chunk
                raise self.stripes.damaged(of, chunk, _why(int(results[at]), size))

    def _label(self, layer: int, chunk: int, group: int) -> None:
        """Label a chunk of one group of sectors."""
        shape, many = self.shape, self.sectors_a_thread
        skipped, stride = int(chunk == 0), shape.page_bytes
        if skipped:
            page = self.memory.ring[:stride].view(np.uint32).reshape(-1, 8)
            for sector, replica_id in enumerate(self._ids[group]):
                label = labels.first_label(replica_id.tobytes(), layer)
                page[group * many + sector] = np.frombuffer(label, np.uint32)
        first = chunk * shape.chunk + skipped
        target = self.memory.ring.ctypes.data + (first & (shape.window - 1)) * stride
        addresses = self.memory.slots[chunk % 2].addresses[skipped:]
        kernel, offset = labels.rows_of(many), 32 * many * group
        kernel(self._ids[group], layer, first, addresses, target, stride, offset)

    def _write(self, layer: int, chunk: int) -> None:
        """Write the stripe of a chunk that is in the ring.  Raises DriveFailed."""
        shape, ring = self.shape, self.memory.ring
        at = chunk * shape.pages_bytes % ring.nbytes
        pages, sums = ring[at : at + shape.pages_bytes], self._sums_of(layer, chunk)
        page_sums(pages.reshape(shape.chunk, -1), sums)
        self.stripes.write(layer, chunk, pages, sums)

    # Whole layers.

    def run(self, *, progress: Progress = no_progress) -> None:
        """Label what is missing.  Raises DamagedChunk, DriveFailed for what cannot be made again."""
        self.repairing(lambda: self._layers_label(progress))

    @property
    def is_labelled(self) -> bool:
        """Return whether all layers are on the drives."""
        return self.position.layer > self.shape.layers

    def check(self, *, progress: Progress = no_progress) -> None:
        """Read all that was labelled, and make again what is damaged.  Raises DamagedChunk, DriveFailed."""
        total = self.shape.layers * self.shape.nodes
        for layer in range(1, self.shape.layers + 1):
            for chunk in range(self.shape.steps):
                self.repairing(partial(self.chunk_read, layer, chunk))
                progress((layer - 1) * self.shape.nodes + (chunk + 1) * self.shape.chunk, total)

    def repairing(self, act: Callable[[], T]) -> T:
        """Return what `act` does, once each chunk that it finds damaged is made again.

        Raises DamagedChunk for one that stays so, or if there are too many: their drive has failed.
        """
        damages: list[DamagedChunk] = []
        repairs = 0
        while True:
            try:
                if not damages:
                    return act()
                self._chunk_repair(damages[-1])
                damages.pop()
            except DamagedChunk as damage:
                repairs += 1
                is_again = any((one.layer, one.chunk) == (damage.layer, damage.chunk) for one in damages)
                if is_again or repairs > REPAIRS_MAX:
                    raise
                damages.append(damage)

    def _layers_label(self, progress: Progress) -> None:
        if self.is_labelled:
            return
        first, relabelled = self.position.chunk, 0
        self._ring_fill(self.position.layer, first)
        for layer in range(self.position.layer, self.shape.layers + 1):
            self._chunks_label(layer, first, self.shape.steps, progress=progress)
            while (node := self._wrong_node(layer)) is not None:
                if relabelled == layer:
                    raise PermanentError(WRONG_AGAIN.format(layer=layer, node=node))
                relabelled = layer  # from its first node on: more before this one may be wrong
                self._checkpoint(Position(layer, 0))
                self._ring_fill(layer, 0)
                self._chunks_label(layer, 0, self.shape.steps, progress=progress)
            self._checkpoint(Position(layer + 1, 0))
            first = 0
        self.memory_release()

    def _wrong_node(self, layer: int) -> int | None:
        return wrong_node(self.shape, layer, self.replica_ids, pages_read=self.pages_read)

    def _chunk_repair(self, damage: DamagedChunk) -> None:
        """Label one chunk again and write it to where it was."""
        self._ring_fill(damage.layer, damage.chunk)
        self._chunks_label(damage.layer, damage.chunk, damage.chunk + 1, progress=no_progress)
        self.drives.sync()
        self.chunk_read(damage.layer, damage.chunk)

    def _ring_fill(self, layer: int, chunk: int) -> None:
        """Read back the pages before a chunk, and the sums of this layer and the one before."""
        shape, window, ring = self.shape, self.shape.window // self.shape.chunk, self.memory.ring
        for other in range(shape.steps if layer > 1 else 0):
            self._sums_read(layer - 1, other)
        for other in range(max(chunk - window, 0)):
            self._sums_read(layer, other)
        for other in range(max(chunk - window, 0), chunk):
            at = other * shape.pages_bytes % ring.nbytes
            ring[at : at + shape.pages_bytes] = self.chunk_read(layer, other)

    def _chunks_label(self, layer: int, begin: int, end: int, *, progress: Progress) -> None:
        """Label chunks begin … end - 1 of a layer, with the pages before them in the ring."""
        shape, total = self.shape, self.shape.layers * self.shape.nodes
        groups, saved_at = range(len(self._ids)), time.monotonic()
        threads = min(thread_count(), len(groups))
        with ThreadPoolExecutor(threads) as labelling, ThreadPoolExecutor(2) as moving:
            self._read(layer, self._plan(layer, begin))
            written: Future[None] | None = None
            for chunk in range(begin, end):
                parts = [labelling.submit(self._label, layer, chunk, group) for group in groups]
                following = None
                if chunk + 1 < end:
                    following = moving.submit(self._read, layer, self._plan(layer, chunk + 1))
                for part in parts:
                    part.result()
                self.labelled += shape.chunk
                if written is not None:
                    written.result()
                    if time.monotonic() - saved_at >= CHECKPOINT_S:
                        self._checkpoint(Position(layer, chunk))
                        saved_at = time.monotonic()
                written = moving.submit(self._write, layer, chunk)
                if following is not None:
                    following.result()
                progress((layer - 1) * shape.nodes + (chunk + 1) * shape.chunk, total)
            if written is not None:
                written.result()


def batch_forget(path: Path, drives: PageDrives, *, also: Path | None = None) -> None:
    """Return the room of a batch that nobody waits for, by its file, and remove what lies beside it.

    A kill in between leaves one that begins anew if its sectors come.  Raises BadFile.
    """
    known = batch_read(path)
    extents = known.get("extents", ())
    if min(extents, default=-1) >= 0:
        write_file(path, json.dumps({**known, "layer": 1, "chunk": 0}).encode())
    if also is not None:
        also.unlink(missing_ok=True)
    for extent in extents:
        if extent >= 0:
            drives.extent_release(extent)
    path.unlink(missing_ok=True)


def batch_ids(path: Path) -> tuple[bytes, ...]:
    """Return the replica ids of a batch in the order of its lanes, by its file.  Raises BadFile."""
    return tuple(bytes.fromhex(replica_id) for replica_id in batch_read(path).get("ids", ()))


def _why(result: int, size: int) -> str:
    """Return why a page was not read."""
    if result < 0:
        return os.strerror(-result)
    return "not what was written" if result == size else f"{result} bytes of {size} read"


def sectors_a_thread(lanes: int) -> int:
    """Return how many sectors each thread labels: the fewest with which every thread has a core."""
    sizes = [size for size in labels.batches() if size > 1]
    return next((size for size in sizes if lanes // size <= thread_count()), max(sizes))
