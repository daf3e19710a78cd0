"""Stage pc2: columns, encoding and the two Poseidon trees, in one pass over the layers.

Resumes at the first base tree that is not there whole; asked again for a sector that it has encoded, it makes
all of it anew if any file of that is damaged.  The replica is written beside the staged
copy and takes its place at the end, so a kill never leaves a half-encoded sealed file.
Source: rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/proof.rs
(generate_tree_c_cpu, generate_tree_r_last_cpu).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.scalars import NODE_BYTES
from workers.kernels import field, poseidon
from workers.processors.card_trees import tree_maker
from workers.processors.damaged_files import damaged_of
from workers.processors.errors import BadInput, file_error
from workers.processors.layer_source import Layers, layers_of, rows_release
from workers.processors.parallel import Progress, no_progress, one_at_a_time, parallel_for
from workers.processors.seal_proofs import parameters_named
from workers.processors.sector_trees import TreeC, TreeRLast, rows_place
from workers.processors.tasks import Pc2Output, Pc2Task
from workers.processors.trees import CHUNK_LEVELS, grow_octonary, is_octonary, node_bytes
from workers.storage.checksums import Checksums, part_ignore
from workers.storage.files import is_complete, space_check, sync_file, sync_folder, temporary_name
from workers.storage.mapped import (
    Bytes,
    Nodes,
    as_nodes,
    file_write,
    mapped_digest,
    pages_release,
    tree_c_nodes,
    tree_d_nodes,
)
from workers.storage.sector import SectorFiles, tree_nodes


def run(task: Pc2Task, *, progress: Progress = no_progress) -> Pc2Output:
    """Encode the sector and build its trees.

    Raises BadFile for missing or truncated files of pc1, BadInput if comm_d is not that of tree-d.
    """
    parameters = parameters_named(task.pc1out.registered_proof)
    files = SectorFiles(parameters, Path(task.cache_dir), Path(task.sealed_file))
    comm_r = seal_trees(files, comm_d=task.pc1out.comm_d, progress=progress)
    return Pc2Output(parameters.name, comm_r, task.pc1out.comm_d)


def seal_trees(files: SectorFiles, *, comm_d: bytes, progress: Progress = no_progress) -> bytes:
    """Write tree-c, the replica, tree-r-last, p_aux and t_aux; return comm_r."""
    nodes = files.parameters.nodes
    try:
        _inputs_check(files, progress=progress)
        data = tree_d_nodes(files)
    except OSError as error:
        raise file_error(error) from None
    if node_bytes(data[-1]) != comm_d:
        raise BadInput("comm_d is not the root of tree-d")
    if files.is_encoded and not _is_complete(files, progress=progress):
        files.forget_trees()
    if not files.is_encoded:
        space_check(files.cache, trees_bytes(files))
        try:
            layers = layers_of(files)
        except OSError as error:
            raise file_error(error) from None
        with replica_writing(files, data) as writer:
            for base_tree in writer.missing():
                _base_trees_write(writer, base_tree, layers, progress=progress)
            writer.finish(on_part=partial(progress, nodes, nodes))
    comm_c, comm_r_last = TreeC(files).root, TreeRLast(files).root
    files.roots_write(comm_c, comm_r_last)
    return poseidon.hash_values([comm_c, comm_r_last])


def _is_complete(files: SectorFiles, *, progress: Progress) -> bool:
    """Return whether an earlier run's files are what it wrote; tree-c has no sum, but its hashes tell."""
    trees, alive = range(files.base_trees), _still_checking(files, progress)
    if damaged_of(files.cache, [files.sealed, *map(files.tree_r_last, trees)], on_part=alive):
        return False
    return all(is_octonary(tree_c_nodes(files, at), files.base_leaves, on_part=alive) for at in trees)


def _still_checking(files: SectorFiles, progress: Progress) -> Callable[[], None]:
    """Return what tells that the stage goes on while files are checked: nothing is made yet."""
    report = one_at_a_time(progress)
    return lambda: report(0, files.parameters.nodes)


def trees_bytes(files: SectorFiles) -> int:
    """Return the disk room that pc2 still takes: the base trees that are missing and the replica."""
    tree = NODE_BYTES * (tree_nodes(files.base_leaves, BASE_ARITY) + files.tree_r_last_nodes)
    missing = sum(not files.has_trees(at) for at in range(files.base_trees))
    size = files.parameters.sector_bytes
    started = any(is_complete(path, size) for path in (files.encoding, temporary_name(files.encoding)))
    return missing * tree + (0 if started else size)


def _inputs_check(files: SectorFiles, *, progress: Progress) -> None:
    """Raise DamagedFile if a layer or tree-d is not what pc1 wrote, OSError if one is missing."""
    checksums, alive = Checksums(files.cache), _still_checking(files, progress)
    layers = [files.layer(layer) for layer in range(1, files.parameters.layers + 1)]
    paths = [files.tree_d, *([] if files.layers_place.exists() else layers)]

    def work(first: int, end: int) -> None:
        for path in paths[first:end]:
            checksums.check(path, on_part=alive)

    parallel_for(work, len(paths), size=1)


