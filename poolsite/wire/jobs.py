"""What a job is on the wire: claims, leases with fencing tokens, events, results, failures.

A claim raises the job's token by one; every later word about the job names that token, and an older
one is answered 409 `fenced`.  Events carry a number that grows by one, so that a host that lost the
answer sends the same event again and gets the same answer.  In words: docs/sealing.md, “Who does a stage”.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from poolsite.wire.codec import BadWire, Document, Int, Text
from poolsite.wire.sealing_rules import EVERY, PAUSE_MAX_S, NewSectors


class JobKind(StrEnum):
    """What a job does."""

    SEAL = "seal"
    UNSEAL = "unseal"
    SNAP_UP = "snap_up"
    """Clients' data into a committed sector."""
    REBUILD = "rebuild"
    """A lost replica once more."""
    WINDOW_POST = "window_post"
    SECTOR_CHECK = "sector_check"
    """Reads the files of sectors, and opens one challenged leaf of each."""
    AGGREGATE = "aggregate"
    """Makes one proof of the PoReps of several sectors."""


STAGED: Final = (JobKind.SEAL, JobKind.UNSEAL, JobKind.SNAP_UP, JobKind.REBUILD)
"""Jobs of sealing hosts: they go stage by stage, each of which takes a slot of its own."""


RUN_KINDS: Final = (JobKind.SNAP_UP, JobKind.REBUILD)
"""Those over a sector that is proven."""


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

NAME_MAX = 100
"""Longest name of a host, store or stage."""

REASON_MAX = 300
"""Longest reason why one sector's files are not good, and longest path, in characters."""

DIGEST_BYTES = 32
"""Length of commitments, tickets and seeds."""


def _digest_check(field: str, value: bytes | None) -> None:
    if value is not None and len(value) != DIGEST_BYTES:
        raise BadWire(field, f"must be {DIGEST_BYTES} bytes")


class Piece(Document, frozen=True, kw_only=True):
    """One piece of a sector's data."""

    size: Int
    """Padded bytes."""
    comm_p: bytes
    """Commitment; that of zeros for a pledge piece."""
    payload_size: Int = 0
    """Raw bytes of a client in it, which the console has; 0: zeros."""

    def __post_init__(self) -> None:
        _digest_check("comm_p", self.comm_p)
        if self.size < 128 or self.size & (self.size - 1):
            raise BadWire("size", "must be a power of two of at least 128")
        if not 0 <= self.payload_size <= self.size // 128 * 127:
            raise BadWire("payload_size", "must fit the piece")


class SealInputs(Document, frozen=True, kw_only=True):
    """Everything that a host needs for a sector's next stage."""

    miner_id: Int
    number: Int
    seal_proof: Int
    """RegisteredSealProof."""
    sector_size: Int
    state: Text
    stage: Text
    pieces: tuple[Piece, ...] = ()
    """Empty: the sector holds zeros only."""
    ticket: bytes | None = None
    ticket_epoch: Int | None = None
    seed: bytes | None = None
    seed_epoch: Int | None = None
    comm_d: bytes | None = None
    comm_r: bytes | None = None
    offset: Int = 0
    """Of unsealing: the first unpadded byte that is wanted."""
    num_bytes: Int = 0
    is_update: bool = False
    """It is about the replica that data were encoded into; `comm_d` and `comm_r` are of the one before."""
    comm_d_new: bytes | None = None
    comm_r_new: bytes | None = None
    needs_groth16: bool = False
    """Whether the pool's network takes no container of vanilla proofs."""
    c1_travels: bool = False
    """Of C1: its output goes to the console, as another host does C2.  Of C2: it comes from there, and no
    file of the sector lies on this host."""

    def __post_init__(self) -> None:
        if not 0 <= self.offset <= self.offset + self.num_bytes <= self.sector_size // 128 * 127:
            raise BadWire("num_bytes", "must be a range in the sector")


class ProvenSector(Document, frozen=True, kw_only=True):
    """A sector that a proof covers; a number may occur more than once."""

    number: Int
    comm_r: bytes
    seal_proof: Int

    def __post_init__(self) -> None:
        _digest_check("comm_r", self.comm_r)


