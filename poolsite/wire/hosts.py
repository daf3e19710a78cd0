"""What a host says about itself, and what the console tells it to do: register, heartbeat, commands.

Hosts sit behind NAT: the console never calls them, its commands ride on the answer to a heartbeat.
In words: docs/sealing/hosts.md.
"""

from __future__ import annotations

from typing import Final

from poolsite.wire.codec import NUMBER_MAX, BadWire, Document, Int, Text
from poolsite.wire.commands import Command
from poolsite.wire.hardware import Hardware
from poolsite.wire.host_settings import Setting, settings_check
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.job_reports import Progress, StageOutputs
from poolsite.wire.jobs import NAME_MAX, JobKind
from poolsite.wire.store_checks import CheckedSector, ScannedStore
from poolsite.wire.stores import AttachedStore, attached_check

VERSION: Final = "poolsite/0.3.0"
"""What a worker of this version says it is."""
SLOTS_MAX: Final = 10_000
"""Most slots of one stage."""
LOG_LINES_MAX: Final = 100
LOG_LINE_MAX: Final = 500
"""Lines of a host's log that a heartbeat carries, and characters of each."""
PARKED_MAX: Final = 4_000
"""Jobs that it tells of without holding them."""
LEFTOVERS_MAX: Final = 200
"""Leftovers in its sealing folders that a host tells of, the largest first."""


class SealingLeftover(Document, frozen=True, kw_only=True):
    """A sector in a host's sealing folder that belongs to none of the host's jobs."""

    miner_id: Int
    number: Int
    folder: Text
    size: Int
    """Bytes on the disk."""


class SectorOnHost(Document, frozen=True, kw_only=True):
    """A sector in a host's journal: the last stage that it started, and its result."""

    job: Text
    """The console's name of the job."""
    token: Int
    """Of the lease under which the stage began."""
    inputs: SealInputs
    outputs: StageOutputs | None = None
    """None: the stage has not ended."""

    def __post_init__(self) -> None:
        if self.inputs.number < 0 or self.inputs.miner_id < 0:
            raise BadWire("inputs.number", "must not be negative")


class StoredNumbers(Document, frozen=True, kw_only=True):
    """The sectors of one miner whose files are in a store of a host."""

    miner_id: Int
    store: Text = ""
    """Its name; empty: the host has one alone."""
    uid: Text = ""
    """Its identity; two stores may have one name."""
    runs: tuple[Int, ...]
    """Numbers as run lengths, the first of them without."""

    def __post_init__(self) -> None:
        if any(run < 0 for run in self.runs) or sum(self.runs) > NUMBER_MAX:
            raise BadWire("runs", f"must be run lengths of at most {NUMBER_MAX} numbers")


class Register(Document, frozen=True, kw_only=True):
    """Registers a worker; a new boot id ends its earlier leases."""

    uid: Text
    """Kept on the host's disk; what is on that disk belongs to this uid."""
    boot_id: Text
    """New with each start."""
    name: Text
    host: Text
    version: Text
    kinds: tuple[JobKind, ...]
    slots: dict[Text, Int] = {}
    """Stage → how many at a time."""
    stores: tuple[Text, ...] = ()
    """Names of those that it can read now."""
    attached: tuple[AttachedStore, ...] | None = None
    """None: it does not tell more of its stores than their names."""
    hardware: Hardware = Hardware()
    sectors: tuple[SectorOnHost, ...] = ()
    stored: tuple[StoredNumbers, ...] = ()
    settings: tuple[Setting, ...] = ()
    configured: dict[Text, Text] = {}
    """The console's settings that it keeps, as SET_PLAN brought them."""

    def __post_init__(self) -> None:
        settings_check(self.settings)
        attached_check(self.attached)
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


class Registered(Document, frozen=True, kw_only=True):
    """The console's response: the worker's id and how often to call."""

    worker_id: Text
    heartbeat_s: Int
    """Seconds between heartbeats; after a third of the shortest lease if that is less."""
    lease_s: Int
    """Seconds for which a sealing job is leased unless it is renewed."""
    poll_ms: Int
    """Pause between claims while there is nothing to do."""
    commands: tuple[Command, ...] = ()
    sector_bytes: Int = 0
    """Sector size of the tenant's miner with most power; 0: it has none."""
    work_wait_s: Int = 0
    """Longest that it holds a question for work which says how long it may be held; 0: none may say it."""


