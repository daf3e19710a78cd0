"""Encoding new data into a replica (SnapUp), and taking it out again.

Each node of the new replica is old + data · rho in the field, where rho follows from phi, the hash of the new
data's and the old replica's commitment, and from the high bits of the node's index.  No label is computed
anew, which is why an update takes a fraction of the time of sealing.

Source: FIP-0019; filecoin-project/rust-fil-proofs storage-proofs-update/src/vanilla.rs phi, rho, encode_into,
decode_from, remove_encoded_data.
"""

from __future__ import annotations

from poolsite.filecoin.poseidon import poseidon_randomness
from poolsite.filecoin.scalars import SCALAR_MODULUS, scalar_from_bytes, scalar_to_bytes


def update_phi(comm_d_new: bytes, comm_r_old: bytes) -> int:
    """Return phi, the randomness of one update.  Raises BadScalar."""
    return poseidon_randomness(scalar_from_bytes(comm_d_new), scalar_from_bytes(comm_r_old))


def update_rho(phi: int, node: int, *, nodes: int, high_bits: int) -> int:
    """Return the factor of a node's data; it depends on the `high_bits` high bits of the node's index."""
    return poseidon_randomness(phi, node >> (nodes.bit_length() - 1 - high_bits))


def update_encode(sector_key: bytes, data: bytes, *, rho: int) -> bytes:
    """Return a node of the new replica from the old replica's node and the new data's.  Raises BadScalar."""
    return scalar_to_bytes((scalar_from_bytes(sector_key) + scalar_from_bytes(data) * rho) % SCALAR_MODULUS)
