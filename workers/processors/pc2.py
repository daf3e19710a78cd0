"""Stage pc2: columns, encoding and the two Poseidon trees, in one pass over the layers.

Resumes at the first base tree that is not there whole; asked again for a sector that it has encoded, it makes
all of it anew if any file of that is damaged.  The replica is written beside the staged
copy and takes its place at the end, so a kill never leaves a half-encoded sealed file.
Source: rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/proof.rs
(generate_tree_c_cpu, generate_tree_r_last_cpu).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.scalars import NODE_BYTES
from workers.kernels import field, poseidon
from workers.processors.damaged_files import damaged_of
from workers.processors.errors import BadInput, file_error
from workers.processors.parallel import Progress, no_progress, one_at_a_time, parallel_for
from workers.processors.seal_proofs import parameters_named
from workers.processors.sector_trees import TreeC, TreeRLast, rows_place
from workers.processors.tasks import Pc2Output, Pc2Task
from workers.processors.trees import CHUNK_LEVELS, grow_octonary, is_octonary, node_bytes
from workers.storage.checksums import Checksums
from workers.storage.files import is_complete, space_check, sync_file, sync_folder, temporary_name
from workers.storage.mapped import (
    Nodes,
    as_nodes,
    file_write,
    layer_nodes,
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
    try:
        _inputs_check(files, progress=progress)
        data = tree_d_nodes(files)
        layers = [layer_nodes(files, layer) for layer in range(1, files.parameters.layers + 1)]
    except OSError as error:
        raise file_error(error) from None
    if node_bytes(data[-1]) != comm_d:
        raise BadInput("comm_d is not the root of tree-d")
    if files.is_encoded and not _is_complete(files, progress=progress):
        files.forget_trees()
    if not files.is_encoded:
        space_check(files.cache, trees_bytes(files))
        _replica_write(files, layers, data=data, progress=progress)
        files.encoding.replace(files.sealed)
        sync_folder(files.sealed.parent)
    comm_c, comm_r_last = TreeC(files).root, TreeRLast(files).root
    files.roots_write(comm_c, comm_r_last)
    return poseidon.hash_values([comm_c, comm_r_last])


def _is_complete(files: SectorFiles, *, progress: Progress) -> bool:
    """Return whether an earlier run's files are what it wrote; tree-c has no sum, but its hashes tell."""
    trees, alive = range(files.base_trees), _still_checking(files, progress)
    if damaged_of(files.cache, [files.sealed, *map(files.tree_r_last, trees)], on_part=alive):
        return False
    for at in trees:
        alive()
        if not is_octonary(tree_c_nodes(files, at), files.base_leaves):
            return False
    return True


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
    paths = [files.tree_d, *(files.layer(layer) for layer in range(1, files.parameters.layers + 1))]

    def work(first: int, end: int) -> None:
        for path in paths[first:end]:
            checksums.check(path, on_part=alive)

    parallel_for(work, len(paths), size=1)


def _replica_write(files: SectorFiles, layers: list[Nodes], *, data: Nodes, progress: Progress) -> None:
    """Write the base trees that are missing, and with them their part of the replica."""
    size = files.parameters.sector_bytes
    if is_complete(files.encoding, size):
        return
    keep = is_complete(temporary_name(files.encoding), size)
    with file_write(files.encoding, size_bytes=size, keep=True) as raw:
        replica = as_nodes(raw)
        for base_tree in range(files.base_trees):
            if keep and files.has_trees(base_tree):
                continue
            first = base_tree * files.base_leaves
            part = slice(first, first + files.base_leaves)
            _base_trees_write(
                files,
                base_tree,
                layers=[layer[part] for layer in layers],
                data=data[part],
                replica=replica[part],
                progress=_shifted(progress, first, files.parameters.nodes),
            )
        Checksums(files.cache).record(files.sealed, mapped_digest(raw))


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    """Report the progress of one part as that of the whole."""
    return lambda done, _: progress(before + done, total)


def _base_trees_write(
    files: SectorFiles,
    base_tree: int,
    *,
    layers: list[Nodes],
    data: Nodes,
    replica: Nodes,
    progress: Progress,
) -> None:
    """Write tree-c and tree-r-last of one base tree and its part of the replica."""
    tree_bytes = NODE_BYTES * tree_nodes(files.base_leaves, BASE_ARITY)
    stored = NODE_BYTES * files.tree_r_last_nodes
    levels = min(files.base_levels, CHUNK_LEVELS)
    chunk = BASE_ARITY**levels
    with (
        file_write(files.tree_c(base_tree), size_bytes=tree_bytes) as raw_c,
        file_write(files.tree_r_last(base_tree), size_bytes=stored) as raw_r,
    ):
        tree_c, tree_r = as_nodes(raw_c), as_nodes(raw_r)

        def work(first: int, end: int) -> None:
            small = np.empty((tree_nodes(chunk, BASE_ARITY), 4), np.uint64)
            poseidon.hash_columns([layer[first:end] for layer in layers], small[:chunk])
            grow_octonary(small, chunk)
            rows_place(small, tree_c, levels=levels, skipped=0, piece=first // chunk)
            field.add_rows(layers[-1][first:end], data[first:end], replica[first:end])
            small[:chunk] = replica[first:end]
            grow_octonary(small, chunk)
            rows_place(small, tree_r, levels=levels, skipped=files.discarded_rows + 1, piece=first // chunk)
            for rows in (*layers, data, replica):
                pages_release(rows[first:end])

        parallel_for(work, files.base_leaves, size=chunk, progress=progress)
        for tree in (tree_c, tree_r):
            pieces = files.base_leaves // chunk
            grow_octonary(tree[len(tree) - tree_nodes(pieces, BASE_ARITY) :], pieces)
        Checksums(files.cache).record(files.tree_r_last(base_tree), mapped_digest(raw_r))
        sync_file(temporary_name(files.encoding))
