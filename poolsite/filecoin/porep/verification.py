"""Verification of vanilla PoRep proofs: the rules a sector's proof must satisfy, each with its own refusal.

Stricter than the vanilla verification of rust-fil-proofs where its circuit is: parent labels must be those of
the parents' columns, and every field has exactly one accepted value.

Source: filecoin-project/rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/{params,proof_scheme}.rs,
storage-proofs-porep/src/stacked/circuit/proof.rs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.merkle import (
    BadMerkleProof,
    MerkleProof,
    NodeHash,
    binary_arities,
    merkle_proof_check,
    tree_arities,
)
from poolsite.filecoin.porep.challenges import ChallengeSource, porep_challenges
from poolsite.filecoin.porep.graph import DRG_PARENTS, StackedGraph
from poolsite.filecoin.porep.replica import node_label, repeated_parents, replica_commitment, replica_encode
from poolsite.filecoin.porep.vanilla import ColumnProof, LabelingProof, VanillaPoRepProof
from poolsite.filecoin.poseidon import poseidon_node
from poolsite.filecoin.scalars import BadScalar
from poolsite.filecoin.sha254 import sha254_node

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters


class BadPoRep(ValueError):
    """A proof that does not show that the sector was sealed; the text names the rule it breaks."""


@dataclass(frozen=True, slots=True)
class PoRepPublicInputs:
    """What the chain knows of a sector when its proof arrives."""

    replica_id: bytes
    """Id of the replica."""
    comm_d: bytes
    """Commitment to the data."""
    comm_r: bytes
    """Commitment to the replica."""
    seed: bytes
    """Interactive randomness; unused by non-interactive proofs."""


def porep_verify(
    partitions: Sequence[Sequence[VanillaPoRepProof]],
    *,
    parameters: SealParameters,
    inputs: PoRepPublicInputs,
) -> None:
    """Raise BadPoRep unless the vanilla proofs of all partitions of one sector are right.

    comm_r must be the hash of comm_c and comm_r_last, which the first proof names and all others must share.
    Then for each challenged node:

        1. its column and those of its 14 parents are of these nodes, with one label a layer
        2. each of its labels is the hash of the parents' labels in their columns
        3. its data is in tree_d, its replica in tree_r_last
        4. the replica is the last label plus the data
        5. each column hashes to a leaf of tree_c

    in this order, as hashes of columns cost most.
    """
    if len(partitions) != parameters.partitions:
        raise BadPoRep(f"{len(partitions)} partitions instead of {parameters.partitions}")
    for number, proofs in enumerate(partitions):
        if len(proofs) != parameters.challenges:
            raise BadPoRep(f"partition {number}: {len(proofs)} challenges instead of {parameters.challenges}")
    first = partitions[0][0]
    comm_c, comm_r_last = first.c_x.inclusion.root, first.comm_r_last_proof.root
    try:
        if replica_commitment(comm_c, comm_r_last) != inputs.comm_r:
            raise BadPoRep("comm_r is not the hash of comm_c and comm_r_last")
    except BadScalar as error:
        raise BadPoRep(f"comm_c or comm_r_last is not a scalar: {error}") from None
    sector = _Sector(parameters, inputs, comm_c, comm_r_last)
    source = ChallengeSource(inputs.replica_id, inputs.comm_r, inputs.seed)
    for number, proofs in enumerate(partitions):
        challenges = porep_challenges(parameters, source, partition=number)
        for challenge, proof in zip(challenges, proofs, strict=True):
            try:
                sector.challenge_check(proof, challenge)
            except BadPoRep as error:
                raise BadPoRep(f"partition {number}, challenge {challenge}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Sector:
    """The facts that all challenges of one sector share."""

    parameters: SealParameters
    """Of its registered proof: nodes, layers, challenges."""
    inputs: PoRepPublicInputs
    """What the chain knows of it."""
    comm_c: bytes
    """Root of the tree of column hashes, by the first proof."""
    comm_r_last: bytes
    """Root of the tree of the replica, by the first proof."""

    def challenge_check(self, proof: VanillaPoRepProof, challenge: int) -> None:
        """Check one challenge's proof; cheap comparisons first."""
        graph = StackedGraph(self.parameters.porep_id, self.parameters.nodes, self.parameters.api_version)
        parents = graph.parents(challenge)
        if (len(proof.drg_parents), len(proof.exp_parents)) != (DRG_PARENTS, len(parents) - DRG_PARENTS):
            raise BadPoRep("wrong number of parent columns")
        columns = (*proof.drg_parents, *proof.exp_parents)
        for column, node in zip((proof.c_x, *columns), (challenge, *parents), strict=True):
            if column.index != node or len(column.rows) != self.parameters.layers:
                raise BadPoRep(f"column {column.index} is not the one of node {node}")
        self._labels_check(proof, challenge)
        self._path_check("comm_d", proof.comm_d_proof, challenge)
        self._path_check("comm_r_last", proof.comm_r_last_proof, challenge)
        try:
            sealed = replica_encode(proof.c_x.rows[-1], proof.comm_d_proof.leaf)
        except BadScalar as error:
            raise BadPoRep(f"data or label is not a scalar: {error}") from None
        if sealed != proof.comm_r_last_proof.leaf:
            raise BadPoRep("replica is not label plus data")
        for column in (proof.c_x, *columns):
            self._column_check(column)

    def _labels_check(self, proof: VanillaPoRepProof, challenge: int) -> None:
        """Check the label of every layer against the parents' columns, and the encoding key."""
        if len(proof.labeling_proofs) != self.parameters.layers:
            raise BadPoRep("wrong number of labeling proofs")
        for layer, labeling in enumerate(proof.labeling_proofs, start=1):
            parents = [column.rows[layer - 1] for column in proof.drg_parents]
            if layer > 1:
                parents += [column.rows[layer - 2] for column in proof.exp_parents]
            if labeling != LabelingProof(repeated_parents(parents), layer, challenge):
                raise BadPoRep(f"labeling proof of layer {layer} does not hold the parents' labels")
            label = node_label(self.inputs.replica_id, layer, node=challenge, parents=parents)
            if label != proof.c_x.rows[layer - 1]:
                raise BadPoRep(f"wrong label in layer {layer}")
        if proof.encoding_proof != proof.labeling_proofs[-1]:
            raise BadPoRep("encoding proof is not the last layer's labeling proof")

    def _column_check(self, column: ColumnProof) -> None:
        """Raise BadPoRep unless the column's labels hash to the leaf whose path leads to comm_c."""
        self._path_check("comm_c", column.inclusion, column.index)
        try:
            hashed = poseidon_node(column.rows)
        except BadScalar as error:
            raise BadPoRep(f"label in column {column.index} is not a scalar: {error}") from None
        if hashed != column.inclusion.leaf:
            raise BadPoRep(f"column {column.index} does not hash to its leaf in tree_c")

    def _path_check(self, tree: str, proof: MerkleProof, index: int) -> None:
        """Check an inclusion proof under the root named `tree`."""
        nodes, shape = self.parameters.nodes, self.parameters.shape
        arities = binary_arities(nodes) if tree == "comm_d" else tree_arities(nodes, shape)
        node_hash: NodeHash = sha254_node if tree == "comm_d" else poseidon_node
        root = {"comm_d": self.inputs.comm_d, "comm_c": self.comm_c, "comm_r_last": self.comm_r_last}[tree]
        try:
            merkle_proof_check(proof, index, arities=arities, root=root, node_hash=node_hash)
        except (BadMerkleProof, BadScalar) as error:
            raise BadPoRep(f"path of node {index} in {tree}: {error}") from None
