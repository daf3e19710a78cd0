"""Sectors: their sizes, numbers, and the registered proof types that fix how they are sealed and proved.

Source: go-state-types abi/sector.go, builtin-actors runtime/src/runtime/policy.rs,
actors/miner/src/policy.rs.
"""

from __future__ import annotations

import enum
from typing import Final, NewType

from poolsite.filecoin.varint import uvarint_write

SectorNumber = NewType("SectorNumber", int)
"""Number of a sector within its miner; never used twice."""
SectorSize = NewType("SectorSize", int)
"""Bytes of a sealed sector."""
PaddedPieceSize = NewType("PaddedPieceSize", int)
"""Bytes of a piece after bit padding, a power of two from 128."""
UnpaddedPieceSize = NewType("UnpaddedPieceSize", int)
"""Bytes of a piece before bit padding, 127/128 of the padded size."""

SIZE_2KIB: Final = SectorSize(2 << 10)
"""Bytes of the smallest sectors, of devnets and tests."""
SIZE_8MIB: Final = SectorSize(8 << 20)
"""Bytes of a larger size of devnets and tests."""
SIZE_512MIB: Final = SectorSize(512 << 20)
"""Bytes of a size of test networks."""
SIZE_32GIB: Final = SectorSize(32 << 30)
"""Bytes of the public networks' sectors."""
SIZE_64GIB: Final = SectorSize(64 << 30)
"""Bytes of the public networks' larger sectors."""
SECTOR_SIZES: Final = (SIZE_2KIB, SIZE_8MIB, SIZE_512MIB, SIZE_32GIB, SIZE_64GIB)
"""Sizes in the order in which each family of proof types numbers them."""
SIZE_NAMES: Final = {
    SIZE_2KIB: "2KiB",
    SIZE_8MIB: "8MiB",
    SIZE_512MIB: "512MiB",
    SIZE_32GIB: "32GiB",
    SIZE_64GIB: "64GiB",
}
"""Sizes as names of proof types carry them."""

MAX_SECTOR_NUMBER: Final = SectorNumber((1 << 63) - 1)
"""Largest sector number."""


class BadProofType(ValueError):
    """A number that is no registered proof type."""


class SealVersion(enum.Enum):
    """Families of seal proofs."""

    V1 = "V1"
    """The first form; its graph had a flaw."""
    V1_1 = "V1_1"
    """The form in use."""
    V1_1_SYNTHETIC = "V1_1_Feat_SyntheticPoRep"
    """Challenges drawn from a smaller set, so that layers can be deleted early (FIP-0059)."""
    V1_2_NON_INTERACTIVE = "V1_2_Feat_NonInteractivePoRep"
    """Without waiting for a seed (FIP-0092)."""


