"""Model of a batch of 32 GiB with its layers on drives: its load on a host, and the sectors a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from poolsite.filecoin.porep.parameters import SealParameters, parameters_of_size
from poolsite.wire.hardware import BatchSize, DrivesMeasured, PagesMeasured
from poolsite.wire.page_shape import BATCH_MAX, CARD_PIECE, LANES, shape_of
from poolsite.wire.sums import memory_for_slots

SECTOR_BYTES: Final = 32 << 30
PARAMETERS: Final = parameters_of_size(SECTOR_BYTES)
READS_A_NODE: Final = 8.72
"""Mean of eleven layers with a ring of 2^20 nodes, by the parents of a 32 GiB graph."""
SIZES: Final = (1, 4, 16, 32, 64, BATCH_MAX)
"""Sectors of a batch that are compared; one of fewer than sixteen has pages of sixteen."""
MEMORY, ROOM, READS, CORES, TREES = "memory", "room", "reads", "cores", "trees"
BINDS: Final = (MEMORY, ROOM, READS, CORES, TREES)
"""Limits of a batch: the first two allow none at all."""


NEAR: Final = 0.95
"""A size that makes at least this part of the best one's sectors a day is as good: it is full sooner."""
SET, BEST, UNMEASURED, LEAST, STARTED = "set", "best", "unmeasured", "least", "begun"
"""Why batches have their size (`BatchSize.why`)."""
LABELLING: Final = "a batch is labelled on them: measure once it has ended"
"""Why drives are not measured now (`Hardware.drives_error`); other reasons are what `measure-disks` said."""


def layers_bytes(sectors: int) -> int:
    """Return the bytes of all layers of a batch."""
    return PARAMETERS.layers * SECTOR_BYTES * sectors


def reads_hours(reads_s: float, parameters: SealParameters = PARAMETERS) -> float:
    """Return the hours that the reads of a batch take, however many sectors it has."""
    return _hours(reads_s / READS_A_NODE, parameters)


def _hours(nodes_s: float, parameters: SealParameters) -> float:
    """Return the hours of all nodes of all layers."""
    return parameters.layers * parameters.nodes / nodes_s / 3600


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
    """Until all layers are there."""
    trees_hours: float | None
    """From then until replicas and trees are made."""
    per_day: float | None
    """Sectors a day, one batch after the other, of layers alone where trees are not known; 0: none fits."""
    binds: str
    """One of BINDS; empty: not known."""
    days: float | None
    """Until the drives have been written as often as they stand."""

    @property
    def whole_hours(self) -> float | None:
        """Return the hours of layers, replicas and trees, or of layers alone where those are not known."""
        return None if self.hours is None else self.hours + (self.trees_hours or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMachine:
    """Means of a machine for batches; 0 is not known."""

    cpus: int = 1
    ram_bytes: int = 0
    has_card: bool = False
    """A card takes larger pieces of the trees."""
    columns_s: int = 0
    """Columns that trees are made of in a second."""


def batch_figures(
    sectors: int,
    page: PagesMeasured,
    *,
    drives: int,
    room_bytes: int | None = None,
    machine: BatchMachine = BatchMachine(),
    endurance_bytes: float = 0.0,
    parameters: SealParameters = PARAMETERS,
) -> BatchFigures:
    """Return the figures of batches of one size; what is zero, and room that is None, is not known.

    `page` has what was measured of the pages of that size,
    `endurance_bytes` is what may be written to all drives together.
    """
    shape = shape_of(parameters, sectors, drives)
    needs = shape.layers * shape.extent_bytes * drives
    of_reads = reads_hours(page.reads_s, parameters) if page.reads_s else None
    of_cores = reads_needed_s = None
    if page.nodes_s:  # reads take a part of the cores, too
        nodes_s = 1 / (1 / page.nodes_s + READS_A_NODE * page.read_ns / 1e9 / max(machine.cpus, 1))
        of_cores, reads_needed_s = _hours(nodes_s, parameters), READS_A_NODE * nodes_s
    hours = None if of_reads is None else max(of_reads, of_cores or 0.0)
    trees_hours = sectors * parameters.nodes / machine.columns_s / 3600 if machine.columns_s else None
    binds, per_day = "", None if hours is None else sectors * 24 / (hours + (trees_hours or 0.0))
    memory = shape.memory_bytes + (shape.pieces_bytes(CARD_PIECE) if machine.has_card else 0)
    if machine.ram_bytes and memory > memory_for_slots(machine.ram_bytes):
        binds, per_day = MEMORY, 0.0
    elif room_bytes is not None and needs > room_bytes:
        binds, per_day = ROOM, 0.0
    elif of_reads is not None and of_cores is not None:
        binds = READS if of_reads >= of_cores else CORES
        if trees_hours is not None and trees_hours > max(of_reads, of_cores):
            binds = TREES
    # A batch of few sectors is written in pages of sixteen.
    written = (per_day or 0.0) / sectors * parameters.layers * parameters.sector_bytes * shape.lanes
    return BatchFigures(
        sectors=sectors,
        memory_bytes=memory,
        needs_bytes=needs,
        reads_needed_s=reads_needed_s,
        reads_s=page.reads_s or None,
        hours=hours,
        trees_hours=trees_hours,
        per_day=per_day,
        binds=binds,
        days=endurance_bytes / written if endurance_bytes and written else None,
    )


def batch_choose(
    measured: DrivesMeasured | None,
    *,
    parameters: SealParameters,
    drives: Sequence[str],
    slots: int,
    machine: BatchMachine,
    within_s: float = 0.0,
) -> BatchSize:
    """Return how many sectors batches have: those that make most sectors a day, the fewest of such.

    They fit into memory, drives and slots of PC1 (0: any), and end in `within_s` seconds (0: at any time).
    """
    if measured is None or measured.drives != tuple(drives):
        measured = DrivesMeasured()
    pages = {one.sectors: one for one in measured.pages}
    found: list[BatchFigures] = []
    for sectors in SIZES:
        if sectors < LANES or sectors > max(slots or BATCH_MAX, LANES):
            continue
        figures = batch_figures(
            sectors,
            pages.get(sectors, PagesMeasured(sectors=sectors)),
            drives=len(drives),
            room_bytes=measured.room_bytes if measured.drives else None,
            machine=replace(machine, columns_s=measured.columns_s),
            parameters=parameters,
        )
        is_late = within_s and (figures.whole_hours or 0.0) * 3600 > within_s
        if figures.per_day != 0 and not is_late:
            found.append(figures)
    if not found:
        return BatchSize(sectors=LANES, why=LEAST)
    if any(one.per_day is None for one in found):
        return BatchSize(sectors=found[-1].sectors, why=UNMEASURED)
    best = max(one.per_day or 0.0 for one in found)
    return BatchSize(
        sectors=next(one.sectors for one in found if (one.per_day or 0.0) >= NEAR * best), why=BEST
    )


def batch_size_of(hardware: Mapping[str, Any]) -> BatchSize | None:
    """Return how many sectors a host labels together; None if its file names no drives for layers."""
    reported = hardware.get("batch_size")
    return msgspec.convert(reported, BatchSize) if reported else None


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
                machine=BatchMachine(
                    cpus=int(hardware.get("cpus") or 0),
                    ram_bytes=int(hardware.get("ram_bytes") or 0),
                    has_card=bool(hardware.get("gpus")),
                    columns_s=measured.columns_s,
                ),
                endurance_bytes=measured.endurance_bytes,
            )
        )
    return tuple(found)