class HeldJob(Document, frozen=True, kw_only=True):
    """A job that the worker believes it holds."""

    id: Text
    progress: Progress
    """Names the fencing token."""


class Heartbeat(Document, frozen=True, kw_only=True):
    """A worker's heartbeat, which renews its leases."""

    boot_id: Text
    held: tuple[HeldJob, ...] = ()
    hardware: Hardware = Hardware()
    is_draining: bool = False
    is_paused: bool = False
    done_commands: tuple[Text, ...] = ()
    command_errors: dict[Text, Text] = {}
    """Of done commands, those that could not be done: why, by their id."""
    checked: tuple[CheckedSector, ...] = ()
    """Of done commands, what checks of sectors' files have found."""
    scanned: tuple[ScannedStore, ...] = ()
    """Of done commands, what lies in the stores that were scanned."""
    attached: tuple[AttachedStore, ...] | None = None
    """Its stores now; None: as before."""
    last_error: Text = ""
    settings: tuple[Setting, ...] = ()
    """As it obeys them now; empty: those that were told last."""
    log: tuple[Text, ...] = ()
    """The newest lines of its log, where the console wants them or something went wrong."""
    leftovers: tuple[SealingLeftover, ...] | None = None
    """What lies in its sealing folders without a job; None: as before."""
    parked: tuple[Text, ...] = ()
    """Jobs of its journal that it does not hold: told after each registration, then every few minutes."""

    def __post_init__(self) -> None:
        if len(self.parked) > PARKED_MAX:
            raise BadWire("parked", f"must have at most {PARKED_MAX} entries")
        if self.leftovers is not None and len(self.leftovers) > LEFTOVERS_MAX:
            raise BadWire("leftovers", f"must have at most {LEFTOVERS_MAX} entries")
        settings_check(self.settings)
        attached_check(self.attached)
        if len(self.log) > LOG_LINES_MAX or any(len(line) > LOG_LINE_MAX for line in self.log):
            raise BadWire("log", f"must have at most {LOG_LINES_MAX} lines of {LOG_LINE_MAX} characters")


class Renewed(Document, frozen=True, kw_only=True):
    """A renewed lease."""

    id: Text
    token: Int
    lease_s: Int
    """Seconds from now on."""


class Lost(Document, frozen=True, kw_only=True):
    """A lease that has ended: stop the work, keep the files."""

    id: Text
    reason: Text


class TicketTimes(Document, frozen=True, kw_only=True):
    """How long tickets of the pool's network last."""

    genesis_s: Int
    """Unix time of the first epoch."""
    epoch_s: Int
    lookback: Int
    """Epochs that a ticket is old when it is drawn."""
    lasts: Int
    """Epochs after its own in which its replica must be there."""

    def end_s(self, ticket_epoch: int) -> int:
        """Return the Unix time by which the replica of a ticket must be there."""
        return self.genesis_s + (ticket_epoch + self.lasts) * self.epoch_s

    @property
    def fresh_s(self) -> int:
        """Return the seconds that are left of a ticket when it is drawn."""
        return (self.lasts - self.lookback) * self.epoch_s


class HeartbeatAnswer(Document, frozen=True, kw_only=True):
    """The leases that the worker still holds and those that it lost, and commands for it."""

    renewed: tuple[Renewed, ...] = ()
    lost: tuple[Lost, ...] = ()
    commands: tuple[Command, ...] = ()
    takes_containers: bool = True
    """Whether the pool's network takes containers of vanilla proofs, as far as that is known."""
    epoch_s: Int = 0
    """Seconds of the network's epochs; 0: not known."""
    tickets: TicketTimes | None = None
    """None: not known."""
    is_retired: bool = False
    """Whether the host was taken out of service: it stops."""
    over: tuple[Text, ...] = ()
    """Of its parked jobs, those that ended elsewhere: it forgets their records, and tells of their files."""
    unknown_jobs: tuple[Text, ...] = ()
    """Of its parked jobs, those that the console never had: it keeps their records, tells of their files."""
    wants_log: bool = False
    """Whether somebody looks at the host's log."""
    is_known: bool = True
    """False: another start of this worker is registered, or none; register again."""
