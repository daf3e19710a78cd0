"""What a host reports of a job: progress, events with outputs, results, failures."""

from __future__ import annotations

from enum import StrEnum

from poolsite.wire.codec import BadWire, Document, Int, Text
from poolsite.wire.job_inputs import Piece, SealInputs, digest_check
from poolsite.wire.jobs import NAME_MAX
from poolsite.wire.sealing_rule_values import PAUSE_MAX_S


class Level(StrEnum):
    """How bad a failure is.  Source: damocles-worker src/sealing/failure.rs Level."""

    TEMPORARY = "temporary"
    """Tried again after a growing pause."""
    PERMANENT = "permanent"
    """Paused until an operator chooses what to do; nothing is deleted."""
    CRITICAL = "critical"
    """As permanent, and the host itself is in doubt."""
    ABORT = "abort"
    """The host has no use for the job any more."""


TEXT_MAX = 4_000
"""Longest error text, in characters; a host cuts, the console refuses."""

REASON_MAX = 300
"""Longest reason why one sector's files are not good, and longest path, in characters."""


class BadSector(Document, frozen=True, kw_only=True):
    """A sector whose files are missing or damaged on this host."""

    number: Int
    path: Text
    """Where its sealed file should lie."""
    reason: Text
    elsewhere: Text = ""
    """Identity of another store of the host that has it whole; empty: none has."""

    def __post_init__(self) -> None:
        for name, value in (("path", self.path), ("reason", self.reason)):
            if len(value) > REASON_MAX:
                raise BadWire(name, f"must have at most {REASON_MAX} characters")


class StageOutputs(Document, frozen=True, kw_only=True):
    """The outputs of a stage other than files; each event sets those that its stage produced."""

    pieces: tuple[Piece, ...] | None = None
    comm_d: bytes | None = None
    comm_r: bytes | None = None
    store: Text | None = None
    store_uid: Text = ""
    """Of `store`, whose name another store may have, too; empty: the name has to do."""
    proof: bytes | None = None
    ms: Int = 0
    """How long the stage took on the host; 0: not told."""

    def __post_init__(self) -> None:
        digest_check("comm_d", self.comm_d)
        digest_check("comm_r", self.comm_r)
        if self.store is not None and not 0 < len(self.store) <= NAME_MAX:
            raise BadWire("store", f"must have 1 to {NAME_MAX} characters")
        if self.ms < 0:
            raise BadWire("ms", "must not be negative")


class Event(Document, frozen=True, kw_only=True):
    """Reports that a stage succeeded."""

    token: Int
    seq: Int
    state: Text
    """The state that the worker believes the sector to be in."""
    event: Text
    outputs: StageOutputs


class EventAnswer(Document, frozen=True, kw_only=True):
    """The sector's new state; with inputs, the worker continues under the same lease."""

    state: Text
    seq: Int
    seal: SealInputs | None = None
    """None: the next step is the chain's, the lease is over and the job will be offered again."""
    is_done: bool = False
    """The sector needs no host any more."""


class Progress(Document, frozen=True, kw_only=True):
    """The progress of a stage."""

    token: Int
    stage: Text
    done: Int
    total: Int
    unit: Text = ""

    def __post_init__(self) -> None:
        if self.total <= 0 or not 0 <= self.done <= self.total:
            raise BadWire("done", "must be from 0 to total")
        if len(self.unit) > NAME_MAX:
            raise BadWire("unit", "too long")


class Complete(Document, frozen=True, kw_only=True):
    """Reports that a proof or a check of sectors succeeded."""

    token: Int
    proof: bytes
    """Proofs of all sectors but `faults`; empty if none could be proved, and for a check.  A prover of an
    earlier version makes none if there are faults."""
    faults: tuple[Int, ...] = ()
    """Numbers of sectors whose files are not good."""
    ms: Int = 0
    read_ms: Int = 0
    """Of it until the last sector was read; 0: not told."""
    bad: tuple[BadSector, ...] = ()
    """Where the files of `faults` should lie, and what is wrong with them; may lack some."""
    unreachable: tuple[Int, ...] = ()
    """Of `faults` those that may lie in a store which is away: nothing is known of their files."""


class Fail(Document, frozen=True, kw_only=True):
    """Reports that a stage or a proof failed."""

    token: Int
    level: Level
    stage: Text
    error: Text
    attempts_max: Int = 0
    """Failures of one stage before it is paused, as host or thread say; 0: as the miner's batches do."""
    pause_s: Int = 0
    """Before it is tried again, as host or thread say; 0: as the console has it."""
    needs_ticket: bool = False
    """Whether labels of its ticket would be too late, none of which was made: it needs another one."""

    def __post_init__(self) -> None:
        if self.attempts_max < 0:
            raise BadWire("attempts_max", "must not be negative")
        if not 0 <= self.pause_s <= PAUSE_MAX_S:
            raise BadWire("pause_s", f"must be from 0 to {PAUSE_MAX_S}")
        if not self.error or len(self.error) > TEXT_MAX:
            raise BadWire("error", f"must have 1 to {TEXT_MAX} characters")


class Release(Document, frozen=True, kw_only=True):
    """Releases a job on which the worker did nothing."""

    token: Int
    reason: Text = ""

    def __post_init__(self) -> None:
        if len(self.reason) > TEXT_MAX:
            raise BadWire("reason", f"must have at most {TEXT_MAX} characters")