def _base_trees_write(writer: ReplicaWriter, base_tree: int, layers: Layers, *, progress: Progress) -> None:
    """Write one base tree of each kind, and its part of the replica, from the whole layers."""
    files, before = writer.files, base_tree * writer.files.base_leaves
    with writer.base_tree(base_tree, levels=tree_maker().levels(files.base_levels)) as trees:

        def work(first: int, end: int) -> None:
            rows = [layer[before + first : before + end] for layer in layers]
            trees.piece_write(first, rows)
            rows_release(layers, rows)

        def piece_done(done: int, _: int) -> None:
            progress(before + done, files.parameters.nodes)

        parallel_for(work, files.base_leaves, size=trees.piece_nodes, progress=piece_done)
        trees.finish()


@contextmanager
def replica_writing(files: SectorFiles, data: Nodes) -> Iterator[ReplicaWriter]:
    """Open the replica, which takes the staged copy's place once it is written.  Raises OSError."""
    size = files.parameters.sector_bytes
    if is_complete(files.encoding, size):
        yield ReplicaWriter(files, data, None, is_continued=True)
    else:
        is_continued = is_complete(temporary_name(files.encoding), size)
        with file_write(files.encoding, size_bytes=size, keep=True) as raw:
            yield ReplicaWriter(files, data, raw, is_continued=is_continued)
    files.encoding.replace(files.sealed)
    sync_folder(files.sealed.parent)


class ReplicaWriter:
    """Writes the replica of a sector, with both trees of one base tree after the other."""

    def __init__(self, files: SectorFiles, data: Nodes, raw: Bytes | None, *, is_continued: bool) -> None:
        """`raw` is the replica's file; None if it was written whole before."""
        self.files, self.data, self.raw, self.is_continued = files, data, raw, is_continued

    def missing(self) -> list[int]:
        """Return the base trees that are not there whole."""
        if self.raw is None:
            return []
        has_trees = self.files.has_trees
        return [at for at in range(self.files.base_trees) if not (self.is_continued and has_trees(at))]

    @contextmanager
    def base_tree(self, base_tree: int, *, levels: int = CHUNK_LEVELS) -> Iterator[BaseTrees]:
        """Open both trees of one base tree, which are made in pieces of at most so many levels."""
        files = self.files
        assert self.raw is not None
        tree_bytes = NODE_BYTES * tree_nodes(files.base_leaves, BASE_ARITY)
        stored = NODE_BYTES * files.tree_r_last_nodes
        part = slice(base_tree * files.base_leaves, (base_tree + 1) * files.base_leaves)
        with (
            file_write(files.tree_c(base_tree), size_bytes=tree_bytes) as raw_c,
            file_write(files.tree_r_last(base_tree), size_bytes=stored) as raw_r,
        ):
            data, replica = self.data[part], as_nodes(self.raw)[part]
            yield BaseTrees(files, base_tree, min(files.base_levels, levels), data, replica, raw_c, raw_r)

    def finish(self, *, on_part: Callable[[], None] = part_ignore) -> None:
        """Note the replica's digest, once all base trees are written.

        `on_part` is called while it is read.
        """
        if self.raw is not None:
            digest = mapped_digest(self.raw, on_part=on_part)
            Checksums(self.files.cache).record(self.files.sealed, digest)


@dataclass(frozen=True, slots=True)
class BaseTrees:
    """Tree-c and tree-r-last of one base tree while they are written, with their part of data and replica."""

    files: SectorFiles
    number: int
    levels: int
    """Levels of a piece."""
    data: Nodes
    replica: Nodes
    raw_c: Bytes
    raw_r: Bytes

    @property
    def piece_nodes(self) -> int:
        """Return the nodes of a piece: what a thread encodes and hashes at a time."""
        return int(BASE_ARITY**self.levels)

    def piece_write(self, first: int, rows: Sequence[Nodes]) -> None:
        """Write the piece that begins at a leaf: its columns' hashes, its replica, and the rows over both.

        rows: the piece's labels by layer, u64[nodes, 4] each.
        """
        size, levels, skipped, maker = (
            self.piece_nodes,
            self.levels,
            self.files.discarded_rows + 1,
            tree_maker(),
        )
        data, own = self.data[first : first + size], self.replica[first : first + size]
        small = np.empty((tree_nodes(size, BASE_ARITY), 4), np.uint64)
        maker.columns_grow(rows, small, size)
        rows_place(small, as_nodes(self.raw_c), levels=levels, skipped=0, piece=first // size)
        field.add_rows(rows[-1], data, own)
        small[:size] = own
        maker.grow(small, size)
        rows_place(small, as_nodes(self.raw_r), levels=levels, skipped=skipped, piece=first // size)
        pages_release(data)
        pages_release(own)

    def finish(self) -> None:
        """Write the rows over the pieces."""
        pieces = self.files.base_leaves // self.piece_nodes
        for tree in (as_nodes(self.raw_c), as_nodes(self.raw_r)):
            grow_octonary(tree[len(tree) - tree_nodes(pieces, BASE_ARITY) :], pieces)
        path = self.files.tree_r_last(self.number)
        Checksums(self.files.cache).record(path, mapped_digest(self.raw_r))
        sync_file(temporary_name(self.files.encoding))
