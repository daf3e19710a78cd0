"""Model of a batch of 32 GiB with its layers on drives: its load on a host, and the sectors a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from poolsite.filecoin.porep.parameters import parameters_of_size
from poolsite.wire.hardware import DrivesMeasured, PagesMeasured
from poolsite.wire.page_shape import BATCH_MAX, CARD_PIECE, shape_of
from poolsite.wire.sums import memory_for_slots

SECTOR_BYTES: Final = 32 << 30
PARAMETERS: Final = parameters_of_size(SECTOR_BYTES)
READS_A_NODE: Final = 8.72
"""Mean of eleven layers with a ring of 2^20 nodes, by the parents of a 32 GiB graph."""
SIZES: Final = (1, 4, 16, 32, 64, BATCH_MAX)
"""Sectors of a batch that are compared; one of fewer than sixteen has pages of sixteen."""
MEMORY, ROOM, READS, CORES = "memory", "room", "reads", "cores"
BINDS: Final = (MEMORY, ROOM, READS, CORES)
"""Limits of a batch: the first two allow none at all."""


def layers_bytes(sectors: int) -> int:
    """Return the bytes of all layers of a batch."""
    return PARAMETERS.layers * SECTOR_BYTES * sectors


def reads_hours(reads_s: float) -> float:
    """Return the hours that the reads of a batch take, however many sectors it has."""
    return _hours(reads_s / READS_A_NODE)


def _hours(nodes_s: float) -> float:
    """Return the hours of all nodes of all layers."""
    return PARAMETERS.layers * PARAMETERS.nodes / nodes_s / 3600


@dataclass(frozen=True, slots=True)
class BatchFigures:
    """Load of a batch of one size, and what a host makes of it; None: not known."""

    sectors: int
    memory_bytes: int
    needs_bytes: int
    """Room on all drives for one batch alone."""
    reads_needed_s: float | None
    """Reads a second with which the cores never wait for drives."""
    reads_s: float | None
    """Reads a second that the drives make together."""
    hours: float | None
    """Until all layers are there; trees come after them."""
    per_day: float | None
    """Sectors a day, as far as layers allow, one batch after the other; 0: there is no room for one batch."""
    binds: str
    """One of BINDS; empty: not known."""
    days: float | None
    """Until the drives have been written as often as they stand."""


def batch_figures(
    sectors: int,
    page: PagesMeasured,
    *,
    drives: int,
    room_bytes: int | None = None,
    cpus: int = 1,
    ram_bytes: int = 0,
    has_card: bool = False,
    endurance_bytes: float = 0.0,
) -> BatchFigures:
    """Return the figures of batches of one size; what is zero, and room that is None, is not known.

    A card takes larger pieces of the trees.  `page` has what was measured of the pages of that size,
    `endurance_bytes` is what may be written to all drives together.
    """
    shape = shape_of(PARAMETERS, sectors, drives)
    needs = shape.layers * shape.extent_bytes * drives
    of_reads = reads_hours(page.reads_s) if page.reads_s else None
    of_cores = reads_needed_s = None
    if page.nodes_s:  # reads take a part of the cores, too
        nodes_s = 1 / (1 / page.nodes_s + READS_A_NODE * page.read_ns / 1e9 / max(cpus, 1))
        of_cores, reads_needed_s = _hours(nodes_s), READS_A_NODE * nodes_s
    hours = None if of_reads is None else max(of_reads, of_cores or 0.0)
    binds, per_day = "", None if hours is None else sectors * 24 / hours
    memory = shape.memory_bytes + (shape.pieces_bytes(CARD_PIECE) if has_card else 0)
    if ram_bytes and memory > memory_for_slots(ram_bytes):
        binds, per_day = MEMORY, 0.0
    elif room_bytes is not None and needs > room_bytes:
        binds, per_day = ROOM, 0.0
    elif of_reads is not None and of_cores is not None:
        binds = READS if of_reads >= of_cores else CORES
    # A batch of few sectors is written in pages of sixteen.
    written = (per_day or 0.0) / sectors * layers_bytes(shape.lanes)
    return BatchFigures(
        sectors=sectors,
        memory_bytes=memory,
        needs_bytes=needs,
        reads_needed_s=reads_needed_s,
        reads_s=page.reads_s or None,
        hours=hours,
        per_day=per_day,
        binds=binds,
        days=endurance_bytes / written if endurance_bytes and written else None,
    )


def measured_of(hardware: Mapping[str, Any]) -> DrivesMeasured | None:
    """Return what a host told of its drives; None: they were never measured."""
    reported = hardware.get("drives_measured")
    return msgspec.convert(reported, DrivesMeasured) if reported else None


def batch_table(hardware: Mapping[str, Any]) -> tuple[BatchFigures, ...]:
    """Return the figures of each size on a host; needs are those of one drive until it told of its own."""
    measured = measured_of(hardware) or DrivesMeasured()
    pages = {one.sectors: one for one in measured.pages}
    found = []
    for sectors in SIZES:
        shape = shape_of(PARAMETERS, sectors, 1)
        page = pages.get(shape.lanes, PagesMeasured(sectors=shape.lanes))
        found.append(
            batch_figures(
                sectors,
                page,
                drives=len(measured.drives) or 1,
                room_bytes=measured.room_bytes if measured.drives else None,
                cpus=int(hardware.get("cpus") or 0),
                ram_bytes=int(hardware.get("ram_bytes") or 0),
                has_card=bool(hardware.get("gpus")),
                endurance_bytes=measured.endurance_bytes,
            )
        )
    return tuple(found)