class WindowPostInputs(Document, frozen=True, kw_only=True):
    """The inputs of a WindowPoSt for some partitions of a deadline."""

    miner_id: Int
    post_proof: Int
    """RegisteredPoStProof."""
    randomness: bytes
    sectors: tuple[ProvenSector, ...]
    """In the order in which the proof takes them, substitutes included."""
    deadline: Int
    close_epoch: Int
    seconds_left: Int = 0
    """Until the proof is of no more use; 0 if unknown."""

    def __post_init__(self) -> None:
        _digest_check("randomness", self.randomness)
        if not self.sectors:
            raise BadWire("sectors", "must not be empty")


class SectorCheckInputs(Document, frozen=True, kw_only=True):
    """The inputs of a check of sector files, made before a proof needs them."""

    miner_id: Int
    post_proof: Int
    """RegisteredPoStProof, which fixes the size."""
    randomness: bytes
    """Chooses the leaf of each sector; nobody else sees what comes of it."""
    sectors: tuple[ProvenSector, ...]
    per_second: Int
    """Most sectors in a second, so that a check never takes the disks from a proof; 0: as fast as it goes."""
    store: Text = ""
    """Identity of the store that is looked into; empty: whichever has them."""

    def __post_init__(self) -> None:
        _digest_check("randomness", self.randomness)
        if not self.sectors:
            raise BadWire("sectors", "must not be empty")
        if self.per_second < 0:
            raise BadWire("per_second", "must not be negative")


class AggregateInputs(Document, frozen=True, kw_only=True):
    """PoReps to aggregate into one proof, in the order of the message's sectors."""

    seal_proof: Int
    """RegisteredSealProof of all of them."""
    comm_rs: tuple[bytes, ...]
    seeds: tuple[bytes, ...]
    proofs: tuple[bytes, ...]
    """Of each sector, its partitions one after the other."""

    def __post_init__(self) -> None:
        for name, values in (("comm_rs", self.comm_rs), ("seeds", self.seeds)):
            for value in values:
                _digest_check(name, value)
        if not len(self.comm_rs) == len(self.seeds) == len(self.proofs) > 0:
            raise BadWire("proofs", "must have one entry per comm_r and seed, and at least one")


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


class Assignment(Document, frozen=True, kw_only=True):
    """A job that is leased to a worker."""

    id: Text
    kind: JobKind
    token: Int
    """Fencing token of this lease."""
    seq: Int
    """Number of the last event that the console has; the next one is one more."""
    lease_s: Int
    seal: SealInputs | None = None
    """Of all kinds that go stage by stage."""
    window_post: WindowPostInputs | None = None
    sector_check: SectorCheckInputs | None = None
    aggregate: AggregateInputs | None = None

    def __post_init__(self) -> None:
        filled = {
            **dict.fromkeys(STAGED, self.seal),
            JobKind.WINDOW_POST: self.window_post,
            JobKind.SECTOR_CHECK: self.sector_check,
            JobKind.AGGREGATE: self.aggregate,
        }
        if filled[self.kind] is None:
            raise BadWire(str(self.kind.value), "missing")


class Claim(Document, frozen=True, kw_only=True):
    """A request for work by a worker with free slots."""

    worker_id: Text
    boot_id: Text
    kinds: tuple[JobKind, ...]
    stages: dict[Text, Int]
    """Free slots of each stage; a job whose next stage has none is not offered."""
    new_sectors: Int = 0
    """For how many sectors that are not here yet there is room."""
    takes: NewSectors = EVERY
    """Which of them."""
    max: Int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.max <= 100:
            raise BadWire("max", "must be from 1 to 100")
        if self.new_sectors < 0:
            raise BadWire("new_sectors", "must not be negative")
        if any(free < 0 for free in self.stages.values()):
            raise BadWire("stages", "must not be negative")


class Claimed(Document, frozen=True, kw_only=True):
    """The jobs that the worker got; empty if there are none for it."""

    jobs: tuple[Assignment, ...] = ()


class Work(Document, frozen=True, kw_only=True):
    """Whether there is a job of a kind that the worker does; only a claim shows whether it gets it."""

    is_free: bool


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
        _digest_check("comm_d", self.comm_d)
        _digest_check("comm_r", self.comm_r)
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
    """Empty when no sector could be proved, and of a check."""
    faults: tuple[Int, ...] = ()
    """Numbers of sectors whose files are not good; the proof is void unless this is empty."""
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
