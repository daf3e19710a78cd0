"""What a job is on the wire: claims, leases with fencing tokens, events, results, failures.

A claim raises the job's token by one; every later word about the job names that token, and an older
one is answered 409 `fenced`.  Events carry a number that grows by one, so that a host that lost the
answer sends the same event again and gets the same answer.
In words: docs/sealing/lifecycle.md, “Who does a stage”.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from poolsite.wire.codec import BadWire, Document, Int, Text
from poolsite.wire.job_inputs import AggregateInputs, SealInputs, SectorCheckInputs, WindowPostInputs
from poolsite.wire.sealing_rules import EVERY, NewSectors


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

NAME_MAX = 100
"""Longest name of a host, store or stage."""


class Assignment(Document, frozen=True, kw_only=True):
    """A job that is leased to a worker."""

    id: Text
    kind: JobKind
    token: Int
    """Fencing token of this lease."""
    seq: Int
    """Number of the last event that the console has; the next one is one more."""
    lease_s: Int
    """Seconds for which the worker has the job unless it renews it with a heartbeat."""
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
