"""Trees in flat files: building their rows, and reading inclusion proofs out of them.

Source: filecoin-project/merkletree src/merkle.rs gen_proof, gen_cached_proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY, MerkleProof, PathElement
from workers.kernels import ancestors, binary_tree, poseidon
from workers.processors.parallel import Progress, no_progress, parallel_for
from workers.storage.checksums import part_ignore

if TYPE_CHECKING:
    from workers.storage.mapped import Nodes, NodesFile

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


def binary_row(children: Nodes, parents: Nodes) -> None:
    """Hash one row of a binary SHA-254 tree from the row below."""
    below, above = _words(children), _words(parents)

    def work(first: int, end: int) -> None:
        binary_tree.hash_row(below[2 * first : 2 * end], above[first:end])

    parallel_for(work, len(parents), size=BINARY_CHUNK)


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


def is_binary(tree: Nodes, leaves: int, *, on_part: Callable[[], None] = part_ignore) -> bool:
    """Return whether every node of a flat binary tree is the hash of the two below it."""
    return _is_grown(tree, leaves, arity=2, hash_row=binary_row, on_part=on_part)


def is_octonary(tree: Nodes, leaves: int, *, on_part: Callable[[], None] = part_ignore) -> bool:
    """Return whether every node of a flat arity-8 tree is the hash of those below it."""
    return _is_grown(tree, leaves, arity=BASE_ARITY, hash_row=octonary_row, on_part=on_part)


def _is_grown(
    tree: Nodes,
    leaves: int,
    *,
    arity: int,
    hash_row: Callable[[Nodes, Nodes], None],
    on_part: Callable[[], None],
) -> bool:
    """Return whether the rows above the first `leaves` nodes are what `grow` writes there.

    `on_part` is called after each part.
    """
    start, width = 0, leaves
    while width > 1:
        lower, upper = tree[start : start + width], tree[start + width :][: width // arity]
        for first in range(0, len(upper), CHECKED_AT_ONCE):
            found = upper[first : first + CHECKED_AT_ONCE]
            hashed = np.empty_like(found)
            hash_row(lower[arity * first :][: arity * len(found)], hashed)
            if not np.array_equal(hashed, found):
                return False
            on_part()
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


def row_path(tree: Nodes | NodesFile, leaves: int, index: int, *, arity: int) -> tuple[PathElement, ...]:
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


def _words(nodes: Nodes) -> Words:
    return nodes.view(np.uint32).reshape(-1, 8)
