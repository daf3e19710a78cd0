"""What a host's slots and processors ask for together, refused with the sum where the machine has less."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.porep.parameters import parameters_of_size
from poolsite.wire.page_shape import CARD_PIECE, LANES, shape_of
from poolsite.wire.pipeline import WORKER_STAGES, Stage
from poolsite.wire.sums import labelling_bytes, memory_for_slots
from workers.config_mistakes import BadConfig
from workers.damocles_processors import cpus_of
from workers.gpus import gpus_here
from workers.host_settings import ROOM_SECTORS, SECTOR_ROOM
from workers.processors.layer_drives import LayerDrives
from workers.setting_levels import SLOTS
from workers.storage.memory import memory_bytes
from workers.storage.sizes import size_text

if TYPE_CHECKING:
    from workers.stage_processors import HostProcessors, StageProcessor

GPU_LISTS: Final = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
"""Variables that name GPUs by number."""


def room_proposed(proposed: Mapping[str, int], *, sector_bytes: int) -> dict[str, int]:
    """Return what `[proposed]` says, with room for sectors of the size that is sealed now."""
    least = {SECTOR_ROOM: ROOM_SECTORS * sector_bytes} if SECTOR_ROOM in proposed else {}
    return {key: max(value, least.get(key, 0)) for key, value in proposed.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRequirements:
    """Checks what a host is asked for."""

    path: str
    """Of the file that may say otherwise."""
    sector_bytes: int
    snark: str
    children: HostProcessors
    cpus: int = field(default_factory=lambda: os.cpu_count() or 1)
    ram_bytes: int = field(default_factory=memory_bytes)
    gpus: int | None = None
    """None: those that the driver tells."""

    def check(self, values: Mapping[str, int]) -> None:
        """Raise BadConfig if slots and processors ask for more than there is."""
        self._memory(values)
        self._cores(values)
        self._tasks(values)
        self._gpus()

    def _memory(self, values: Mapping[str, int]) -> None:
        needs = {stage: need for stage, need in self.memory_of_slots().items() if values.get(SLOTS + stage)}
        parts = [
            f"{values[SLOTS + stage]} × {size_text(need)} for {stage.lower()}"
            for stage, need in needs.items()
        ]
        total = sum(values[SLOTS + stage] * need for stage, need in needs.items())
        if self.children.layers is not None and values.get(f"{SLOTS}{Stage.PC1}"):
            batch, remedy = self._batch_bytes(self.children.layers), "fewer sectors in [layers]"
            parts.insert(0, f"{size_text(batch)} for a batch of [layers]")
            total += batch
        else:
            rest = total - values.get(f"{SLOTS}{Stage.PC1}", 0) * needs.get(Stage.PC1, 0)
            most = max(memory_for_slots(self.ram_bytes) - rest, 0) // labelling_bytes(self.sector_bytes)
            remedy = f"pc1 = {most} or less in [slots]"
        if total > self.ram_bytes:
            raise BadConfig(
                f"slots: {' + '.join(parts)} need {size_text(total)} of memory for sectors of"
                f" {size_text(self.sector_bytes)}; this machine has {size_text(self.ram_bytes)}:"
                f" set {remedy} of {self.path}, or a smaller --sector-size"
            )

    def memory_of_slots(self) -> dict[str, int]:
        """Return the memory of one slot of each stage that our own program runs and that holds some."""
        needs = {
            stage: spec.memory.of(self.sector_bytes)
            for stage, spec in WORKER_STAGES.items()
            if spec.task not in self.children.foreign
            and (self.snark == "groth16" or not spec.memory.is_of_groth16)
        }
        if self.children.layers is not None:
            needs.pop(Stage.PC1, None)  # a batch has a window of the layers in memory, however many it has
        return {stage: need for stage, need in needs.items() if need}

    def _batch_bytes(self, layers: LayerDrives) -> int:
        """Return the memory of a batch with its layers on drives; a card takes larger pieces of its trees."""
        shape = shape_of(parameters_of_size(self.sector_bytes), layers.sectors or LANES, len(layers.drives))
        has_card = bool(len(gpus_here()) if self.gpus is None else self.gpus)
        return shape.memory_bytes + (shape.pieces_bytes(CARD_PIECE) if has_card else 0)

    def _cores(self, values: Mapping[str, int]) -> None:
        parts, total = [], 0
        for number, one in enumerate(self.children.children):
            cores = len(pinned(one))
            if cores and not any(self._takes_turns(one, other) for other in self.children.children[:number]):
                parts.append(f"{cores} for {one.stage}")
                total += cores
        for stage, spec in WORKER_STAGES.items():
            slots, per_core = values.get(SLOTS + stage, 0), spec.sectors_per_core
            has_turns = stage == Stage.PC1 and self.children.layers is not None
            if slots and per_core and spec.task not in self.children.stages and not has_turns:
                cores = -(-slots // per_core)
                parts.append(f"{cores} for {slots} {stage.lower()} slots ({per_core} sectors per core)")
                total += cores
        if total > self.cpus:
            raise BadConfig(
                f"{self.path}: {' + '.join(parts)} = {total} cores, and this machine has {self.cpus}:"
                " make the cpusets smaller, remove them, or give pc1 fewer slots"
            )

    def _tasks(self, values: Mapping[str, int]) -> None:
        """Refuse more tasks at a time than there are cores, those of stages that share or own theirs aside.

        So are those whose program takes several sectors in one request: how it uses cores is its own matter.
        One of each stage may always run: they take turns on the cores.
        """
        own = {one.stage for one in self.children.children if pinned(one) or one.sectors > 1}
        further = {
            stage: values.get(SLOTS + stage, 0) - 1
            for stage, spec in WORKER_STAGES.items()
            if spec.task and not spec.sectors_per_core and spec.task not in own
        }
        more = {stage: count for stage, count in further.items() if count > 0}
        if sum(more.values()) > self.cpus:
            parts = " + ".join(f"{count + 1} {stage.lower()}" for stage, count in more.items())
            raise BadConfig(
                f"{self.path}: {parts} tasks at a time, {sum(more.values())} beyond the first of each stage,"
                f" and this machine has {self.cpus} cores: give them fewer slots, or a lower concurrent"
            )

    def _takes_turns(self, one: StageProcessor, other: StageProcessor) -> bool:
        """Return whether two processors share their cores, but never run at once."""
        shared = set(one.locks) & set(other.locks)
        is_alone = any(self.children.locks.get(lock, 1) == 1 for lock in shared)
        return is_alone and pinned(one) <= pinned(other)

    def _gpus(self) -> None:
        for one in self.children.children:
            lists = [name for name in GPU_LISTS if name in one.environment]
            # UUIDs and "-1" name none of them by number
            parts = [part.strip() for name in lists for part in one.environment[name].split(",")]
            named = [int(part) for part in parts if part.isdecimal()]
            there = 0 if not named else len(gpus_here()) if self.gpus is None else self.gpus
            if named and max(named) >= there:
                has = f"has GPUs 0-{there - 1}" if there else "has no GPU with a loaded driver"
                raise BadConfig(
                    f"{self.path}: a processor of {one.stage} requests GPU {max(named)}, but this machine"
                    f" {has}: fix {' or '.join(lists)} in its envs"
                )


def pinned(one: StageProcessor) -> set[int]:
    """Return the cores that a processor is started on; empty: any."""
    if "taskset" not in one.around:
        return set()
    return cpus_of(one.around[one.around.index("-c", one.around.index("taskset")) + 1])
