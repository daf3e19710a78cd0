"""Chain epochs: the numbered time slots in which at most one tipset exists.

Source: filecoin-project/go-state-types abi/chain.go (ChainEpoch), builtin/quantize.go (QuantSpec).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

ChainEpoch = NewType("ChainEpoch", int)
"""Number of an epoch; genesis is 0, negative numbers only appear in arithmetic."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """A grid of epochs: offset plus multiples of unit.

    Expirations are rounded up to the last epochs of a sector's deadline, one in each proving period, at which
    cron settles that deadline in any case.
    """

    unit: int
    """Distance of the grid's points in epochs, above 0."""
    offset: int
    """Any epoch on the grid."""

    def up(self, epoch: int) -> ChainEpoch:
        """Return the first point of the grid at or after `epoch`.  Source: builtin/quantize.go QuantizeUp."""
        offset = self.offset % self.unit
        return ChainEpoch(-((offset - epoch) // self.unit) * self.unit + offset)

    def down(self, epoch: int) -> ChainEpoch:
        """Return the last point of the grid at or before `epoch`."""
        offset = self.offset % self.unit
        return ChainEpoch((epoch - offset) // self.unit * self.unit + offset)


def lookback(epoch: int, distance: int) -> ChainEpoch:
    """Return the epoch `distance` before `epoch`; young chains stop at genesis."""
    return ChainEpoch(max(epoch - distance, 0))
