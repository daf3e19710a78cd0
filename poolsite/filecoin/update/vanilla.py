"""The vanilla SnapUp proof of one partition and its bincode bytes, as they cross the FFI.

Source: filecoin-project/rust-fil-proofs storage-proofs-update/src/vanilla.rs PartitionProof, ChallengeProof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.bincode import BincodeReader, vector_encode
from poolsite.filecoin.merkle_codec import merkle_proof_encode, merkle_proof_read

if TYPE_CHECKING:
    from poolsite.filecoin.merkle import MerkleProof

CHALLENGE_BYTES = 228
"""Shortest encoding of a challenge: three inclusion proofs with empty paths."""


@dataclass(frozen=True, slots=True)
class UpdateChallengeProof:
    """What shows that one node was encoded rightly."""

    proof_r_old: MerkleProof
    """Path of the old replica's node."""
    proof_d_new: MerkleProof
    """Path of the new data's node."""
    proof_r_new: MerkleProof
    """Path of the new replica's node."""


@dataclass(frozen=True, slots=True)
class VanillaUpdateProof:
    """The proof of one partition."""

    comm_c: bytes
    """Root of tree_c, the same for both replicas."""
    apex_leaves: tuple[bytes, ...]
    """The partition's nodes in the row of tree_d that all paths of the partition cross."""
    challenge_proofs: tuple[UpdateChallengeProof, ...]
    """One proof for each challenge."""


def update_proof_encode(proof: VanillaUpdateProof) -> bytes:
    """Write the proof of one partition."""
    challenges = vector_encode(
        merkle_proof_encode(challenge.proof_r_old)
        + merkle_proof_encode(challenge.proof_d_new)
        + merkle_proof_encode(challenge.proof_r_new)
        for challenge in proof.challenge_proofs
    )
    return proof.comm_c + vector_encode(proof.apex_leaves) + challenges


def update_proof_decode(data: bytes) -> VanillaUpdateProof:
    """Read what `update_proof_encode` wrote.  Raises BadBincode."""
    reader = BincodeReader(data)
    proof = VanillaUpdateProof(
        comm_c=reader.node(),
        apex_leaves=reader.nodes(),
        challenge_proofs=reader.vector(_challenge_read, item_bytes=CHALLENGE_BYTES),
    )
    reader.finish()
    return proof


def _challenge_read(reader: BincodeReader) -> UpdateChallengeProof:
    """Read the three paths of one challenge: old replica, new data, new replica.  Raises BadBincode."""
    return UpdateChallengeProof(
        merkle_proof_read(reader), merkle_proof_read(reader), merkle_proof_read(reader)
    )
