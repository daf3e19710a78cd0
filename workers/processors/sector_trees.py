"""The trees of a sector that its proofs open: tree C and tree R last, of several base trees each."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY, MerkleProof, PathElement
from poolsite.filecoin.scalars import NODE_BYTES
from workers.processors.card_trees import tree_maker
from workers.processors.parallel import Progress, no_progress, parallel_for
from workers.processors.trees import grow_octonary, node_bytes, row_path, upper_rows
from workers.storage.mapped import (
    NodesFile,
    as_nodes,
    file_write,
    pages_release,
    sealed_nodes,
    tree_c_nodes,
    tree_r_last_rows,
)
from workers.storage.sector import tree_nodes

if TYPE_CHECKING:
    from workers.storage.mapped import Nodes
    from workers.storage.sector import SectorFiles


class SectorTree(abc.ABC):
    """tree-c or tree-r-last of a sector: its base trees and the rows over them."""

    def __init__(self, files: SectorFiles, base_roots: Sequence[bytes]) -> None:
        shape = files.parameters.shape
        self.files = files
        self.rows = upper_rows(base_roots, sub=shape.sub, top=shape.top)

    @property
    def root(self) -> bytes:
        """Return comm_c or comm_r_last."""
        return self.rows[-1][0]

    @abc.abstractmethod
    def base_path(self, base_tree: int, index: int) -> tuple[tuple[PathElement, ...], bytes]:
        """Return the path of a leaf inside its base tree, and the leaf."""

    def proof(self, index: int) -> MerkleProof:
        """Return the inclusion proof of one leaf."""
        base_tree, inside = divmod(index, self.files.base_leaves)
        base, leaf = self.base_path(base_tree, inside)
        upper, position = [], base_tree
        for row, above in zip(self.rows, self.rows[1:], strict=False):
            arity = len(row) // len(above)
            parent, own = divmod(position, arity)
            group = row[parent * arity : (parent + 1) * arity]
            upper.append((PathElement((*group[:own], *group[own + 1 :]), own),))
            position = parent
        sub, top = (*upper, (), ())[:2]
        return MerkleProof(base, sub, top, self.root, leaf)


class TreeC(SectorTree):
    """The tree over the columns, stored whole."""

    def __init__(self, files: SectorFiles) -> None:
        self.trees = tuple(tree_c_nodes(files, at) for at in range(files.base_trees))
        super().__init__(files, [node_bytes(tree[-1]) for tree in self.trees])

    def base_path(self, base_tree: int, index: int) -> tuple[tuple[PathElement, ...], bytes]:
        """Return the path of a column hash inside its base tree, and the column hash."""
        tree = self.trees[base_tree]
        return row_path(tree, self.files.base_leaves, index, arity=BASE_ARITY), node_bytes(tree[index])


class ReplicaTree(SectorTree):
    """The tree over the replica, whose leaves are the sealed file and whose lowest rows are not stored."""

    def __init__(
        self, files: SectorFiles, rows: Sequence[Nodes | NodesFile], leaves: Nodes | NodesFile
    ) -> None:
        self._rows, self._leaves = rows, leaves
        super().__init__(files, [node_bytes(tree[-1:]) for tree in rows])

    def base_path(self, base_tree: int, index: int) -> tuple[tuple[PathElement, ...], bytes]:
        """Return the path of a replica node inside its base tree, and the node.

        The rows that are not stored are hashed again from the aligned piece of the replica around it.
        """
        files = self.files
        span = BASE_ARITY ** (files.discarded_rows + 1)
        piece, inside = divmod(index, span)
        first = base_tree * files.base_leaves + piece * span
        small = np.empty(((span * BASE_ARITY - 1) // (BASE_ARITY - 1), 4), np.uint64)
        small[:span] = self._leaves[first : first + span]
        grow_octonary(small, span)
        lower = row_path(small, span, inside, arity=BASE_ARITY)
        upper = row_path(self._rows[base_tree], files.base_leaves // span, piece, arity=BASE_ARITY)
        return (*lower, *upper), node_bytes(small[inside])


class TreeRLast(ReplicaTree):
    """The tree over the replica, mapped: for stages that open many leaves of a sector under way."""

    def __init__(self, files: SectorFiles) -> None:
        self.trees = tuple(tree_r_last_rows(files, at) for at in range(files.base_trees))
        self.replica = sealed_nodes(files)
        super().__init__(files, self.trees, self.replica)


class ReadTreeRLast(ReplicaTree):
    """The same tree, read with pread: an unreadable block is an OSError of this sector.

    In a mapped file it would be a SIGBUS that ends the process.
    """

    def __init__(self, files: SectorFiles, opened: ExitStack) -> None:
        """Open the files until `opened` ends.  Raises TruncatedFile, OSError."""

        def nodes(path: Path, count: int) -> NodesFile:
            return opened.enter_context(closing(NodesFile(path, count)))

        leaves = nodes(files.sealed, files.parameters.nodes)
        rows = [nodes(files.tree_r_last(at), files.tree_r_last_nodes) for at in range(files.base_trees)]
        super().__init__(files, rows, leaves)


def rows_place(small: Nodes, tree: Nodes, *, levels: int, skipped: int, piece: int) -> None:
    """Copy the rows of a piece's tree into the mapped file, which lacks the `skipped` lowest."""
    lowest = (len(tree) * (BASE_ARITY - 1) + 1) // BASE_ARITY  # width of the lowest row in the file
    pieces = lowest // BASE_ARITY ** (levels - skipped)
    start = start_small = 0
    for level in range(levels + 1):
        width = BASE_ARITY ** (levels - level)
        if level >= skipped:
            part = tree[start + piece * width : start + (piece + 1) * width]
            part[:] = small[start_small : start_small + width]
            pages_release(part)
            start += pieces * width
        start_small += width


def tree_r_last_write(
    files: SectorFiles, replica_rows: Callable[[int, int], Nodes], *, progress: Progress = no_progress
) -> None:
    """Write tree-r-last over a replica that `replica_rows(first, end)` makes or reads, piece by piece."""
    maker = tree_maker()
    levels = maker.levels(files.base_levels)
    chunk, skipped = BASE_ARITY**levels, files.discarded_rows + 1
    for base_tree in range(files.base_trees):
        before = base_tree * files.base_leaves
        size = NODE_BYTES * files.tree_r_last_nodes
        with file_write(files.tree_r_last(base_tree), size_bytes=size) as raw:
            tree = as_nodes(raw)

            def work(first: int, end: int, before: int = before, tree: Nodes = tree) -> None:
                small = np.empty((tree_nodes(chunk, BASE_ARITY), 4), np.uint64)
                small[:chunk] = replica_rows(before + first, before + end)
                maker.grow(small, chunk)
                rows_place(small, tree, levels=levels, skipped=skipped, piece=first // chunk)

            parallel_for(work, files.base_leaves, size=chunk, progress=progress)
            pieces = files.base_leaves // chunk
            grow_octonary(tree[len(tree) - tree_nodes(pieces, BASE_ARITY) :], pieces)
