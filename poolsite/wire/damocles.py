"""What a damocles-worker and damocles-manager say to each other: numbers and names of their JSON-RPC.

Source: ipfs-force-community/damocles damocles-worker/src/rpc/sealer/mod.rs, sealing_thread/planner/sealer.rs;
damocles-manager/core/types.go.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

from poolsite.wire.pipeline import RebuildState, SectorState

SECTOR_GONE: Final = 11001
"""Code of the error on which a worker wipes its files of the sector."""


MANAGER_VERSION: Final = "0.13.1"
"""Of damocles-manager, whose forms are spoken here."""


class SectorSide(StrEnum):
    """Its two stores of sectors."""

    ONLINE = "online"
    """Under way."""
    OFFLINE = "offline"


class SectorWork(IntEnum):
    """What is done with a sector, as lists are narrowed by it."""

    ALL = 0
    SEALING = 1
    SNAP_UP = 2
    REBUILD = 3
    UNSEAL = 4


class SubmitResult(IntEnum):
    """What became of a submission."""

    ACCEPTED = 1
    DUPLICATE = 2
    MISMATCHED = 3
    """The worker's thread waits for somebody; it keeps its files."""
    REJECTED = 4
    """The worker gives the sector up."""
    FILES_MISSED = 5


class OnChainState(IntEnum):
    """Where a submission is."""

    PENDING = 1
    PACKED = 2
    """In a message."""
    LANDED = 3
    NOT_FOUND = 4
    FAILED = 5
    """The worker submits again."""
    PERM_FAILED = 6
    """The worker's thread waits for somebody; it keeps its files."""
    SHOULD_ABORT = 7
    """The worker gives the sector up."""


class ProofState(StrEnum):
    """Where the job of a WindowPoSt is."""

    READY = "ready2run"
    RUNNING = "running"
    FINISHED = "finished"


_SIZES: Final = ("2KiB", "8MiB", "512MiB", "32GiB", "64GiB")
POST_PROOFS: Final[dict[str, int]] = {
    f"StackedDrg{kind}{size}{version}": first + at
    for kind, version, first in (("Winning", "V1", 0), ("Window", "V1", 5), ("Window", "V1_2", 10))
    for at, size in enumerate(_SIZES)
}
"""Names of RegisteredPoStProofs; what the chain calls V1_1 is V1_2 there."""


REACHED: Final[dict[str, str]] = {
    "PieceAdded": SectorState.PIECE_ADDED,
    "TreeDBuilt": SectorState.TREE_D_BUILT,
    "PC1Done": SectorState.PC1_DONE,
    "SyntheticPoRepNeeded": SectorState.PC1_DONE,
    "PC2Done": SectorState.PC1_DONE,
    "C1Done": SectorState.C1_DONE,
    "C2Done": SectorState.C1_DONE,
}
"""A worker's state → how far the sector is by what the worker has told until then: the outcomes of PC2 and
C2 come with its submissions."""


REBUILT_UNTIL: Final[dict[str, str]] = {
    "PieceAdded": RebuildState.REBUILD_PIECE_ADDED,
    "TreeDBuilt": RebuildState.REBUILD_TREE_D_BUILT,
    "PC1Done": RebuildState.REBUILD_PC1_DONE,
    "SyntheticPoRepNeeded": RebuildState.REBUILD_PC1_DONE,
    "PC2Done": RebuildState.REBUILD_PC1_DONE,
}
"""The same of a sector that is made again: what was made is known once its files are seen."""

LOCAL_PIECE_STORE: Final = "store:///"
"""Before a piece's CID: it goes to `/piecestore` of the manager that the worker knows."""
UNSEALING_STATE: Final = "unsealing"
"""State of a piece that a worker unseals."""
