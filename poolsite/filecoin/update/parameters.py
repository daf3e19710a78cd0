"""Parameters of each registered update proof (SnapUp): challenges, partitions, apex tree, allowed h.

Source: filecoin-project/rust-fil-proofs storage-proofs-update/src/constants.rs; filecoin-project/
go-state-types abi/sector.go RegisteredUpdateProof (numbers); FIP-0019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.porep.parameters import SECTOR_SIZES, SHAPES
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sizes import KIB, MIB

if TYPE_CHECKING:
    from poolsite.filecoin.merkle import TreeShape

SMALL_HIGH_BITS = (1, 1, 1, 1, 1, 1)
"""Allowed values of h for sectors up to 32 KiB."""

HIGH_BITS = (7, 8, 9, 10, 11, 12)
"""Allowed values of h for larger sectors."""

DEFAULT_HIGH_BITS_INDEX = 3
"""Place of the h that everyone uses.  Source: rust-fil-proofs storage-proofs-update/src/constants.rs
h_default."""


class UnknownUpdateProof(ValueError):
    """A number that is no registered update proof."""


@dataclass(frozen=True, slots=True)
class UpdateParameters:
    """What one sector size fixes."""

    sector_bytes: int
    """Padded sector size."""
    shape: TreeShape
    """Shape of tree_r_last."""
    partitions: int
    """Proofs of one update; a power of two."""
    challenges: int
    """Challenges of one partition."""
    apex_leaves: int
    """Nodes of tree_d that one partition's proof lists; a power of two."""
    allowed_high_bits: tuple[int, ...]
    """Values of h that the circuit can select."""

    @property
    def nodes(self) -> int:
        """Return the number of 32-byte nodes of the sector."""
        return self.sector_bytes // NODE_BYTES

    @property
    def node_bits(self) -> int:
        """Return the height of tree_d."""
        return self.nodes.bit_length() - 1

    @property
    def partition_bits(self) -> int:
        """Return the height of the tree over the partitions."""
        return self.partitions.bit_length() - 1

    @property
    def high_bits(self) -> int:
        """Return h: how many high bits of a node's index choose its rho."""
        return self.allowed_high_bits[DEFAULT_HIGH_BITS_INDEX]

    @property
    def high_bits_select(self) -> int:
        """Return h_select, the circuit's way to name h: two to the place of its first occurrence."""
        return 1 << self.allowed_high_bits.index(self.high_bits)


def update_parameters(number: int) -> UpdateParameters:
    """Return the parameters of registered update proof `number`.  Raises UnknownUpdateProof."""
    if not 0 <= number < len(SECTOR_SIZES):
        raise UnknownUpdateProof(f"registered update proof {number}")
    return update_parameters_for_size(SECTOR_SIZES[number], SHAPES[number])


def update_parameters_for_size(sector_bytes: int, shape: TreeShape) -> UpdateParameters:
    """Return the parameters of a sector size, also of the test sizes that have no registered number."""
    partitions = 16
    for limit, count in ((8 * KIB, 1), (32 * KIB, 2), (16 * MIB, 4)):
        if sector_bytes <= limit:
            partitions = count
            break
    return UpdateParameters(
        sector_bytes=sector_bytes,
        shape=shape,
        partitions=partitions,
        challenges=10 if sector_bytes <= 16 * MIB else 86,
        apex_leaves=8 if sector_bytes <= 8 * KIB else 128,
        allowed_high_bits=SMALL_HIGH_BITS if sector_bytes <= 32 * KIB else HIGH_BITS,
    )
