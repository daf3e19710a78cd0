"""Sectors of 32 GiB that nobody sealed, for the real circuits: of zeros but where they are opened."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY, MerkleProof, PathElement, binary_arities, tree_arities
from poolsite.filecoin.porep.graph import DRG_PARENTS, EXPANDER_PARENTS
from poolsite.filecoin.porep.parameters import SealParameters
from poolsite.filecoin.porep.vanilla import ColumnProof, LabelingProof, VanillaPoRepProof
from poolsite.filecoin.poseidon import poseidon_node
from poolsite.filecoin.post.challenges import sector_challenges
from poolsite.filecoin.post.parameters import PoStParameters
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254_node
from tests.naive.labels import label
from workers.processors.post_sector import seal_parameters_of
from workers.processors.post_tasks import Replica
from workers.processors.trees import grow_octonary, node_bytes, upper_rows
from workers.snark.circuits.porep import porep_values
from workers.storage.sector import SectorFiles

Indices = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
ZERO: Final = bytes(NODE_BYTES)


class MadeReplica:
    """A sealed sector of random nodes where some sectors' challenges open it, and of zeros elsewhere."""

    def __init__(self, parameters: PoStParameters, folder: Path, randomness: bytes) -> None:
        """Write the sealed file, tree-r-last and p_aux."""
        self.files = SectorFiles(seal_parameters_of(parameters), folder / "cache", folder / "sealed")
        self.files.cache.mkdir(parents=True, exist_ok=True)
        self.span = BASE_ARITY ** (self.files.discarded_rows + 1)
        challenges = [
            challenge
            for number in range(parameters.partition_sectors)
            for challenge in sector_challenges(parameters, randomness, sector_number=number, position=number)
        ]
        pieces = np.unique(np.array(challenges, np.int64) // self.span)
        roots = self._pieces_write(pieces)
        in_base = self.files.base_leaves // self.span
        tops = []
        for base_tree in range(self.files.base_trees):
            here = pieces // in_base == base_tree
            tops.append(self._tree_write(base_tree, pieces[here] % in_base, roots[here], in_base))
        shape = self.files.parameters.shape
        self.files.roots_write(ZERO, upper_rows(tops, sub=shape.sub, top=shape.top)[-1][0])
        self.replica = Replica(0, self.files.comm_r or b"", str(self.files.cache), str(self.files.sealed))

    def _pieces_write(self, pieces: Indices) -> Words:
        """Write random nodes to the sealed file; return the roots of their pieces, each of one row stored."""
        random, roots = np.random.default_rng(1), np.empty((len(pieces), 4), np.uint64)
        small = np.empty(((self.span * BASE_ARITY - 1) // (BASE_ARITY - 1), 4), np.uint64)
        with self.files.sealed.open("wb") as file:
            file.truncate(self.files.parameters.sector_bytes)
            for at, piece in enumerate(pieces):
                small[: self.span] = random.integers(0, 1 << 62, (self.span, 4), np.uint64)
                grow_octonary(small, self.span)
                roots[at] = small[-1]
                file.seek(int(piece) * self.span * NODE_BYTES)
                file.write(small[: self.span].tobytes())
        return roots

    def _tree_write(self, base_tree: int, pieces: Indices, roots: Words, count: int) -> bytes:
        """Write one base tree of which these pieces are not of zeros; return its root."""
        tree = np.empty((self.files.tree_r_last_nodes, 4), np.uint64)
        zeros = np.zeros(((self.span * BASE_ARITY - 1) // (BASE_ARITY - 1), 4), np.uint64)
        grow_octonary(zeros, self.span)
        tree[:count] = zeros[-1]
        tree[pieces] = roots
        grow_octonary(tree, count)
        self.files.tree_r_last(base_tree).write_bytes(tree.tobytes())
        return node_bytes(tree[-1])


class SparseTree:
    """A tree whose leaves are all the same one but for a few."""

    def __init__(
        self,
        arities: tuple[tuple[int, ...], ...],
        leaf: bytes,
        others: dict[int, bytes],
        node_hash: Callable[[tuple[bytes, ...]], bytes] = poseidon_node,
    ) -> None:
        self.arities, self.rows = arities, [(leaf, others)]
        for arity in chain(*arities):
            same, below = self.rows[-1]
            above = {
                at: node_hash(tuple(below.get(arity * at + child, same) for child in range(arity)))
                for at in {index // arity for index in below}
            }
            self.rows.append((node_hash((same,) * arity), above))
        self.root = self.rows[-1][1].get(0, self.rows[-1][0])

    def proof(self, index: int) -> MerkleProof:
        """Return the path of a leaf."""
        same, others = self.rows[0]
        parts, rows, at = [], iter(self.rows), index
        for part in self.arities:
            elements = []
            for arity in part:
                common, known = next(rows)
                first, own = at - at % arity, at % arity
                siblings = (known.get(first + child, common) for child in range(arity) if child != own)
                elements.append(PathElement(tuple(siblings), own))
                at //= arity
            parts.append(tuple(elements))
        base, sub, top = parts
        return MerkleProof(base, sub, top, self.root, others.get(index, same))


def porep_partition(parameters: SealParameters) -> list[int]:
    """Return what is given for one partition of a sector of zeros, the labels of whose parents are zeros too.

    The challenged nodes' own labels are those that their hashes make.
    """
    random, parents = Random(2), DRG_PARENTS + EXPANDER_PARENTS
    replica_id = random.randbytes(NODE_BYTES - 1) + b"\0"
    chosen = random.sample(range(1, parameters.nodes), parameters.challenges + parents)
    nodes = chosen[parents:]
    layers = range(1, parameters.layers + 1)
    columns = {
        node: tuple(label(replica_id, layer, node=node, parents=[ZERO]) for layer in layers) for node in nodes
    }
    arities = tree_arities(parameters.nodes, parameters.shape)
    zeros = (ZERO,) * parameters.layers
    tree_c = SparseTree(
        arities, poseidon_node(zeros), {node: poseidon_node(column) for node, column in columns.items()}
    )
    tree_r = SparseTree(arities, ZERO, {node: column[-1] for node, column in columns.items()})
    tree_d = SparseTree(binary_arities(parameters.nodes), ZERO, {}, sha254_node)
    none = LabelingProof((), 0, 0)
    of_parents = tuple(ColumnProof(parent, zeros, tree_c.proof(parent)) for parent in chosen[:parents])
    proofs = [
        VanillaPoRepProof(
            tree_d.proof(node),
            tree_r.proof(node),
            ColumnProof(node, column, tree_c.proof(node)),
            of_parents[:DRG_PARENTS],
            of_parents[DRG_PARENTS:],
            (none,),
            none,
        )
        for node, column in columns.items()
    ]
    comm_r = poseidon_node((tree_c.root, tree_r.root))
    return list(porep_values(proofs, replica_id=replica_id, comm_d=tree_d.root, comm_r=comm_r))
