"""Sealing in plain Python: seconds for 32 KiB, so for test sectors, fixtures and as the oracle of kernels.

The steps, by the names of the stages: tree_d over the data and the labels of all layers (pc1); tree_c over
the columns of labels, the replica as last label plus data, tree_r_last over that, and comm_r (pc2); vanilla
proofs of the challenged nodes (c1).

Source: filecoin-project/rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/proof.rs
transform_and_replicate_layers, prove_layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.merkle import MerkleTree, binary_arities, merkle_prove, merkle_tree, tree_arities
from poolsite.filecoin.porep.graph import DRG_PARENTS, StackedGraph
from poolsite.filecoin.porep.replica import (
    node_label,
    repeated_parents,
    replica_commitment,
    replica_encode,
    replica_id,
)
from poolsite.filecoin.porep.vanilla import ColumnProof, LabelingProof, VanillaPoRepProof
from poolsite.filecoin.poseidon import poseidon_node
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254_node

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters


@dataclass(frozen=True, slots=True)
class SealedSector:
    """Everything that sealing leaves: what the cache directory and the sealed file hold."""

    parameters: SealParameters
    """The seal proof."""
    replica_id: bytes
    """Id of the replica."""
    layers: tuple[tuple[bytes, ...], ...]
    """Labels by layer and node."""
    tree_d: MerkleTree
    """Tree over the data."""
    tree_c: MerkleTree
    """Tree over the columns' hashes."""
    tree_r_last: MerkleTree
    """Tree over the replica; its leaves are the sealed file."""

    @property
    def comm_r(self) -> bytes:
        """Return the commitment to the replica."""
        return replica_commitment(self.tree_c.root, self.tree_r_last.root)

    @property
    def replica(self) -> bytes:
        """Return the sealed file."""
        return b"".join(node for rows in self.tree_r_last.base_trees for node in rows[0])


def sector_seal(
    staged: bytes, *, parameters: SealParameters, prover_id: bytes, sector_number: int, ticket: bytes
) -> SealedSector:
    """Seal `staged` (padded data that fills the sector)."""
    if len(staged) != parameters.sector_bytes:
        raise ValueError(f"{len(staged)} bytes do not fill a sector of {parameters.sector_bytes}")
    data = nodes_of(staged)
    tree_d = merkle_tree(data, arities=binary_arities(len(data)), node_hash=sha254_node)
    replica = replica_id(
        prover_id, sector_number, ticket=ticket, comm_d=tree_d.root, porep_id=parameters.porep_id
    )
    layers = replica_labels(replica, parameters)
    arities = tree_arities(parameters.nodes, parameters.shape)
    columns = [poseidon_node(column) for column in zip(*layers, strict=True)]
    sealed = [replica_encode(label, node) for label, node in zip(layers[-1], data, strict=True)]
    return SealedSector(
        parameters=parameters,
        replica_id=replica,
        layers=layers,
        tree_d=tree_d,
        tree_c=merkle_tree(columns, arities=arities, node_hash=poseidon_node),
        tree_r_last=merkle_tree(sealed, arities=arities, node_hash=poseidon_node),
    )


def replica_labels(replica: bytes, parameters: SealParameters) -> tuple[tuple[bytes, ...], ...]:
    """Return the labels of all layers."""
    graph = StackedGraph(parameters.porep_id, parameters.nodes, parameters.api_version)
    parents = [graph.parents(node) for node in range(parameters.nodes)]
    layers: list[tuple[bytes, ...]] = []
    for layer in range(1, parameters.layers + 1):
        labels: list[bytes] = []
        for node in range(parameters.nodes):
            hashed = _parent_labels(parents[node], labels, layers) if node else []
            labels.append(node_label(replica, layer, node=node, parents=hashed))
        layers.append(tuple(labels))
    return tuple(layers)


def porep_prove(sector: SealedSector, challenge: int) -> VanillaPoRepProof:
    """Return the vanilla proof of one challenge."""
    parameters = sector.parameters
    graph = StackedGraph(parameters.porep_id, parameters.nodes, parameters.api_version)
    parents = graph.parents(challenge)
    labelings = tuple(
        LabelingProof(
            repeated_parents(_parent_labels(parents, sector.layers[at], sector.layers[:at])),
            at + 1,
            challenge,
        )
        for at in range(parameters.layers)
    )
    return VanillaPoRepProof(
        comm_d_proof=merkle_prove(sector.tree_d, challenge),
        comm_r_last_proof=merkle_prove(sector.tree_r_last, challenge),
        c_x=_column_prove(sector, challenge),
        drg_parents=tuple(_column_prove(sector, parent) for parent in parents[:DRG_PARENTS]),
        exp_parents=tuple(_column_prove(sector, parent) for parent in parents[DRG_PARENTS:]),
        labeling_proofs=labelings,
        encoding_proof=labelings[-1],
    )


def nodes_of(data: bytes) -> tuple[bytes, ...]:
    """Return data cut into its 32-byte nodes."""
    return tuple(data[at : at + NODE_BYTES] for at in range(0, len(data), NODE_BYTES))


def _parent_labels(
    parents: Sequence[int], labels: Sequence[bytes], below: Sequence[Sequence[bytes]]
) -> list[bytes]:
    """Return the parents' labels in hashing order; the lowest layer has no expander parents."""
    same_layer = [labels[parent] for parent in parents[:DRG_PARENTS]]
    return same_layer + [below[-1][parent] for parent in parents[DRG_PARENTS:]] if below else same_layer


def _column_prove(sector: SealedSector, node: int) -> ColumnProof:
    """Return a node's labels in all layers, and their place in tree-c."""
    rows = tuple(layer[node] for layer in sector.layers)
    return ColumnProof(node, rows, merkle_prove(sector.tree_c, node))
