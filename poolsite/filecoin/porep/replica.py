"""The replica: its id, the SDR labels of its nodes, the encoding of data and the commitment comm_r.

Source: filecoin-project/rust-fil-proofs storage-proofs-porep/src/encode.rs,
storage-proofs-porep/src/stacked/vanilla/{params,create_label/single,proof}.rs.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import cycle, islice

from poolsite.filecoin.poseidon import poseidon_node
from poolsite.filecoin.scalars import SCALAR_MODULUS, scalar_from_bytes, scalar_to_bytes
from poolsite.filecoin.sha254 import sha254
from poolsite.filecoin.varint import uvarint_write

REPEATED_PARENTS = 37
"""Parent labels in the preimage of a label; the parents are cycled to fill them."""

PROVER_ID_BYTES = 32
"""Length of the prover id."""


def prover_id_bytes(miner_id: int) -> bytes:
    """Return the prover id of miner f0`miner_id`: its address payload (LEB128), zero-filled to 32 bytes.

    Source: filecoin-project/filecoin-ffi proofs.go toProverID.
    """
    return uvarint_write(miner_id).ljust(PROVER_ID_BYTES, b"\0")


def replica_id(
    prover_id: bytes, sector_number: int, *, ticket: bytes, comm_d: bytes, porep_id: bytes
) -> bytes:
    """Return the id of a replica, the key of its labels.

    SHA-254 of prover id, sector number (u64, big-endian), ticket, comm_d and porep_id: no other miner, sector
    or data has these labels.  Source: vanilla/params.rs generate_replica_id.
    """
    return sha254(prover_id + struct.pack(">Q", sector_number) + ticket + comm_d + porep_id)


def node_label(replica: bytes, layer: int, *, node: int, parents: Sequence[bytes]) -> bytes:
    """Return the label of `node` in `layer` (from 1) from its parents' labels as they are hashed.

    SHA-254 of the replica id, layer (u32) and node (u64), both big-endian, zeros up to 64 bytes, and 37
    parents' labels.  Node 0 has no parents; any other has six in layer 1 (labels of this layer) and 14 above
    (six of this layer, eight of the layer before), cycled to 37.

    Source: create_label/single.rs create_label, create_label_exp.
    """
    header = replica + struct.pack(">IQ", layer, node) + bytes(20)
    return sha254(header + b"".join(repeated_parents(parents) if node else ()))


def repeated_parents(parents: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the parents' labels repeated in turn to the 37 that are hashed."""
    return tuple(islice(cycle(parents), REPEATED_PARENTS))


def replica_encode(label: bytes, data: bytes) -> bytes:
    """Return the replica's node: label of the last layer plus data, as scalars.  Raises BadScalar."""
    return scalar_to_bytes((scalar_from_bytes(label) + scalar_from_bytes(data)) % SCALAR_MODULUS)


def replica_commitment(comm_c: bytes, comm_r_last: bytes) -> bytes:
    """Return comm_r, the hash of the roots of tree_c and tree_r_last.  Raises BadScalar.

    It commits to the labels and to the replica at once, so a PoSt needs to show only that comm_c goes with
    the root that it opens.
    """
    return poseidon_node((comm_c, comm_r_last))
