"""What a row of a pipeline's table says, and the moves that follow from its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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
