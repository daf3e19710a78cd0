"""Trees in flat files: building their rows, and reading inclusion proofs out of them.

Source: filecoin-project/merkletree src/merkle.rs gen_proof, gen_cached_proof.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY, MerkleProof, PathElement
from poolsite.filecoin.scalars import NODE_BYTES
from workers.kernels import ancestors, binary_tree, poseidon
from workers.processors.parallel import Progress, no_progress, parallel_for
from workers.storage.mapped import as_nodes, file_write, sealed_nodes, tree_c_nodes, tree_r_last_rows
from workers.storage.sector import tree_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workers.storage.mapped import Nodes
    from workers.storage.sector import SectorFiles

BINARY_CHUNK = 1 << 16
"""Parents that a thread hashes at a time: 6 MiB, and well under a second."""
OCTONARY_CHUNK = 1 << 12
"""The same for Poseidon rows."""
CHECKED_AT_ONCE = 1 << 20
"""Parents that are hashed again at a time where a tree is checked: 32 MiB."""

CHUNK_LEVELS = 4
"""A thread's piece of a tree over the sector has at most 8^4 leaves: it stays in the cache."""

Words = np.ndarray[Any, np.dtype[np.uint32]]


def node_bytes(node: Nodes) -> bytes:
    """Return one node's 32 bytes."""
    return node.tobytes()


def binary_row(children: Nodes, parents: Nodes, *, progress: Progress = no_progress) -> None:
    """Hash one row of a binary SHA-254 tree from the row below."""
    below, above = _words(children), _words(parents)

    def work(first: int, end: int) -> None:
        binary_tree.hash_row(below[2 * first : 2 * end], above[first:end])

    parallel_for(work, len(parents), size=BINARY_CHUNK, progress=progress)


def binary_ancestors(nodes: Nodes, above: Nodes) -> None:
    """Hash the row four above `nodes`, on this thread."""
    ancestors.ancestor_row(_words(nodes), _words(above))


