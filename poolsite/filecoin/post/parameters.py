"""Parameters of each registered PoSt proof: sector size, challenges, sectors of one partition, tree shape.

Source: filecoin-project/go-state-types abi/sector.go RegisteredPoStProof (numbers); filecoin-project/
rust-fil-proofs filecoin-proofs/src/constants.rs (counts).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from poolsite.filecoin.porep.parameters import SECTOR_SIZES, SHAPES, ApiVersion
from poolsite.filecoin.scalars import NODE_BYTES

if TYPE_CHECKING:
    from poolsite.filecoin.merkle import TreeShape

WINNING_CHALLENGES = 66
"""Challenges of a WinningPoSt, all in its one sector."""

WINDOW_CHALLENGES = 10
"""Challenges of each sector of a WindowPoSt."""

WINDOW_PARTITION_SECTORS = (2, 2, 2, 2349, 2300)
"""Sectors of one WindowPoSt partition, by sector size."""


class PoStKind(StrEnum):
    """What a PoSt is for."""

    WINNING = "winning"
    """Of a block: 66 challenges in one sector that the election chose."""
    WINDOW = "window"
    """Of a deadline: ten challenges in each sector of its partitions."""


GENERATIONS = (
    (PoStKind.WINNING, ApiVersion.V1_0),
    (PoStKind.WINDOW, ApiVersion.V1_0),
    (PoStKind.WINDOW, ApiVersion.V1_2),
)
"""Kinds of PoSt proofs, five numbers (one a size) each: StackedDrgWinning…V1, StackedDrgWindow…V1, …V1_1."""


class UnknownPoStProof(ValueError):
    """A number that is no registered PoSt proof."""


@dataclass(frozen=True, slots=True)
class PoStParameters:
    """What one registered PoSt proof fixes."""

    number: int
    """Number of the registered proof."""
    kind: PoStKind
    """Winning or window."""
    sector_bytes: int
    """Padded sector size."""
    api_version: ApiVersion
    """1.2.0 draws WindowPoSt challenges without the sector's place in the list."""
    challenges: int
    """Challenges of each sector."""
    partition_sectors: int
    """Sectors of one partition; 1 in a WinningPoSt."""
    shape: TreeShape
    """Shape of tree_r_last."""

    @property
    def nodes(self) -> int:
        """Return the number of 32-byte nodes of a sector."""
        return self.sector_bytes // NODE_BYTES


def post_parameters(number: int) -> PoStParameters:
    """Return the parameters of registered PoSt proof `number`.  Raises UnknownPoStProof."""
    generation, size = divmod(number, len(SECTOR_SIZES))
    if not 0 <= generation < len(GENERATIONS):
        raise UnknownPoStProof(f"there is no registered PoSt proof {number}")
    kind, api_version = GENERATIONS[generation]
    winning = kind is PoStKind.WINNING
    return PoStParameters(
        number=number,
        kind=kind,
        sector_bytes=SECTOR_SIZES[size],
        api_version=api_version,
        challenges=WINNING_CHALLENGES if winning else WINDOW_CHALLENGES,
        partition_sectors=1 if winning else WINDOW_PARTITION_SECTORS[size],
        shape=SHAPES[size],
    )
