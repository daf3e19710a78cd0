"""Making vanilla PoSt proofs in plain Python, for sectors small enough to keep their tree in memory.

Source: filecoin-project/rust-fil-proofs filecoin-proofs/src/api/post_util.rs
generate_fallback_sector_challenges, generate_single_vanilla_proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.filecoin.merkle import MerkleTree, merkle_prove
from poolsite.filecoin.porep.replica import replica_commitment
from poolsite.filecoin.post.challenges import sector_challenges
from poolsite.filecoin.post.vanilla import VanillaPoStProof

if TYPE_CHECKING:
    from poolsite.filecoin.post.parameters import PoStParameters


def post_prove(
    tree_r_last: MerkleTree,
    comm_c: bytes,
    *,
    parameters: PoStParameters,
    randomness: bytes,
    sector_number: int,
    position: int = 0,
) -> VanillaPoStProof:
    """Return the proof of one sector; `randomness` is a scalar, `position` the sector's place in the list."""
    challenges = sector_challenges(parameters, randomness, sector_number=sector_number, position=position)
    return VanillaPoStProof(
        sector_number=sector_number,
        comm_r=replica_commitment(comm_c, tree_r_last.root),
        inclusion_proofs=tuple(merkle_prove(tree_r_last, challenge) for challenge in challenges),
        comm_c=comm_c,
        comm_r_last=tree_r_last.root,
    )
