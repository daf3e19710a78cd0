"""What a host says about itself, and what the console tells it to do: register, heartbeat, commands.

Hosts sit behind NAT: the console never calls them, its commands ride on the answer to a heartbeat.
In words: docs/sealing.md, “What does a host have, do and obey?”.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from poolsite.wire.codec import NUMBER_MAX, BadWire, Document, Int, Text
from poolsite.wire.jobs import NAME_MAX, JobKind, Progress, SealInputs, StageOutputs
from poolsite.wire.store_checks import CheckedSector, ScannedStore
from poolsite.wire.stores import AttachedStore, attached_check

VERSION: Final = "poolsite/0.3.0"
"""What a worker of this version says it is."""
WITHOUT_UPGRADE: Final = ("poolsite/0.1.0",)
"""Versions that refuse a whole answer with UPGRADE in it."""
SLOTS_MAX: Final = 10_000
"""Most slots of one stage."""
LOG_LINES_MAX: Final = 100
LOG_LINE_MAX: Final = 500
"""Lines of a host's log that a heartbeat carries, and characters of each."""
PARKED_MAX: Final = 4_000
"""Jobs that it tells of without holding them."""
LEFTOVERS_MAX: Final = 200
"""Leftovers in its sealing folders that a host tells of, the largest first."""
SETTINGS_MAX: Final = 2_000
"""Settings of a host."""
SETTING_MAX: Final = 1 << 50
"""Largest value of one."""
LEVELS: Final = (
    *("default", "proposed", "pool", "tenant", "group", "file", "command line", "host"),
    *("file of thread", "thread"),
)
"""Where a host's setting may come from; a later one wins.  The last two are of one sealing thread: of its
table in the host's file, and set for it on the console."""
FILE_LEVELS: Final = ("file", "file of thread")
"""Those that the host's file gives."""
CONSOLE_LEVELS: Final = ("pool", "tenant", "group", "host", "thread")
"""Those that are set on the console."""


UPGRADE_EXIT: Final = 100
"""Exit code of a worker that was told to make room for another version of itself."""


class Operation(StrEnum):
    """The commands for a host."""

    PAUSE = "pause"
    """Claim nothing; what runs goes on."""
    RESUME = "resume"
    DRAIN = "drain"
    """Claim no new sectors, finish those that are here."""
    UPGRADE = "upgrade"
    """Finish the stages that run, begin none, and exit with UPGRADE_EXIT: the service manager starts what is
    installed by then."""
    SET_PLAN = "set_plan"
    """Use these settings of the console and no others, each by its level, as {"host.slots.PC1": "2"}."""
    MEASURE = "measure"
    """Measure the disks now."""
    REMOVE = "remove"
    """Remove the files of a sector that is over, as {"job": uuid, "miner_id": "1000", "number": "7"}; with
    `keeps_store` those of its sealing folder alone."""
    ATTACH = "attach"
    """Attach a store, as {"path": "/mnt/a"}; with `init` a folder without a mark gets one."""
    DETACH = "detach"
    """Detach a store, as {"uid": its identity}; its files stay."""
    SET_STORE = "set_store"
    """Write into a store's `sectorstore.json`, as {"uid": …, "weight": "2", "reserve_bytes": "0",
    "read_only": "yes"}; what is not named stays."""
    COPY_SECTOR = "copy_sector"
    """Copy a sector into another store and verify it there, as {"move": its uuid, "miner_id": "1000",
    "number": "7", "seal_proof": "8", "comm_r": hex, "from": uid, "to": uid}."""
    REMOVE_COPY = "remove_copy"
    """Remove it from the first store, with the same words."""
    DROP_COPY = "drop_copy"
    """Remove from the second store what was copied so far, as the move has ended, with the same words."""
    CHECK_SECTOR = "check_sector"
    """Compare a sector's files in a store with their sums, as {"uid": …, "miner_id": "1000", "number": "7",
    "seal_proof": "8", "comm_r": hex, "bytes_s": "104857600"}; with `quick` names, sizes and comm_r alone."""
    SCAN_STORE = "scan_store"
    """List the sectors that lie in a store, as {"uid": its identity}."""
    REMOVE_LEFTOVER = "remove_leftover"
    """Remove a sector's files from one store, as {"uid": …, "miner_id": "1000", "number": "7"}; with `whole`
    whole ones, too."""
    REMOVE_SEALING = "remove_sealing"
    """Remove from a sealing folder what no job knows, as {"folder": path, "miner_id": "1000",
    "number": "7"}."""


MOVE_OPERATIONS: Final = (Operation.COPY_SECTOR, Operation.REMOVE_COPY, Operation.DROP_COPY)
"""Those of a sector on its way to another store."""
STORE_OPERATIONS: Final = (
    *(Operation.ATTACH, Operation.DETACH, Operation.SET_STORE),
    *MOVE_OPERATIONS,
    *(Operation.CHECK_SECTOR, Operation.SCAN_STORE, Operation.REMOVE_LEFTOVER),
)
"""What pages and programs order by the store, not as a plain command."""


