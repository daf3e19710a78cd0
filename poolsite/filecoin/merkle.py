"""Merkle trees of sectors and inclusion proofs: tree_d (SHA-254), tree_c and tree_r_last (Poseidon).

tree_d is binary.  The others have arity 8; of the large sizes they are kept as several base trees, each a
file of its own, whose roots further rows join:

    2 KiB, 8 MiB, 512 MiB    one base tree
    32 GiB                   8 base trees under one root
    64 GiB                   2 rows: 8 base trees each, then 2 of those

Source: filecoin-project/rust-fil-proofs storage-proofs-core/src/merkle/{tree,proof}.rs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

NodeHash = Callable[[tuple[bytes, ...]], bytes]
"""Hashes the children of a node."""

BASE_ARITY = 8
"""Children of a node in a base tree of tree_c and tree_r_last."""


class BadMerkleProof(ValueError):
    """An inclusion proof that does not show its leaf at its place under its root."""


@dataclass(frozen=True, slots=True)
class TreeShape:
    """How base trees of arity 8 are joined: `sub` base roots to one, `top` of those to the root (or 0)."""

    sub: int = 0
    """Arity of the row over the base roots."""
    top: int = 0
    """Arity of the row over the sub roots."""

    @property
    def base_trees(self) -> int:
        """Return how many base trees there are."""
        return max(self.sub, 1) * max(self.top, 1)


@dataclass(frozen=True, slots=True)
class PathElement:
    """One row of an inclusion proof."""

    hashes: tuple[bytes, ...]
    """The other children of the parent, in order of position."""
    index: int
    """Own position among the children."""


@dataclass(frozen=True, slots=True)
class MerkleProof:
    """An inclusion proof; rust-fil-proofs calls it Single, Sub or Top by the rows it has."""

    base: tuple[PathElement, ...]
    """Rows of the base tree, from the leaf upwards."""
    sub: tuple[PathElement, ...]
    """The row over the base roots; empty in shape Single."""
    top: tuple[PathElement, ...]
    """The row over the sub roots; empty in shapes Single and Sub."""
    root: bytes
    """Root of the whole tree."""
    leaf: bytes
    """The node that is shown to be in the tree."""


@dataclass(frozen=True, slots=True)
class MerkleTree:
    """A whole tree in memory, as `merkle_tree` built it."""

    base_trees: tuple[tuple[tuple[bytes, ...], ...], ...]
    """For each base tree its rows, leaves first."""
    upper_rows: tuple[tuple[bytes, ...], ...]
    """Base roots, then (where the shape has them) sub roots, then the root alone."""

    @property
    def root(self) -> bytes:
        """Return the root."""
        return self.upper_rows[-1][0]

    @property
    def leaves(self) -> int:
        """Return the number of leaves."""
        return len(self.base_trees) * len(self.base_trees[0][0])


def merkle_proof_check(
    proof: MerkleProof, index: int, *, arities: tuple[tuple[int, ...], ...], root: bytes, node_hash: NodeHash
) -> None:
    """Check that `proof.leaf` is leaf `index` of the tree under `root`.

    The index, written with the rows' arities as bases, gives each row's own position: a proof must have
    exactly these, or a leaf could be shown at a place that is not its own.  `arities` has the children per
    node of the base, sub and top rows (see `tree_arities`); the proof must have exactly those rows.

    Raises BadMerkleProof, or BadScalar from a Poseidon `node_hash` on a node that is not canonical.
    """
    if proof.root != root:
        raise BadMerkleProof("unexpected root")
    node, position = proof.leaf, index
    for part, part_arities in zip((proof.base, proof.sub, proof.top), arities, strict=True):
        if len(part) != len(part_arities):
            raise BadMerkleProof(f"{len(part)} rows instead of {len(part_arities)}")
        for element, arity in zip(part, part_arities, strict=True):
            position, own = divmod(position, arity)
            if element.index != own or len(element.hashes) != arity - 1:
                raise BadMerkleProof(f"path does not lead to leaf {index}")
            node = node_hash((*element.hashes[:own], node, *element.hashes[own:]))
    if node != root:
        raise BadMerkleProof("path does not hash to the root")


def merkle_path_nodes(proof: MerkleProof, *, node_hash: NodeHash) -> tuple[bytes, ...]:
    """Return the nodes from the leaf to the computed root of a proof whose form has been checked."""
    nodes = [proof.leaf]
    for element in (*proof.base, *proof.sub, *proof.top):
        nodes.append(
            node_hash((*element.hashes[: element.index], nodes[-1], *element.hashes[element.index :]))
        )
    return tuple(nodes)


def tree_arities(leaves: int, shape: TreeShape) -> tuple[tuple[int, ...], ...]:
    """Return the arities of the rows of tree_c and tree_r_last over `leaves` nodes: base, sub, top."""
    base_leaves, levels = leaves // shape.base_trees, 0
    while BASE_ARITY**levels < base_leaves:
        levels += 1
    if BASE_ARITY**levels * shape.base_trees != leaves:
        raise ValueError(f"{leaves} leaves do not fill a tree of {shape}")
    return (BASE_ARITY,) * levels, (shape.sub,) * bool(shape.sub), (shape.top,) * bool(shape.top)


def binary_arities(leaves: int) -> tuple[tuple[int, ...], ...]:
    """Return the arities of the rows of tree_d over `leaves` (a power of two) nodes."""
    return (2,) * (leaves.bit_length() - 1), (), ()


def merkle_tree(
    leaves: Sequence[bytes], *, arities: tuple[tuple[int, ...], ...], node_hash: NodeHash
) -> MerkleTree:
    """Build the tree over `leaves`, whose number the arities must fill."""
    base, *upper = arities
    width = 1
    for arity in base:
        width *= arity
    base_trees = tuple(
        _rows_above(tuple(leaves[at : at + width]), base, node_hash=node_hash)
        for at in range(0, len(leaves), width)
    )
    roots = tuple(rows[-1][0] for rows in base_trees)
    joined = tuple(arity for part in upper for arity in part)
    return MerkleTree(base_trees, _rows_above(roots, joined, node_hash=node_hash))


def merkle_prove(tree: MerkleTree, index: int) -> MerkleProof:
    """Return the inclusion proof of leaf `index`."""
    base_number, inside = divmod(index, len(tree.base_trees[0][0]))
    rows = tree.base_trees[base_number]
    base = _path(rows, inside)
    upper = _path(tree.upper_rows, base_number)
    return MerkleProof(base, upper[:1], upper[1:], tree.root, rows[0][inside])


def _rows_above(
    row: tuple[bytes, ...], arities: tuple[int, ...], *, node_hash: NodeHash
) -> tuple[tuple[bytes, ...], ...]:
    """Return a row and all above it, the root's last."""
    rows = [row]
    for arity in arities:
        row = tuple(node_hash(row[at : at + arity]) for at in range(0, len(row), arity))
        rows.append(row)
    return tuple(rows)


def _path(rows: tuple[tuple[bytes, ...], ...], index: int) -> tuple[PathElement, ...]:
    """Return the siblings of a leaf from its row upwards."""
    path = []
    for row, above in pairwise(rows):
        arity = len(row) // len(above)
        parent, own = divmod(index, arity)
        children = row[parent * arity : (parent + 1) * arity]
        path.append(PathElement((*children[:own], *children[own + 1 :]), own))
        index = parent
    return tuple(path)
