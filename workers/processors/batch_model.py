"""Model of a batch of 32 GiB with its layers on drives: their load, and the sectors a day that they allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.porep.parameters import SealParameters, parameters_of_size
from workers.processors.page_shape import shape_of

SECTOR_BYTES: Final = 32 << 30
READS_A_NODE: Final = 8.72
"""Mean of eleven layers with a ring of 2^20 nodes, by the parents of a 32 GiB graph."""


def parameters() -> SealParameters:
    """Return those of sectors of 32 GiB."""
    return parameters_of_size(SECTOR_BYTES)


def layers_bytes(sectors: int) -> int:
    """Return the bytes of all layers of a batch."""
    return parameters().layers * SECTOR_BYTES * sectors


def reads_hours(reads_s: float) -> float:
    """Return the hours that the reads of a batch take, however many sectors it has."""
    return READS_A_NODE * parameters().layers * parameters().nodes / reads_s / 3600


@dataclass(frozen=True, slots=True)
class DrivesAllow:
    """Limits of drives for batches of one size."""

    sectors: int
    memory_bytes: int
    needs_bytes: int
    """Room on all drives for one batch alone."""
    hours: float
    """That the reads of a batch take."""
    per_day: float
    """Sectors a day, as far as reads allow; 0: there is no room for one batch."""
    days: float | None
    """Until the drives have been written as often as they stand; None: not known."""


def drives_allow(
    sectors: int, *, reads_s: float, drives: int, room_bytes: int, endurance_bytes: float = 0.0
) -> DrivesAllow:
    """Return what drives allow that make so many reads a second together, and have so much room.

    `endurance_bytes`: that may be written to all together; 0: not known.
    """
    shape = shape_of(parameters(), sectors, drives)
    hours = reads_hours(reads_s)
    needs = shape.layers * shape.extent_bytes * drives
    per_day = sectors * 24 / hours if needs <= room_bytes else 0.0
    written = per_day * layers_bytes(1)
    return DrivesAllow(
        sectors=sectors,
        memory_bytes=shape.memory_bytes,
        needs_bytes=needs,
        hours=hours,
        per_day=per_day,
        days=endurance_bytes / written if endurance_bytes and written else None,
    )
