"""Verification of vanilla SnapUp proofs.

As strict as the circuit: the apex leaves must hash to the node above the partition on every path, and the
path must cross them at its own place.

Source: filecoin-project/rust-fil-proofs storage-proofs-update/src/vanilla.rs verify, src/circuit.rs.
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
    merkle_path_nodes,
    merkle_proof_check,
    merkle_tree,
    tree_arities,
)
from poolsite.filecoin.porep.replica import replica_commitment
from poolsite.filecoin.poseidon import poseidon_node
from poolsite.filecoin.scalars import BadScalar
from poolsite.filecoin.sha254 import sha254_node
from poolsite.filecoin.update.challenges import update_challenges
from poolsite.filecoin.update.encoding import update_encode, update_phi, update_rho

if TYPE_CHECKING:
    from poolsite.filecoin.update.parameters import UpdateParameters
    from poolsite.filecoin.update.vanilla import UpdateChallengeProof, VanillaUpdateProof


class BadUpdate(ValueError):
    """A proof that does not show that the data is in the replica; the text names the rule it breaks."""


@dataclass(frozen=True, slots=True)
class UpdatePublicInputs:
    """What the chain knows of an update when its proof arrives."""

    comm_r_old: bytes
    """Commitment to the replica before."""
    comm_d_new: bytes
    """Commitment to the new data."""
    comm_r_new: bytes
    """Commitment to the replica after."""


def update_verify(
    partitions: Sequence[VanillaUpdateProof], *, parameters: UpdateParameters, inputs: UpdatePublicInputs
) -> None:
    """Raise BadUpdate unless the vanilla proofs of all partitions of one update are right.

    comm_c goes with both roots of tree_r_last to comm_r_old and comm_r_new: the labels stay those of the old
    replica.  Then for each challenged node: its paths in the old tree_r_last, in the new tree_d and in the
    new tree_r_last; the path in tree_d crosses the partition's apex leaves; the new node is the old one plus
    data times rho.
    """
    if len(partitions) != parameters.partitions:
        raise BadUpdate(f"{len(partitions)} partitions instead of {parameters.partitions}")
    for number, proof in enumerate(partitions):
        try:
            _partition_check(proof, number, parameters=parameters, inputs=inputs)
        except (BadUpdate, BadScalar, BadMerkleProof) as error:
            raise BadUpdate(f"partition {number}: {error}") from None


def _partition_check(
    proof: VanillaUpdateProof, number: int, *, parameters: UpdateParameters, inputs: UpdatePublicInputs
) -> None:
    """Check one partition.  Raises BadUpdate, BadScalar or BadMerkleProof."""
    if len(proof.apex_leaves) != parameters.apex_leaves:
        raise BadUpdate(f"{len(proof.apex_leaves)} apex leaves instead of {parameters.apex_leaves}")
    if len(proof.challenge_proofs) != parameters.challenges:
        raise BadUpdate(f"{len(proof.challenge_proofs)} challenges instead of {parameters.challenges}")
    first = proof.challenge_proofs[0]
    if replica_commitment(proof.comm_c, first.proof_r_old.root) != inputs.comm_r_old:
        raise BadUpdate("comm_r_old is not the hash of comm_c and the old root")
    if replica_commitment(proof.comm_c, first.proof_r_new.root) != inputs.comm_r_new:
        raise BadUpdate("comm_r_new is not the hash of comm_c and the new root")
    partition = _Partition(
        parameters=parameters,
        roots=(first.proof_r_old.root, inputs.comm_d_new, first.proof_r_new.root),
        phi=update_phi(inputs.comm_d_new, inputs.comm_r_old),
        apex_leaves=proof.apex_leaves,
        apex_root=merkle_tree(
            proof.apex_leaves, arities=binary_arities(len(proof.apex_leaves)), node_hash=sha254_node
        ).root,
    )
    challenges = update_challenges(parameters, inputs.comm_r_new, partition=number)
    for challenge, challenge_proof in zip(challenges, proof.challenge_proofs, strict=True):
        partition.challenge_check(challenge_proof, challenge)


@dataclass(frozen=True, slots=True)
class _Partition:
    """The facts that all challenges of one partition share."""

    parameters: UpdateParameters
    """Of the registered update proof: nodes, challenges, apex leaves."""
    roots: tuple[bytes, bytes, bytes]
    """Root of the replica before, comm_d of the new data, root of the replica after."""
    phi: int
    """Hash of comm_d_new and comm_r_old, from which the factors of the encoding come."""
    apex_leaves: tuple[bytes, ...]
    """Nodes of tree-d that stand above the partition's data, from the left."""
    apex_root: bytes
    """The node above all of them."""

    def challenge_check(self, proof: UpdateChallengeProof, challenge: int) -> None:
        """Check one challenge.  Raises BadUpdate, BadScalar or BadMerkleProof."""
        parameters, (root_r_old, comm_d_new, root_r_new) = self.parameters, self.roots
        replica_arities = tree_arities(parameters.nodes, parameters.shape)
        data_arities = binary_arities(parameters.nodes)
        paths: tuple[tuple[str, MerkleProof, tuple[tuple[int, ...], ...], bytes, NodeHash], ...] = (
            ("tree_r_last old", proof.proof_r_old, replica_arities, root_r_old, poseidon_node),
            ("tree_d new", proof.proof_d_new, data_arities, comm_d_new, sha254_node),
            ("tree_r_last new", proof.proof_r_new, replica_arities, root_r_new, poseidon_node),
        )
        for tree, path, arities, root, node_hash in paths:
            try:
                merkle_proof_check(path, challenge, arities=arities, root=root, node_hash=node_hash)
            except (BadMerkleProof, BadScalar) as error:
                raise BadUpdate(f"path of node {challenge} in {tree}: {error}") from None
        self._apex_check(proof.proof_d_new, challenge)
        rho = update_rho(self.phi, challenge, nodes=parameters.nodes, high_bits=parameters.high_bits)
        encoded = update_encode(proof.proof_r_old.leaf, proof.proof_d_new.leaf, rho=rho)
        if encoded != proof.proof_r_new.leaf:
            raise BadUpdate(f"node {challenge} is not old replica plus data times rho")

    def _apex_check(self, data_path: MerkleProof, challenge: int) -> None:
        """Check that a path in tree_d crosses the apex leaves at its place and reaches their root."""
        nodes = merkle_path_nodes(data_path, node_hash=sha254_node)
        root_height = self.parameters.node_bits - self.parameters.partition_bits
        leaf_height = root_height - (len(self.apex_leaves).bit_length() - 1)
        # The bits above are the partition's number: all its challenges share them.
        own = (challenge >> leaf_height) % len(self.apex_leaves)
        if nodes[leaf_height] != self.apex_leaves[own] or nodes[root_height] != self.apex_root:
            raise BadUpdate(f"apex leaves are not those above node {challenge}")
