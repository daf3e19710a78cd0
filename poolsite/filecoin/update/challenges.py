"""SnapUp challenges: which nodes the proof of an updated replica must open.

Source: filecoin-project/rust-fil-proofs storage-proofs-update/src/challenges.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.filecoin.poseidon import poseidon_randomness
from poolsite.filecoin.scalars import scalar_from_bytes

if TYPE_CHECKING:
    from poolsite.filecoin.update.parameters import UpdateParameters

DIGEST_BITS = 254
"""Bits of one digest that challenges are cut from."""


def update_challenges(parameters: UpdateParameters, comm_r_new: bytes, *, partition: int) -> tuple[int, ...]:
    """Return the challenges of one partition, all in its part of the sector.  Raises BadScalar.

    Each Poseidon hash of comm_r_new and a counter is cut into as many indexes as its 254 bits hold; the
    counter goes on over the partitions, and the partition's number is set above each index.
    """
    random_bits = parameters.node_bits - parameters.partition_bits
    per_digest = DIGEST_BITS // random_bits
    digests = -(-parameters.challenges // per_digest)
    commitment = scalar_from_bytes(comm_r_new)
    challenges = []
    for number in range(partition * digests, (partition + 1) * digests):
        digest = poseidon_randomness(commitment, number)
        for _ in range(per_digest):
            challenges.append(digest & ((1 << random_bits) - 1) | partition << random_bits)
            digest >>= random_bits
    return tuple(challenges[: parameters.challenges])
