"""What a host says about itself, and what the console tells it to do: register, heartbeat, commands.

Hosts sit behind NAT: the console never calls them, its commands ride on the answer to a heartbeat.
Source: spec/sealing.md §8.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from poolsite.wire.codec import NUMBER_MAX, BadWire
from poolsite.wire.jobs import NAME_MAX, JobKind, Progress, SealInputs, StageOutputs

SLOTS_MAX: Final = 10_000
"""Most slots of one stage."""


class Operation(StrEnum):
    """What a host can be told to do."""

    PAUSE = "pause"
    """Claim nothing; what runs goes on."""
    RESUME = "resume"
    DRAIN = "drain"
    """Claim no new sectors, finish those that are here."""
    SET_PLAN = "set_plan"
    """Use other slot numbers, as {"pc1": "2"}."""
    REMOVE = "remove"
    """Remove the files of an aborted sector, as {"job": its uuid, "miner_id": "1000", "number": "7"}."""


TOXIC_GROTH16: Final = "groth16_toxic"
"""Form of the Groth16 proofs that a public network refuses: its parameters come from a ceremony."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a host has."""

    cpus: int = 0
    ram_bytes: int = 0
    disk_free_bytes: int = 0
    disk_total_bytes: int = 0
    cpu_model: str = ""
    kernels_done: int = 0
    kernels_total: int = 0
    """Kernels that are compiled, of those its stages need; 0 of 0: the worker has none."""
    proofs: tuple[str, ...] = ("vanilla",)
    """Forms of proof that it makes now; TOXIC_GROTH16 instead of groth16 by parameters from a known seed."""
    parameters_done: int = 0
    parameters_total: int = 0
    """Points of the Groth16 parameters that are being made or converted; 0 of 0: none are."""
    parameters_error: str = ""
    """What is missing for the form of proof that it was told to make."""
    removing_bytes: int = 0
    """Bytes of aborted sectors that it is removing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorOnHost:
    """A sector in a host's journal: the stage that it began last, and what came of it."""

    job: str
    """The console's name of the job."""
    token: int
    """Of the lease under which the stage began."""
    inputs: SealInputs
    outputs: StageOutputs | None = None
    """None: the stage has not ended."""

    def __post_init__(self) -> None:
        if self.inputs.number < 0 or self.inputs.miner_id < 0:
            raise BadWire("inputs.number", "must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNumbers:
    """The sectors of one miner whose files lie in a host's store."""

    miner_id: int
    runs: tuple[int, ...]
    """Numbers as run lengths, the first of them without."""

    def __post_init__(self) -> None:
        if any(run < 0 for run in self.runs) or sum(self.runs) > NUMBER_MAX:
            raise BadWire("runs", f"must be lengths of {NUMBER_MAX} numbers at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """A worker introduces itself; with a new boot id its earlier leases are over."""

    uid: str
    """Kept on the host's disk; what is on that disk belongs to this uid."""
    boot_id: str
    """New with each start."""
    name: str
    host: str
    version: str
    kinds: tuple[JobKind, ...]
    slots: dict[str, int] = field(default_factory=dict)
    """Stage → how many at a time."""
    stores: tuple[str, ...] = ()
    hardware: Hardware = field(default_factory=Hardware)
    sectors: tuple[SectorOnHost, ...] = ()
    stored: tuple[StoredNumbers, ...] = ()

    def __post_init__(self) -> None:
        for name in ("uid", "boot_id", "name"):
            if not 0 < len(getattr(self, name)) <= NAME_MAX:
                raise BadWire(name, f"must have 1 to {NAME_MAX} characters")
        for name in ("host", "version"):
            if len(getattr(self, name)) > NAME_MAX:
                raise BadWire(name, f"must have at most {NAME_MAX} characters")
        if not self.kinds:
            raise BadWire("kinds", "must not be empty")
        if any(not 0 <= count <= SLOTS_MAX for count in self.slots.values()):
            raise BadWire("slots", f"must be from 0 to {SLOTS_MAX}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing to do; repeated on each heartbeat until the host says it was done."""

    id: str
    op: Operation
    args: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The console's answer: who you are here and how often to call."""

    worker_id: str
    heartbeat_s: int
    lease_s: int
    poll_ms: int
    """Pause between claims while there is nothing to do."""
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldJob:
    """A job that the worker believes to hold."""

    id: str
    progress: Progress
    """Names the fencing token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A worker is alive and renews its leases."""

    boot_id: str
    held: tuple[HeldJob, ...] = ()
    hardware: Hardware = field(default_factory=Hardware)
    is_draining: bool = False
    is_paused: bool = False
    done_commands: tuple[str, ...] = ()
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """A lease that goes on."""

    id: str
    token: int
    lease_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A lease that is over: stop the work, keep the files."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatAnswer:
    """What the worker still holds, what it lost, what it is told."""

    renewed: tuple[Renewed, ...] = ()
    lost: tuple[Lost, ...] = ()
    commands: tuple[Command, ...] = ()
    takes_containers: bool = True
    """Whether the pool's network takes containers of vanilla proofs, as far as that is known."""
    is_known: bool = True
    """False: another start of this worker is registered, or none; register again."""
