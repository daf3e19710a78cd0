"""Layers of a batch on drives as files of its sectors, one layer after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import NODE_BYTES
from workers.processors.labelling import LabelledSector, is_layer_there
from workers.processors.parallel import Progress, no_progress
from workers.storage.checksums import Checksums
from workers.storage.files import space_check
from workers.storage.mapped import file_write, pages_release

if TYPE_CHECKING:
    from workers.processors.page_batch import PageBatch
    from workers.storage.sector import SectorFiles


def layer_files_write(
    batch: PageBatch, files: Sequence[SectorFiles | None], *, progress: Progress = no_progress
) -> None:
    """Write the layers of a labelled batch's sectors, those that are not there; None leaves a sector out.

    A layer's room on the drives is released once the files of the next are whole: a damaged chunk of that one
    is made again from it.  All sectors take one pass over the pages, which one alone would take too.
    Raises DamagedChunk, NotEnoughSpace, OSError.
    """
    shape = batch.shape
    for layer in range(1, shape.layers + 1):
        wanted = {
            lane: own
            for lane, own in enumerate(files)
            if own is not None and not is_layer_there(LabelledSector(own, batch.replica_ids[lane]), layer)
        }
        if wanted:
            _layer_write(batch, layer, wanted, progress=progress)
        if layer > 1:
            batch.layer_release(layer - 1)
    batch.layer_release(shape.layers)


def _layer_write(batch: PageBatch, layer: int, wanted: dict[int, SectorFiles], *, progress: Progress) -> None:
    shape, digests = batch.shape, {lane: sha256() for lane in wanted}
    size = NODE_BYTES * shape.nodes
    with contextlib.ExitStack() as stack:
        targets = {}
        for lane, own in wanted.items():
            space_check(own.cache, size)
            targets[lane] = stack.enter_context(file_write(own.layer(layer), size_bytes=size))
        for chunk in range(shape.steps):
            read = partial(batch.chunk_read, layer, chunk)
            pages = batch.repairing(read).reshape(shape.chunk, shape.lanes, NODE_BYTES)
            first = NODE_BYTES * shape.chunk * chunk
            for lane, target in targets.items():
                part = target[first : first + NODE_BYTES * shape.chunk]
                part[:] = np.ascontiguousarray(pages[:, lane]).reshape(-1)
                digests[lane].update(part.data)
                pages_release(part)
            progress((layer - 1) * shape.nodes + (chunk + 1) * shape.chunk, shape.layers * shape.nodes)
        for lane, own in wanted.items():
            Checksums(own.cache).record(own.layer(layer), digests[lane].hexdigest())
