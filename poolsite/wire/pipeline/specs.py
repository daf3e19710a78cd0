"""What a row of a pipeline's table says, and the moves that follow from its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Owner(StrEnum):
    """Who does a stage."""

    WORKER = "worker"
    CONSOLE = "console"
    NOBODY = "nobody"


class SectorKind(StrEnum):
    """What a sector holds when it is sealed."""

    CC = "CC"
    """Committed capacity: zeros only."""
    DEALS = "DEALS"


class StoreUse(StrEnum):
    """What a worker's stage does with the store of sealed sectors."""

    NOTHING = "nothing"
    WRITES = "writes"
    """It puts the sector there."""
    READS = "reads"
    """It reads the sector there; out of a bucket it is fetched first."""
    CLEARS = "clears"
    """It removes there what is not needed any more."""


class ChainClock(StrEnum):
    """What the chain takes from a sector that is too late in a stage."""

    NONE = "none"
    TICKET = "ticket"
    """The ticket expires: all that was sealed with it is made again."""
    DEPOSIT = "deposit"
    """The pre-commit expires: its deposit is burnt."""


LARGE_SECTOR_BYTES: Final = 32 << 30
"""Sectors from here on are proved by the large circuits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory that one slot of a stage holds while its task runs, mapped files aside."""

    per_sector_byte: int = 0
    """Bytes for each byte of the sector."""
    small_bytes: int = 0
    """Bytes besides, for a sector smaller than LARGE_SECTOR_BYTES."""
    large_bytes: int = 0
    """Bytes besides, for any other."""
    is_of_groth16: bool = False
    """Whether only hosts that make Groth16 proofs hold it."""

    def of(self, sector_bytes: int) -> int:
        """Return the bytes for a sector of a size."""
        besides = self.large_bytes if sector_bytes >= LARGE_SECTOR_BYTES else self.small_bytes
        return self.per_sector_byte * sector_bytes + besides


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How a stage is tried again after temporary failures."""

    attempts_max: int = 5
    """Temporary failures in a row before it waits for an operator."""
    pause_s: int = 10
    """Seconds before the second attempt; doubles with each."""
    pause_max_s: int = 600
    """Most seconds between two attempts."""

    def pause_after(self, attempts: int) -> int:
        """Return the seconds to wait after the given number of failures."""
        return int(min(self.pause_s * 2 ** max(attempts - 1, 0), self.pause_max_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """One row of the table: all that anybody has to know of a stage."""

    state: str
    """The state in which the stage is the next one."""
    stage: str
    owner: Owner
    label: str
    """Head of its column, row of a Gantt chart."""
    next: str = ""
    """The state after it; empty where nothing follows."""
    event: str = ""
    """What ends it."""
    done: str = ""
    """The event in a sector's timeline."""
    status: str = ""
    """What a list shows while the sector waits in it; empty: the label."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Further events that move a sector from the state, and where they lead."""
    resume_at: tuple[str, ...] = ()
    """Where an operator may set a paused sector back to, best first; the state itself means: try again."""
    slots: int = 0
    """Of a worker's stage: how many at a time on a host that says nothing else."""
    plans: tuple[str, ...] = ()
    """Of a worker's stage: the plans of sealing threads that run it, where a host's file has sealing threads;
    empty: its slots do not depend on them."""
    memory: Memory = field(default_factory=Memory)
    """What each slot holds; a host refuses slots that together need more than its machine has."""
    sectors_per_core: int = 0
    """Sectors that one core works on side by side at most; 0: a slot uses all cores."""
    retries: Retries = field(default_factory=Retries)
    """How it is tried again, where neither the pool, the miner nor the host's file says otherwise."""
    clock: ChainClock = ChainClock.NONE
    """What a delay in it costs."""
    task: str = ""
    """Of a worker's stage: module of `workers.processors` whose `run` does it in a kernel child; empty: the
    agent only moves files."""
    kernels: tuple[str, ...] = ()
    """What the task needs compiled before it runs at full speed (`workers.kernels.precompile`)."""
    outputs: tuple[str, ...] = ()
    """Fields of `StageOutputs` that its report must bring; the console keeps them."""
    kinds: tuple[SectorKind, ...] = tuple(SectorKind)
    """The sectors that it can be done for."""
    store: StoreUse = StoreUse.NOTHING
    grows: bool = False
    """Whether the sector's sealing folder grows: until its end the host keeps the space free."""
    published_s: float = 0.0
    """Of a worker's stage of sealing: seconds for 32 GiB as published for another program; what plans take
    until this pool has measured its own (`apps.sectors.services.plans` names the machine)."""
    is_guessed: bool = False
    """Whether `published_s` is our guess instead."""

    @property
    def report(self) -> str:
        """The event that a sealing host reports at its end; empty where the console ends it."""
        return self.event if self.owner is Owner.WORKER else ""


BACK_TO: Final = "BACK_TO_"
"""First part of the events by which an operator sets a paused sector back: `BACK_TO_ALLOCATED`."""


def transitions_of(specs: Iterable[StageSpec]) -> dict[str, dict[str, str]]:
    """Return the moves of a table: from state and event to state."""
    return {
        spec.state: ({str(spec.event): str(spec.next)} if spec.next else {})
        | dict(spec.others)
        | {f"{BACK_TO}{earlier}": str(earlier) for earlier in spec.resume_at}
        for spec in specs
    }