class RegisteredSealProof(enum.IntEnum):
    """How a sector is sealed and that is proved.

    A code is five times the place of the family in `SealVersion`, plus the place of the size in
    `SECTOR_SIZES`.
    """

    STACKED_DRG_2KIB_V1 = 0
    STACKED_DRG_8MIB_V1 = 1
    STACKED_DRG_512MIB_V1 = 2
    STACKED_DRG_32GIB_V1 = 3
    STACKED_DRG_64GIB_V1 = 4
    STACKED_DRG_2KIB_V1_1 = 5
    STACKED_DRG_8MIB_V1_1 = 6
    STACKED_DRG_512MIB_V1_1 = 7
    STACKED_DRG_32GIB_V1_1 = 8
    STACKED_DRG_64GIB_V1_1 = 9
    STACKED_DRG_2KIB_V1_1_SYNTHETIC = 10
    STACKED_DRG_8MIB_V1_1_SYNTHETIC = 11
    STACKED_DRG_512MIB_V1_1_SYNTHETIC = 12
    STACKED_DRG_32GIB_V1_1_SYNTHETIC = 13
    STACKED_DRG_64GIB_V1_1_SYNTHETIC = 14
    STACKED_DRG_2KIB_V1_2_NI = 15
    STACKED_DRG_8MIB_V1_2_NI = 16
    STACKED_DRG_512MIB_V1_2_NI = 17
    STACKED_DRG_32GIB_V1_2_NI = 18
    STACKED_DRG_64GIB_V1_2_NI = 19

    @property
    def sector_size(self) -> SectorSize:
        """Return the bytes of a sector of this type."""
        return SECTOR_SIZES[self % 5]

    @property
    def version(self) -> SealVersion:
        """Return the family of the proof type."""
        return tuple(SealVersion)[self // 5]

    @property
    def is_interactive(self) -> bool:
        """Return whether the proof needs a seed drawn after the pre-commit."""
        return self.version is not SealVersion.V1_2_NON_INTERACTIVE

    @property
    def interactive(self) -> RegisteredSealProof:
        """Return the type that waits for a seed and can hold data, of the same size; itself if it is one."""
        return self if self.is_interactive else RegisteredSealProof(self.STACKED_DRG_2KIB_V1_1 + self % 5)

    @property
    def window_post_proof(self) -> RegisteredPoStProof:
        """Return the WindowPoSt type that miners of such sectors have (network version 19 and later)."""
        return RegisteredPoStProof(10 + self % 5)

    @property
    def winning_post_proof(self) -> RegisteredPoStProof:
        """Return the WinningPoSt type for such sectors."""
        return RegisteredPoStProof(self % 5)

    @property
    def update_proof(self) -> RegisteredUpdateProof:
        """Return the type of replica updates of such sectors."""
        return RegisteredUpdateProof(self % 5)

    @property
    def text(self) -> str:
        """Return the name in go-state-types, for example `StackedDrg2KiBV1_1`."""
        return f"StackedDrg{SIZE_NAMES[self.sector_size]}{self.version.value}"


FIRST_V1_1: Final = RegisteredSealProof.STACKED_DRG_2KIB_V1_1
"""First proof type in use: older ones no chain takes any more for new sectors."""


class RegisteredPoStProof(enum.IntEnum):
    """How storage over time is proved.

    A code is 0 (winning), 5 (window) or 10 (window V1_1), plus the place of the size in `SECTOR_SIZES`.
    WindowPoSt V1_1 counts the challenges within each sector (network version 19 and later).
    """

    WINNING_2KIB_V1 = 0
    WINNING_8MIB_V1 = 1
    WINNING_512MIB_V1 = 2
    WINNING_32GIB_V1 = 3
    WINNING_64GIB_V1 = 4
    WINDOW_2KIB_V1 = 5
    WINDOW_8MIB_V1 = 6
    WINDOW_512MIB_V1 = 7
    WINDOW_32GIB_V1 = 8
    WINDOW_64GIB_V1 = 9
    WINDOW_2KIB_V1_1 = 10
    WINDOW_8MIB_V1_1 = 11
    WINDOW_512MIB_V1_1 = 12
    WINDOW_32GIB_V1_1 = 13
    WINDOW_64GIB_V1_1 = 14

    @property
    def sector_size(self) -> SectorSize:
        """Return the bytes of a sector of this type."""
        return SECTOR_SIZES[self % 5]

    @property
    def is_window(self) -> bool:
        """Return whether it is a WindowPoSt, not a WinningPoSt."""
        return self >= RegisteredPoStProof.WINDOW_2KIB_V1

    @property
    def partition_sectors(self) -> int:
        """Return how many sectors one proof of this type covers: a partition's, or the winning sector."""
        if not self.is_window:
            return 1
        return {SIZE_32GIB: 2349, SIZE_64GIB: 2300}.get(self.sector_size, 2)

    @property
    def winning(self) -> RegisteredPoStProof:
        """Return the WinningPoSt type of the same size."""
        return RegisteredPoStProof(self % 5)


class RegisteredUpdateProof(enum.IntEnum):
    """How a replica update (SnapUp) is proved; a code is the place of the size in `SECTOR_SIZES`."""

    STACKED_DRG_2KIB_V1 = 0
    STACKED_DRG_8MIB_V1 = 1
    STACKED_DRG_512MIB_V1 = 2
    STACKED_DRG_32GIB_V1 = 3
    STACKED_DRG_64GIB_V1 = 4

    @property
    def sector_size(self) -> SectorSize:
        """Return the bytes of a sector of this type."""
        return SECTOR_SIZES[self]


class RegisteredAggregationProof(enum.IntEnum):
    """How seal proofs are folded into one."""

    SNARK_PACK_V1 = 0
    """The first form, which the actors no longer take."""
    SNARK_PACK_V2 = 1
    """The form in use: its transcript also covers the first round and the last points."""


def seal_proof(number: int) -> RegisteredSealProof:
    """Return the seal proof type of a code from the chain.  Raises BadProofType."""
    try:
        return RegisteredSealProof(number)
    except ValueError:
        raise BadProofType(f"unsupported seal proof type {number}") from None


def post_proof(number: int) -> RegisteredPoStProof:
    """Return the PoSt proof type of a code from the chain.  Raises BadProofType."""
    try:
        return RegisteredPoStProof(number)
    except ValueError:
        raise BadProofType(f"unsupported proof of spacetime type {number}") from None


def prover_id(miner: int) -> bytes:
    """Return the 32 bytes by which proofs name a miner: its number as varint, filled with zeros."""
    return uvarint_write(miner).ljust(32, b"\x00")
