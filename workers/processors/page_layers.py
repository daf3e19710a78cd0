"""Makes replicas and trees of the layers of a batch, or files of each sector's layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.scalars import NODE_BYTES
from workers.processors.card_trees import TRIED_LEVELS, tree_maker
from workers.processors.labelling import LabelledSector, is_layer_there
from workers.processors.parallel import Progress, no_progress, one_at_a_time, parallel_for
from workers.processors.pc2 import BaseTrees, ReplicaWriter, replica_writing, trees_bytes
from workers.processors.trees import CHUNK_LEVELS
from workers.storage.checksums import Checksums
from workers.storage.files import space_check
from workers.storage.mapped import file_write, pages_release, tree_d_nodes
from workers.storage.memory import available_bytes

if TYPE_CHECKING:
    from poolsite.wire.page_shape import PageShape
    from workers.processors.page_batch import PageBatch
    from workers.storage.mapped import Bytes
    from workers.storage.sector import SectorFiles


T = TypeVar("T")


class _Opened(Generic[T]):
    """The open files of several lanes; one that fails is not finished, and the others are."""

    def __init__(self, failed: dict[int, Exception]) -> None:
        self.failed, self._stacks, self._values = failed, dict[int, ExitStack](), dict[int, T]()

    def open(self, lane: int, context: AbstractContextManager[T]) -> None:
        """Open a lane's."""
        self._stacks[lane] = stack = ExitStack()
        self._values[lane] = stack.enter_context(context)

    def going_on(self) -> dict[int, T]:
        """Return what is open of those that have not failed."""
        return {lane: value for lane, value in self._values.items() if lane not in self.failed}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        for lane, stack in self._stacks.items():
            why = error or self.failed.get(lane)
            with noted(self.failed, lane):
                stack.__exit__(type(why) if why else None, why, None)


@contextmanager
def noted(failed: dict[int, Exception], lane: int) -> Iterator[None]:
    """Note an error as that of a lane: the others go on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # it belongs to the sector's own thread
        failed[lane] = error


def trees_write(
    batch: PageBatch, files: Mapping[int, SectorFiles], *, progress: Progress = no_progress
) -> dict[int, Exception]:
    """Encode labelled sectors of a batch and write their trees, by lane: all in one pass over the pages.

    So pc2 finds them there.  The layers stay where they are, for the proofs.  Return the error of each lane
    that has one of its own, as a removed folder.  Raises DamagedChunk, DriveFailed: no lane goes on then.
    """
    failed: dict[int, Exception] = {}
    alive = one_at_a_time(progress)
    with _Opened[ReplicaWriter](failed) as opened:
        for lane, own in files.items():
            with noted(failed, lane):
                if not own.is_encoded:
                    space_check(own.cache, trees_bytes(own))
                    opened.open(lane, replica_writing(own, tree_d_nodes(own)))
        missing = {lane: writer.missing() for lane, writer in opened.going_on().items()}
        for base_tree in sorted({at for numbers in missing.values() for at in numbers}):
            levels = _piece_levels(batch.shape, next(iter(files.values())))
            with _Opened[BaseTrees](failed) as trees:
                for lane, writer in opened.going_on().items():
                    with noted(failed, lane):
                        if base_tree in missing[lane]:
                            trees.open(lane, writer.base_tree(base_tree, levels=levels))
                _base_trees_write(batch, trees, progress=alive)
        on_part = partial(alive, 0, batch.shape.nodes)
        writers = opened.going_on().items()
        _each_done({lane: partial(writer.finish, on_part=on_part) for lane, writer in writers}, failed, alive)
    return failed


def _piece_levels(shape: PageShape, files: SectorFiles) -> int:
    """Return the levels of a piece of a base tree: of a chunk's nodes, which are read together.

    A card gets its smallest ones, whose labels are 11 MiB a sector; none where memory is short.
    """
    levels = tree_maker().levels(min(TRIED_LEVELS, files.base_levels))
    if levels > CHUNK_LEVELS and shape.pieces_bytes(BASE_ARITY**levels) <= available_bytes():
        return levels
    of_chunk = max(level for level in range(CHUNK_LEVELS + 1) if BASE_ARITY**level <= shape.chunk)
    return min(levels, max(of_chunk, files.discarded_rows + 1))


def _base_trees_write(batch: PageBatch, opened: _Opened[BaseTrees], *, progress: Progress) -> None:
    """Write the trees of one base tree of some lanes; the next piece is read while one is hashed."""
    one = next(iter(opened.going_on().values()), None)
    if one is None:
        return
    leaves, size = one.files.base_leaves, one.piece_nodes
    before = one.number * leaves
    with ThreadPoolExecutor(1) as reading:
        following = reading.submit(_rows_read, batch, before, size)
        for first in range(0, leaves, size):
            rows = following.result()
            if first + size < leaves:
                following = reading.submit(_rows_read, batch, before + first + size, size)
            writes = {
                lane: partial(_piece_write, own, first, rows, lane) for lane, own in opened.going_on().items()
            }
            _each_done(writes, opened.failed, progress)
    _each_done({lane: own.finish for lane, own in opened.going_on().items()}, opened.failed, progress)


def _rows_read(batch: PageBatch, first: int, count: int) -> list[Bytes]:
    """Return the labels of neighbouring nodes, by layer: u8[count, lanes, 32]."""
    shape, end, layers = batch.shape, first + count, []
    for layer in range(1, shape.layers + 1):
        rows = np.empty((count, shape.lanes, NODE_BYTES), np.uint8)
        for chunk in range(first // shape.chunk, -(-end // shape.chunk)):
            pages = batch.repairing(partial(batch.chunk_read, layer, chunk))
            begin = chunk * shape.chunk
            part = slice(max(first, begin), min(end, begin + shape.chunk))
            own = pages.reshape(shape.chunk, shape.lanes, NODE_BYTES)[part.start - begin : part.stop - begin]
            rows[part.start - first : part.stop - first] = own
        layers.append(rows)
    batch.memory_release()  # of a repair
    return layers


def _piece_write(trees: BaseTrees, first: int, rows: Sequence[Bytes], lane: int) -> None:
    own = [np.ascontiguousarray(layer[:, lane]).view(np.uint64) for layer in rows]
    trees.piece_write(first, own)


def _each_done(
    acts: Mapping[int, Callable[[], None]], failed: dict[int, Exception], progress: Progress
) -> None:
    """Do an act of each lane, on all cores; an error is that lane's."""
    lanes = list(acts)

    def work(first: int, end: int) -> None:
        for lane in lanes[first:end]:
            with noted(failed, lane):
                acts[lane]()

    parallel_for(work, len(lanes), size=1, progress=progress)


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
    with ExitStack() as stack:
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
