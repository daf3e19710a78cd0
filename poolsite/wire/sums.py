"""What sealing takes of machines and stores: sums that a host checks by and the console plans with."""

from __future__ import annotations

from typing import Final

from poolsite.wire.pipeline import WORKER_STAGES, Stage

MEMORY_SHARE: Final = 0.9
"""Of a machine's memory, what slots may be proposed for: the rest is for the system and mapped files."""


def labelling_bytes(sector_bytes: int) -> int:
    """Return the memory that a sector takes while it is labelled."""
    return WORKER_STAGES[Stage.PC1].memory.of(sector_bytes)


def memory_for_slots(ram_bytes: int) -> int:
    """Return the part of a machine's memory that slots may take."""
    return int(ram_bytes * MEMORY_SHARE)


def stored_bytes(sector_bytes: int) -> int:
    """Return the disk that a finished sector takes at most, as damocles reserves it."""
    return 2 * sector_bytes if sector_bytes < 32 << 30 else sector_bytes + sector_bytes // 50
