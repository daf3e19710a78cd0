"""Stage tree_d: the binary SHA-254 tree over the staged data.

The tree of an empty sector is the same for all of a size: a host makes it once, each sector's is a link.

Source: rust-fil-proofs filecoin-proofs/src/api/seal.rs seal_pre_commit_phase1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.private_files import locked
from workers.processors.errors import BadFile
from workers.processors.parallel import Progress, no_progress, ranges
from workers.processors.seal_proofs import parameters_named
from workers.processors.tasks import TreeDOutput, TreeDTask
from workers.processors.trees import binary_row, grow, is_binary, node_bytes
from workers.storage.checksums import Checksums
from workers.storage.files import DamagedFile, is_hole, link_write
from workers.storage.mapped import (
    Bytes,
    Nodes,
    as_nodes,
    file_write,
    mapped_digest,
    pages_release,
    tree_d_nodes,
)
from workers.storage.sector import SectorFiles, tree_nodes

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters

COMPARED_AT_ONCE = 1 << 20
"""Nodes: 32 MiB."""
ZERO_SOURCE = "/dev/zero"
"""A staged file of zeros that need not exist."""


def run(task: TreeDTask, *, progress: Progress = no_progress) -> TreeDOutput:
    """Write tree-d; done at once if it is there and right.

    Raises BadFile if the staged file is missing or longer than the sector.
    """
    parameters = parameters_named(task.registered_proof)
    files = SectorFiles(parameters, Path(task.cache_dir), Path(task.staged_file))
    return TreeDOutput(tree_d_build(files, task.staged_file, progress=progress))


def tree_d_build(files: SectorFiles, staged_file: str, *, progress: Progress = no_progress) -> bytes:
    """Write tree-d over the staged data unless it is there with this data and right hashes."""
    parameters = files.parameters
    files.cache.mkdir(parents=True, exist_ok=True)
    if is_empty(staged_file, parameters):
        root = _zeros_link(files)
        progress(parameters.nodes, parameters.nodes)
        return root
    staged = staged_data(staged_file, parameters)
    nodes = parameters.nodes
    if files.tree_d.exists():
        tree = _tree_found(files)
        if tree is not None and _is_of(tree, as_nodes(staged), on_part=partial(progress, 0, nodes)):
            return node_bytes(tree[-1])
    with file_write(files.tree_d, size_bytes=NODE_BYTES * tree_nodes(nodes, 2)) as raw:
        tree = as_nodes(raw)
        _leaves_read(staged_file, raw[: parameters.sector_bytes])
        grow(tree, nodes, arity=2, hash_row=_row_write, progress=progress)
        Checksums(files.cache).record(files.tree_d, mapped_digest(raw))
        return node_bytes(tree[-1])


def is_empty(staged_file: str, parameters: SealParameters) -> bool:
    """Return whether the staged data are zeros that take no disk."""
    if staged_file == ZERO_SOURCE:
        return True
    path = Path(staged_file)
    return path.exists() and path.stat().st_size <= parameters.sector_bytes and is_hole(path)


def zeros_file(files: SectorFiles) -> Path:
    """Return where a host keeps the tree of empty sectors of this size: beside their cache folders."""
    return files.cache.with_name(f"tree-d-of-zeros-{files.parameters.sector_bytes}")


def _zeros_link(files: SectorFiles) -> bytes:
    """Link the tree of an empty sector, built when the first needs it; return the root."""
    shared, sums = zeros_file(files), Checksums(files.cache)
    with locked(shared.with_name(f"{shared.name}.lock")):  # several sectors of a host may be the first
        digest = _zeros_known(shared) or _zeros_write(shared, files.parameters)
    if sums.known(files.tree_d) != digest:
        sums.record(files.tree_d, digest)
    if not (files.tree_d.exists() and files.tree_d.samefile(shared)):
        link_write(shared, files.tree_d)
    return sha254_zero(files.parameters.sector_bytes)


_seen: set[tuple[int, int, int]] = set()
"""Device, inode and time of the shared trees that this process has read."""


def _zeros_known(shared: Path) -> str | None:
    """Return the digest of the shared tree if it is whole, which is looked at once by each process."""
    if not shared.exists():
        return None
    sums, found = Checksums(shared), shared.stat()
    name = (found.st_dev, found.st_ino, found.st_mtime_ns)
    if name not in _seen:
        try:
            sums.check(shared)
        except DamagedFile:
            return None
        _seen.add(name)
    return sums.known(shared)


def _zeros_write(shared: Path, parameters: SealParameters) -> str:
    """Write the tree over zeros: a row's nodes are all the same.  Return its digest."""
    nodes = parameters.nodes
    with file_write(shared, size_bytes=NODE_BYTES * tree_nodes(nodes, 2)) as raw:
        tree, start, width = as_nodes(raw), nodes, nodes // 2
        while width:
            root = sha254_zero(NODE_BYTES * (nodes // width))
            tree[start : start + width] = np.frombuffer(root, np.uint64)
            start, width = start + width, width // 2
        digest = mapped_digest(raw)
        Checksums(shared).record(shared, digest)
    return digest


def _leaves_read(staged_file: str, leaves: Bytes) -> None:
    """Copy the staged data into a new tree, which is zero behind it."""
    if staged_file == ZERO_SOURCE:
        return
    with Path(staged_file).open("rb", buffering=0) as file:
        left = leaves.data
        while size := file.readinto(left):
            left = left[size:]


def _row_write(lower: Nodes, upper: Nodes) -> None:
    """Hash a row of the tree's file, and give back the memory of the row below."""
    binary_row(lower, upper)
    pages_release(lower)


def _tree_found(files: SectorFiles) -> Nodes | None:
    try:
        return tree_d_nodes(files)
    except OSError:
        return None


def _is_of(tree: Nodes, staged: Nodes, *, on_part: Callable[[], None]) -> bool:
    """Return whether a tree is that of these data.  All at once, comparing takes an eighth of them."""
    for first, end in ranges(len(staged), COMPARED_AT_ONCE):
        if not np.array_equal(tree[first:end], staged[first:end]):
            return False
        on_part()
    return is_binary(tree, len(staged), on_part=on_part)


def staged_data(staged_file: str, parameters: SealParameters) -> Bytes:
    """Return the staged data, extended with zeros to the sector size.  Raises BadFile."""
    size = parameters.sector_bytes
    if staged_file == ZERO_SOURCE:
        return np.zeros(size, np.uint8)
    path = Path(staged_file)
    try:
        data = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise BadFile(f"staged file {path}: {error}") from None
    if len(data) > size:
        raise BadFile(f"staged file {path} has {len(data)} bytes, more than the sector's {size}")
    if len(data) == size and size % 8 == 0:
        return np.asarray(data)
    return np.concatenate([data, np.zeros(size - len(data), np.uint8)])