def binary_root(nodes: Nodes) -> Nodes:
    """Return the root over a power of two of nodes, on this thread."""
    while len(nodes) >= ancestors.ANCESTRY:
        above = np.empty((len(nodes) // ancestors.FOUR_ROWS, 4), np.uint64)
        binary_ancestors(nodes, above)
        nodes = above
    while len(nodes) > 1:
        above = np.empty((len(nodes) // 2, 4), np.uint64)
        binary_tree.hash_row(_words(nodes), _words(above))
        nodes = above
    root: Nodes = nodes[0]
    return root


def octonary_row(children: Nodes, parents: Nodes) -> None:
    """Hash one row of an arity-8 Poseidon tree from the row below."""

    def work(first: int, end: int) -> None:
        lower = children[BASE_ARITY * first : BASE_ARITY * end]
        poseidon.hash_row(lower, parents[first:end], arity=BASE_ARITY)

    parallel_for(work, len(parents), size=OCTONARY_CHUNK)


def grow_octonary(tree: Nodes, leaves: int) -> None:
    """Fill the rows above the leaves of a flat arity-8 tree."""
    grow(tree, leaves, arity=BASE_ARITY, hash_row=octonary_row)


def grow(
    tree: Nodes,
    leaves: int,
    *,
    arity: int,
    hash_row: Callable[[Nodes, Nodes], None],
    progress: Progress = no_progress,
) -> None:
    """Fill the rows above the first `leaves` nodes of a flat tree."""
    start, width, done, total = 0, leaves, 0, len(tree) - leaves
    while width > 1:
        above = width // arity
        hash_row(tree[start : start + width], tree[start + width : start + width + above])
        start, width, done = start + width, above, done + above
        progress(done, total)


def is_binary(tree: Nodes, leaves: int) -> bool:
    """Return whether every node of a flat binary tree is the hash of the two below it."""
    return _is_grown(tree, leaves, arity=2, hash_row=binary_row)


def is_octonary(tree: Nodes, leaves: int) -> bool:
    """Return whether every node of a flat arity-8 tree is the hash of those below it."""
    return _is_grown(tree, leaves, arity=BASE_ARITY, hash_row=octonary_row)


def _is_grown(tree: Nodes, leaves: int, *, arity: int, hash_row: Callable[[Nodes, Nodes], None]) -> bool:
    """Return whether the rows above the first `leaves` nodes are what `grow` writes there."""
    start, width = 0, leaves
    while width > 1:
        lower, upper = tree[start : start + width], tree[start + width :][: width // arity]
        for first in range(0, len(upper), CHECKED_AT_ONCE):
            found = upper[first : first + CHECKED_AT_ONCE]
            hashed = np.empty_like(found)
            hash_row(lower[arity * first :][: arity * len(found)], hashed)
            if not np.array_equal(hashed, found):
                return False
        start, width = start + width, width // arity
    return True


def upper_rows(base_roots: Sequence[bytes], *, sub: int, top: int) -> tuple[tuple[bytes, ...], ...]:
    """Return the rows over the base trees: their roots, then (by shape) sub roots, then the root alone."""
    rows = [tuple(base_roots)]
    for arity in (sub, top):
        if arity:
            row = rows[-1]
            rows.append(tuple(poseidon.hash_values(row[at : at + arity]) for at in range(0, len(row), arity)))
    return tuple(rows)


def row_path(tree: Nodes, leaves: int, index: int, *, arity: int) -> tuple[PathElement, ...]:
    """Return the path of one leaf of a tree that is stored whole."""
    path, start, width = [], 0, leaves
    while width > 1:
        parent, own = divmod(index, arity)
        first = start + parent * arity
        siblings = tree[first : first + arity]
        path.append(_element(siblings, own))
        start, width, index = start + width, width // arity, parent
    return tuple(path)


def _element(siblings: Nodes, own: int) -> PathElement:
    others = tuple(node_bytes(node) for at, node in enumerate(siblings) if at != own)
    return PathElement(others, own)


def binary_proof(tree: Nodes, leaves: int, index: int) -> MerkleProof:
    """Return the inclusion proof of one leaf of tree-d."""
    path = row_path(tree, leaves, index, arity=2)
    return MerkleProof(path, (), (), node_bytes(tree[-1]), node_bytes(tree[index]))


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


class TreeRLast(SectorTree):
    """The tree over the replica, whose leaves are the sealed file and whose lowest rows are not stored."""

    def __init__(self, files: SectorFiles) -> None:
        self.trees = tuple(tree_r_last_rows(files, at) for at in range(files.base_trees))
        self.replica = sealed_nodes(files)
        super().__init__(files, [node_bytes(tree[-1]) for tree in self.trees])

    def base_path(self, base_tree: int, index: int) -> tuple[tuple[PathElement, ...], bytes]:
        """Return the path of a replica node inside its base tree, and the node.

        The rows that are not stored are hashed again from the aligned piece of the replica around it.
        """
        files = self.files
        span = BASE_ARITY ** (files.discarded_rows + 1)
        piece, inside = divmod(index, span)
        first = base_tree * files.base_leaves + piece * span
        small = np.empty(((span * BASE_ARITY - 1) // (BASE_ARITY - 1), 4), np.uint64)
        small[:span] = self.replica[first : first + span]
        grow_octonary(small, span)
        lower = row_path(small, span, inside, arity=BASE_ARITY)
        stored = self.trees[base_tree]
        upper = row_path(stored, files.base_leaves // span, piece, arity=BASE_ARITY)
        return (*lower, *upper), node_bytes(small[inside])


def _words(nodes: Nodes) -> Words:
    return nodes.view(np.uint32).reshape(-1, 8)


def rows_place(small: Nodes, tree: Nodes, *, levels: int, skipped: int, piece: int) -> None:
    """Copy the rows of one piece's tree to their places in the file, which lacks the `skipped` lowest."""
    lowest = (len(tree) * (BASE_ARITY - 1) + 1) // BASE_ARITY  # width of the lowest row in the file
    pieces = lowest // BASE_ARITY ** (levels - skipped)
    start = start_small = 0
    for level in range(levels + 1):
        width = BASE_ARITY ** (levels - level)
        if level >= skipped:
            tree[start + piece * width : start + (piece + 1) * width] = small[
                start_small : start_small + width
            ]
            start += pieces * width
        start_small += width


def tree_r_last_write(
    files: SectorFiles, replica_rows: Callable[[int, int], Nodes], *, progress: Progress = no_progress
) -> None:
    """Write tree-r-last over a replica that `replica_rows(first, end)` makes or reads, piece by piece."""
    levels = min(files.base_levels, CHUNK_LEVELS)
    chunk, skipped = BASE_ARITY**levels, files.discarded_rows + 1
    for base_tree in range(files.base_trees):
        before = base_tree * files.base_leaves
        size = NODE_BYTES * files.tree_r_last_nodes
        with file_write(files.tree_r_last(base_tree), size_bytes=size) as raw:
            tree = as_nodes(raw)

            def work(first: int, end: int, before: int = before, tree: Nodes = tree) -> None:
                small = np.empty((tree_nodes(chunk, BASE_ARITY), 4), np.uint64)
                small[:chunk] = replica_rows(before + first, before + end)
                grow_octonary(small, chunk)
                rows_place(small, tree, levels=levels, skipped=skipped, piece=first // chunk)

            parallel_for(work, files.base_leaves, size=chunk, progress=progress)
            pieces = files.base_leaves // chunk
            grow_octonary(tree[len(tree) - tree_nodes(pieces, BASE_ARITY) :], pieces)
