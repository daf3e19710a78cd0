"""The updated replica of SnapUp: its randomness, and encoding, decoding and removing data.

Source: FIP-0019; rust-fil-proofs storage-proofs-update/src/vanilla.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from poolsite.filecoin.update.parameters import UpdateParameters, update_parameters_for_size
from workers.kernels import poseidon, scaling
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.poseidon_constants import GEN_RANDOMNESS_TAG
from workers.processors.parallel import parallel_for

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.storage.mapped import Nodes

CHUNK_NODES = 1 << 15
"""Nodes that a thread encodes at a time: 1 MiB."""


def update_parameters_of(parameters: SealParameters) -> UpdateParameters:
    """Return the update parameters of a sector's size."""
    return update_parameters_for_size(parameters.sector_bytes, parameters.shape)


@dataclass(frozen=True, slots=True)
class Encoding:
    """The factors of one update; node v of the sector takes number v >> shift."""

    factors: Nodes
    """rho in Montgomery form."""
    inverses: Nodes
    """1 / rho in Montgomery form."""
    shift: int

    def encode(self, key: Nodes, data: Nodes, out: Nodes, *, first: int = 0) -> None:
        """Write the new replica's nodes from the old replica's and the data's."""
        scaling.encode_rows(key, data, self.factors, self.shift, first, out)

    def remove(self, replica: Nodes, data: Nodes, out: Nodes, *, first: int = 0) -> None:
        """Write the old replica's nodes from the new replica's and the data's."""
        scaling.remove_rows(replica, data, self.factors, self.shift, first, out)

    def decode(self, replica: Nodes, key: Nodes, out: Nodes, *, first: int = 0) -> None:
        """Write the data's nodes from the new replica's and the old replica's."""
        scaling.decode_rows(replica, key, self.inverses, self.shift, first, out)

    def decode_all(self, replica: Nodes, key: Nodes, out: Nodes) -> None:
        """Decode a whole sector on all cores."""

        def work(first: int, end: int) -> None:
            self.decode(replica[first:end], key[first:end], out[first:end], first=first)

        parallel_for(work, len(out), size=CHUNK_NODES)


def encoding_of(parameters: UpdateParameters, *, comm_d_new: bytes, comm_r_old: bytes) -> Encoding:
    """Derive the factors of an update."""
    phi = poseidon.hash_values([comm_d_new, comm_r_old], tag=GEN_RANDOMNESS_TAG)
    count = 1 << parameters.high_bits
    pairs = np.zeros((2 * count, 4), np.uint64)
    pairs[0::2] = np.frombuffer(phi, np.uint64)
    pairs[1::2, 0] = np.arange(count, dtype=np.uint64)
    rho = np.empty((count, 4), np.uint64)
    start = pairs.ctypes.data
    poseidon.hash_many([start, start + 32], rho, step=64, tag=GEN_RANDOMNESS_TAG)
    values = [int.from_bytes(row.tobytes(), "little") for row in rho]
    return Encoding(
        factors=limbs(values, bits=WORD_BITS),
        inverses=limbs([pow(value, -1, SCALAR_MODULUS) for value in values], bits=WORD_BITS),
        shift=parameters.node_bits - parameters.high_bits,
    )
