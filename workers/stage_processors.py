"""Kernel children and sealing folders of a host as its file describes them, for its Celery worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from workers.processors.compile_progress import COMPILE_PROGRESS_VARIABLE, TRIALS_VARIABLE
from workers.processors.layer_drives import BATCH_MINUTES, LAYERS_VARIABLE, LayerDrives
from workers.processors.pool_child import READY_S, SECTORS_VARIABLE, ChildSpec
from workers.processors.snark_choice import SNARK_VARIABLE

PROCESSORS_VARIABLE: Final = "POOLSITE_SEALER_PROCESSORS"
"""JSON of `HostProcessors`."""
LOCATIONS_VARIABLE: Final = "POOLSITE_SEALER_LOCATIONS"
"""JSON: the sealing threads' `Location`s."""
SEALING: Final = "sealing"
"""A folder in the host's own and in each location, made when the first sector begins there."""


class Location(msgspec.Struct, frozen=True):
    """A sealing thread: one sector at a time, in a folder of its own."""

    path: str
    plan: str = "sealer"
    """As its file says; `HostSettings.thread_plan` is obeyed."""
    number: int = 0
    """Which of the file's sealing threads it is, from 1."""

    @property
    def root(self) -> Path:
        """Return its sealing folder."""
        return Path(self.path) / SEALING


class StageProcessor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One child for one stage."""

    stage: str
    """The kernel's name, as `pc1`."""
    command: tuple[str, ...] = ()
    """An own binary with its arguments; empty: our program."""
    around: tuple[str, ...] = ()
    """What starts it on certain cores, as ("taskset", "-c", "0-7")."""
    environment: dict[str, str] = {}
    inherits_environment: bool = True
    concurrent: int = 0
    """Tasks at a time; 0: as many as the stage has slots."""
    sectors: int = 1
    """Most sectors of one request, if its program takes several."""
    wait_minutes: int = BATCH_MINUTES
    """After so long a request begins though it has fewer."""
    locks: tuple[str, ...] = ()
    weight: int = 1
    restarts: bool = True
    ready_s: float = READY_S

    def spec(self, environment: dict[str, str]) -> ChildSpec:
        """Return how to start it."""
        named = {SECTORS_VARIABLE: str(self.sectors)} if self.sectors > 1 else {}
        return ChildSpec(
            stages=(self.stage,),
            command=self.command,
            around=self.around,
            environment=self.environment | (named if self.command else environment),
            inherits_environment=self.inherits_environment,
            capacity=self.concurrent,
            sectors=self.sectors,
            wait_s=60.0 * self.wait_minutes,
            locks=self.locks,
            weight=self.weight,
            restarts=self.restarts,
            ready_s=self.ready_s,
        )


class HostProcessors(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that have a child of their own, and what holds between them."""

    children: tuple[StageProcessor, ...] = ()
    locks: dict[str, int] = {}
    """Name → tasks that may hold it at a time."""
    staggered_s: dict[str, float] = {}
    """Kernel's name → least time between two starts."""
    layers: LayerDrives | None = None
    """The drives on which layers lie, if the host's file names some."""

    @property
    def stages(self) -> frozenset[str]:
        """Return the stages that have a child of their own."""
        return frozenset(one.stage for one in self.children)

    @property
    def foreign(self) -> dict[str, tuple[str, ...]]:
        """Return the own binaries by stage, of stages that no child of ours runs."""
        own = {one.stage for one in self.children if not one.command}
        return {one.stage: one.command for one in self.children if one.stage not in own}

    def specs(self, all_stages: Sequence[str], *, compiling: Path, snark: str) -> list[ChildSpec]:
        """Return one child for all stages of ours that have none of their own, and those that have.

        The first says in the file `compiling` how many of its kernels are compiled.
        """
        rest = tuple(stage for stage in all_stages if stage not in self.stages)
        common = {SNARK_VARIABLE: snark, TRIALS_VARIABLE: str(compiling.parent)}
        if self.layers is not None:
            common[LAYERS_VARIABLE] = msgspec.json.encode(self.layers).decode()
        own = [one.spec(common) for one in self.children]
        environment = {COMPILE_PROGRESS_VARIABLE: str(compiling), **common}
        return [*own, ChildSpec(stages=rest, environment=environment)] if rest else own
