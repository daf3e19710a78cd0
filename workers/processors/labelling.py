"""Labelling all layers of one or more sectors of one graph, side by side.

Two layers of every sector are resident, their nodes side by side, in huge pages; each layer is
written to its file as it grows.  Work goes on at the first layer that is not there whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.wire.sums import labelling_bytes
from workers.kernels import labels
from workers.processors.layer_source import is_labelled_on_drives
from workers.processors.parallel import Progress, no_progress, ranges
from workers.processors.parent_cache import Parents, parents_of, rows_release
from workers.processors.resident import PART_BYTES, resident_allocate
from workers.storage.checksums import Checksums
from workers.storage.files import is_complete
from workers.storage.mapped import as_nodes, file_read, file_write, layer_nodes, pages_release

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.storage.mapped import Nodes
    from workers.storage.sector import SectorFiles

CHUNK_NODES = 1 << 16
"""Labels between two writes to the files: 2 MiB a sector, a twentieth of a second."""

Words = np.ndarray[Any, np.dtype[np.uint32]]


@dataclass(frozen=True, slots=True)
class LabelledSector:
    """A sector to be labelled."""

    files: SectorFiles
    replica_id: bytes


def memory_needed(parameters: SealParameters, sectors: int) -> int:
    """Return the bytes of memory that labelling takes."""
    return labelling_bytes(parameters.sector_bytes) * sectors


def label_sectors(
    sectors: Sequence[LabelledSector], *, progress: Progress = no_progress, folder: Path | None = None
) -> None:
    """Label sectors of one graph, as many at once as stand at the same layer and one kernel takes.

    Raises NotEnoughRoom if memory is short.
    """
    parameters = sectors[0].files.parameters
    starts = {start: [] for start in range(1, parameters.layers + 2)}  # type: dict[int, list[LabelledSector]]
    for sector in sectors:
        starts[first_missing(sector)].append(sector)
    del starts[parameters.layers + 1]
    if not any(starts.values()):
        return
    total = parameters.layers * parameters.nodes
    parents = parents_of(parameters, folder=folder, progress=lambda *_: progress(0, total))
    for start, waiting in starts.items():
        while waiting:
            count = max(size for size in labels.batches() if size <= len(waiting))
            _label_batch(waiting[:count], start, parents=parents, progress=progress)
            waiting = waiting[count:]


def first_missing(sector: LabelledSector) -> int:
    """Return the first layer that is not there whole; one more than there are if all are."""
    if is_labelled_on_drives(sector.files, sector.replica_id):
        return sector.files.parameters.layers + 1
    layers = range(1, sector.files.parameters.layers + 1)
    return next((layer for layer in layers if not is_layer_there(sector, layer)), len(layers) + 1)


def is_layer_there(sector: LabelledSector, layer: int) -> bool:
    """Return whether a layer is there whole and of this replica id (another ticket leaves old ones)."""
    path = sector.files.layer(layer)
    if not is_complete(path, sector.files.parameters.sector_bytes):
        return False
    with path.open("rb") as file:
        return file.read(NODE_BYTES) == labels.first_label(sector.replica_id, layer)


def last_layer(sector: LabelledSector, *, progress: Progress = no_progress) -> Nodes:
    """Return the labels of the last layer: from its file if it is there, else made again.

    They are in memory of our own and may be overwritten.  Raises NotEnoughRoom.
    """
    parameters = sector.files.parameters
    total = parameters.layers * parameters.nodes

    def alive() -> None:
        progress(0, total)

    if is_layer_there(sector, parameters.layers):
        Checksums(sector.files.cache).check(sector.files.layer(parameters.layers), on_part=alive)
        size = parameters.sector_bytes
        [raw] = resident_allocate(1, size_bytes=size, purpose="the last layer", alive=alive)
        own = as_nodes(raw)
        _copy(own, layer_nodes(sector.files, parameters.layers), alive=alive)
        return own
    parents = parents_of(parameters, progress=lambda *_: alive())
    buffers = _buffers([sector], alive=alive)
    for layer in range(1, parameters.layers + 1):
        for _, end in _labelled([sector], layer, parents=parents, buffers=buffers):
            progress((layer - 1) * parameters.nodes + end, total)
    return buffers[parameters.layers % 2].reshape(-1, 8).view(np.uint64)


def _buffers(sectors: Sequence[LabelledSector], *, alive: Callable[[], None]) -> list[Words]:
    """Return the two resident layers.  Raises NotEnoughRoom."""
    parameters, count = sectors[0].files.parameters, len(sectors)
    shape = (parameters.nodes, count, NODE_BYTES // 4)
    half, purpose = memory_needed(parameters, count) // 2, f"labelling {count} sectors"
    layers = resident_allocate(2, size_bytes=half, purpose=purpose, alive=alive)
    return [layer.view(np.uint32).reshape(shape) for layer in layers]


def _copy(target: np.ndarray[Any, Any], layer: np.ndarray[Any, Any], *, alive: Callable[[], None]) -> None:
    """Copy a layer, calling `alive` after each part: it is read from a disk."""
    for first, end in ranges(len(layer), PART_BYTES // NODE_BYTES):
        target[first:end] = layer[first:end]
        alive()


def _label_batch(
    sectors: Sequence[LabelledSector], start: int, *, parents: Parents, progress: Progress
) -> None:
    parameters = sectors[0].files.parameters
    made, total = (start - 1) * parameters.nodes, parameters.layers * parameters.nodes
    buffers = _buffers(sectors, alive=lambda: progress(made, total))
    if start > 1:
        for at, sector in enumerate(sectors):
            path = sector.files.layer(start - 1)
            Checksums(sector.files.cache).check(path, on_part=lambda: progress(made, total))
            raw = file_read(path, size_bytes=parameters.sector_bytes)
            target, alive = buffers[(start - 1) % 2][:, at], lambda: progress(made, total)
            _copy(target, raw.view(np.uint32).reshape(-1, 8), alive=alive)
    for layer in range(start, parameters.layers + 1):
        for end in _layer_write(sectors, layer, parents=parents, buffers=buffers):
            progress((layer - 1) * parameters.nodes + end, total)


def _labelled(
    sectors: Sequence[LabelledSector], layer: int, *, parents: Parents, buffers: Sequence[Words]
) -> Iterator[tuple[int, int]]:
    """Label one layer in memory; gives each range of nodes that is done."""
    current, previous = buffers[layer % 2], buffers[(layer - 1) % 2]
    joined = b"".join(sector.replica_id for sector in sectors)
    replica_ids = np.frombuffer(joined, np.uint32).reshape(-1, 8).copy()
    for at, sector in enumerate(sectors):
        current[0, at] = np.frombuffer(labels.first_label(sector.replica_id, layer), np.uint32)
    for first, end in ranges(len(current), CHUNK_NODES):
        rows = slice(max(first, 1), end)
        labels.label_rows(
            replica_ids, current, previous, layer=layer, first=rows.start, parents=parents[rows]
        )
        rows_release(parents, rows)
        yield first, end


def _layer_write(
    sectors: Sequence[LabelledSector], layer: int, *, parents: Parents, buffers: Sequence[Words]
) -> Iterator[int]:
    """Write one layer of each sector; gives the number of nodes done from time to time."""
    parameters = sectors[0].files.parameters
    current, digests = buffers[layer % 2], [sha256() for _ in sectors]
    with contextlib.ExitStack() as stack:
        targets = [
            stack.enter_context(file_write(sector.files.layer(layer), size_bytes=parameters.sector_bytes))
            for sector in sectors
        ]
        for first, end in _labelled(sectors, layer, parents=parents, buffers=buffers):
            for at, target in enumerate(targets):
                part = target[NODE_BYTES * first : NODE_BYTES * end]
                part.view(np.uint32).reshape(-1, 8)[:] = current[first:end, at]
                digests[at].update(part.data)
                pages_release(part)
            yield end
        for sector, digest in zip(sectors, digests, strict=True):
            Checksums(sector.files.cache).record(sector.files.layer(layer), digest.hexdigest())
