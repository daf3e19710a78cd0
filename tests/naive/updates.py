"""Updating a replica and proving it in plain Python, for sectors small enough to keep their trees in memory.

Source: filecoin-project/rust-fil-proofs storage-proofs-update/src/vanilla.rs encode_into, prove_inner.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.filecoin.merkle import MerkleTree, binary_arities, merkle_prove, merkle_tree, tree_arities
from poolsite.filecoin.porep.replica import replica_commitment
from poolsite.filecoin.poseidon import poseidon_node
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254_node
from poolsite.filecoin.update.challenges import update_challenges
from poolsite.filecoin.update.encoding import update_encode, update_phi, update_rho
from poolsite.filecoin.update.parameters import UpdateParameters
from poolsite.filecoin.update.vanilla import UpdateChallengeProof, VanillaUpdateProof
from poolsite.filecoin.update.verification import UpdatePublicInputs


@dataclass(frozen=True, slots=True)
class UpdatedSector:
    """Everything that an update leaves."""

    parameters: UpdateParameters
    """The sector size's parameters."""
    comm_c: bytes
    """Root of tree_c, unchanged."""
    tree_r_old: MerkleTree
    """Tree over the old replica."""
    tree_d: MerkleTree
    """Tree over the new data."""
    tree_r_last: MerkleTree
    """Tree over the new replica; its leaves are the updated file."""

    @property
    def inputs(self) -> UpdatePublicInputs:
        """Return what the chain is told."""
        return UpdatePublicInputs(
            comm_r_old=replica_commitment(self.comm_c, self.tree_r_old.root),
            comm_d_new=self.tree_d.root,
            comm_r_new=replica_commitment(self.comm_c, self.tree_r_last.root),
        )


def sector_update(
    staged: bytes, *, parameters: UpdateParameters, tree_r_old: MerkleTree, comm_c: bytes
) -> UpdatedSector:
    """Encode `staged` (padded data that fills the sector) into the replica under `tree_r_old`."""
    nodes = parameters.nodes
    data = tuple(staged[at : at + NODE_BYTES] for at in range(0, len(staged), NODE_BYTES))
    tree_d = merkle_tree(data, arities=binary_arities(nodes), node_hash=sha254_node)
    phi = update_phi(tree_d.root, replica_commitment(comm_c, tree_r_old.root))
    keys = (node for rows in tree_r_old.base_trees for node in rows[0])
    replica = [
        update_encode(key, value, rho=update_rho(phi, node, nodes=nodes, high_bits=parameters.high_bits))
        for node, (key, value) in enumerate(zip(keys, data, strict=True))
    ]
    arities = tree_arities(nodes, parameters.shape)
    tree_r_last = merkle_tree(replica, arities=arities, node_hash=poseidon_node)
    return UpdatedSector(parameters, comm_c, tree_r_old, tree_d, tree_r_last)


def update_prove(sector: UpdatedSector, partition: int) -> VanillaUpdateProof:
    """Return the vanilla proof of one partition."""
    parameters = sector.parameters
    (rows,) = sector.tree_d.base_trees
    height = parameters.node_bits - parameters.partition_bits - (parameters.apex_leaves.bit_length() - 1)
    first = partition * parameters.apex_leaves
    challenges = update_challenges(parameters, sector.inputs.comm_r_new, partition=partition)
    return VanillaUpdateProof(
        comm_c=sector.comm_c,
        apex_leaves=rows[height][first : first + parameters.apex_leaves],
        challenge_proofs=tuple(
            UpdateChallengeProof(
                proof_r_old=merkle_prove(sector.tree_r_old, challenge),
                proof_d_new=merkle_prove(sector.tree_d, challenge),
                proof_r_new=merkle_prove(sector.tree_r_last, challenge),
            )
            for challenge in challenges
        ),
    )