TOXIC_GROTH16: Final = "groth16_toxic"
"""Form of the Groth16 proofs that a public network refuses: its parameters come from a ceremony."""
FOREIGN_GROTH16: Final = "groth16_foreign"
"""Form of those by parameters that nobody has marked, and that are not the ceremony's either."""


class SealingFolder(Document, frozen=True, kw_only=True):
    """A sealing store: one of the disks on which a host seals."""

    sectors: Int = 0
    """Unfinished ones in it."""
    total_bytes: Int = 0
    free_bytes: Int = 0
    """Beyond its reserve."""
    weight: Int = 1
    reserve_bytes: Int = 0
    allow_miners: tuple[Int, ...] = ()
    deny_miners: tuple[Int, ...] = ()
    reason: Text = ""
    """Why no sector begins there, with the remedy; empty: one may."""


class SealingLeftover(Document, frozen=True, kw_only=True):
    """A sector in a host's sealing folder that belongs to none of the host's jobs."""

    miner_id: Int
    number: Int
    folder: Text
    size: Int
    """Bytes on the disk."""


class Disk(Document, frozen=True, kw_only=True):
    """The file system of a folder."""

    folder: Text
    total_bytes: Int
    free_bytes: Int
    write_bytes_s: Int = 0
    """Measured past the page cache where the file system allows it; 0: not measured, or not writable."""
    read_bytes_s: Int = 0
    sealing: SealingFolder | None = None
    """Of a sealing store."""


class Setting(Document, frozen=True, kw_only=True):
    """A setting in force on a host."""

    key: Text
    value: Text
    origin: Text
    """One of LEVELS."""
    file: Text = ""
    """Path of the host's file, if that says it."""


class Hardware(Document, frozen=True, kw_only=True):
    """The hardware and software of a host."""

    cpus: Int = 0
    ram_bytes: Int = 0
    disk_free_bytes: Int = 0
    disk_total_bytes: Int = 0
    cpu_model: Text = ""
    numa_nodes: Int = 0
    l3_bytes: Int = 0
    """Of one L3 cache; 0 where the kernel does not tell."""
    l3_caches: Int = 0
    gpus: tuple[Text, ...] = ()
    disks: tuple[Disk, ...] = ()
    kernels_done: Int = 0
    kernels_total: Int = 0
    """Kernels that are compiled, of those its stages need; 0 of 0: the worker has none."""
    proofs: tuple[Text, ...] = ("vanilla",)
    """Forms of proof that it makes now; TOXIC_GROTH16 instead of groth16 by parameters from a known seed,
    FOREIGN_GROTH16 by any others that are not the public networks'."""
    parameters_done: Int = 0
    parameters_total: Int = 0
    """Points of the Groth16 parameters that are being made or converted; 0 of 0: none are."""
    parameters_error: Text = ""
    """What is missing for the form of proof that it was told to make."""
    parameters_foreign: Text = ""
    """Names of the parameter files that are not those of the public networks' list."""
    update_error: Text = ""
    """Why it can prove no replica update; empty: it can, or seals nothing."""
    winning_form: Text = ""
    """groth16 or vanilla: form of a win's proof; empty: a program of its own makes it, or nobody here."""
    winning_ms: Int = 0
    """Milliseconds of a WinningPoSt by Groth16, as last measured there; 0: not yet."""
    update_sizes: tuple[Int, ...] = ()
    """Sector sizes of which it proves updates by Groth16; containers of larger ones fit into no message."""
    removing_bytes: Int = 0
    """Bytes of sectors that are over and that it is removing."""


def settings_check(settings: tuple[Setting, ...]) -> None:
    """Raise BadWire for more settings than a host has, or from nowhere."""
    if len(settings) > SETTINGS_MAX:
        raise BadWire("settings", f"must have at most {SETTINGS_MAX} entries")
    for setting in settings:
        if setting.origin not in LEVELS:
            raise BadWire("settings", f"must have an origin of {', '.join(LEVELS)}")


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


class Command(Document, frozen=True, kw_only=True):
    """A command for a host, repeated on each heartbeat until the host reports it done."""

    id: Text
    op: Operation
    args: dict[Text, Text] = {}


class Registered(Document, frozen=True, kw_only=True):
    """The console's response: the worker's id and how often to call."""

    worker_id: Text
    heartbeat_s: Int
    lease_s: Int
    poll_ms: Int
    """Pause between claims while there is nothing to do."""
    commands: tuple[Command, ...] = ()
    sector_bytes: Int = 0
    """Sector size of the tenant's miner with most power; 0: it has none."""


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


class Lost(Document, frozen=True, kw_only=True):
    """A lease that has ended: stop the work, keep the files."""

    id: Text
    reason: Text


class HeartbeatAnswer(Document, frozen=True, kw_only=True):
    """The leases that the worker still holds and those that it lost, and commands for it."""

    renewed: tuple[Renewed, ...] = ()
    lost: tuple[Lost, ...] = ()
    commands: tuple[Command, ...] = ()
    takes_containers: bool = True
    """Whether the pool's network takes containers of vanilla proofs, as far as that is known."""
    epoch_s: Int = 0
    """Seconds of the network's epochs; 0: not known."""
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
