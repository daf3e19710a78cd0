"""A prover's hands: how many jobs it does at a time, and what becomes of one that hangs in its disk."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from poolsite.wire.job_inputs import ProvenSector, WindowPostInputs
from poolsite.wire.job_reports import Fail, Level
from poolsite.wire.jobs import Assignment, Claim, JobKind
from tests.unit.workers.agent.removal import until
from workers.prover.loop import AT_ONCE, Prover

SECTORS = (ProvenSector(number=1, comm_r=bytes(32), seal_proof=5),)
INPUTS = WindowPostInputs(
    miner_id=1000, post_proof=10, randomness=bytes(32), sectors=SECTORS, deadline=0, close_epoch=9
)


class Scene:
    """A prover whose jobs end when their disks answer; the console has as many as it wants."""

    def __init__(self) -> None:
        self.disk_answers: defaultdict[int, threading.Event] = defaultdict(threading.Event)
        """By token."""
        self.lost: set[str] = set()
        self.released: list[str] = []
        self.given: list[Assignment] = []
        self.failed: list[str] = []
        self.tokens = count(1)
        self.ids: Iterator[str] = map(str, count(1))
        leases: Any = SimpleNamespace(
            worker_id="w",
            boot_id="b",
            poll_s=0.0,
            is_paused=False,
            is_upgrading=False,
            is_lost=self.lost.__contains__,
            track=lambda *_, **__: None,
            release=self.released.append,
        )
        console: Any = SimpleNamespace(
            is_behind=False, claim=self.claim, fail=lambda job_id, _fail: self.failed.append(job_id)
        )
        nobody: Any = None
        self.prover = Prover(console=console, leases=leases, pool=nobody, stores=nobody)
        self.prover.jobs.result = self.result  # type: ignore[method-assign]

    def claim(self, claim: Claim) -> Any:
        jobs = [
            Assignment(
                id=next(self.ids),
                kind=JobKind.WINDOW_POST,
                token=next(self.tokens),
                seq=0,
                lease_s=9,
                window_post=INPUTS,
            )
            for _ in range(claim.max)
        ]
        self.given += jobs
        return SimpleNamespace(jobs=tuple(jobs))

    def result(self, assignment: Assignment) -> Fail:
        self.disk_answers[assignment.token].wait()
        return Fail(token=assignment.token, level=Level.TEMPORARY, stage="WINDOW_POST", error="it was away")

    def ticks(self) -> None:
        for _ in range(5):
            self.prover.tick()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    for one in made.given:
        made.disk_answers[one.token].set()
    until(lambda: not made.prover.running)


def test_a_job_whose_lease_is_lost_keeps_no_hand(scene: Scene) -> None:
    scene.ticks()
    assert len(scene.given) == AT_ONCE

    scene.lost |= {one.id for one in scene.given}
    scene.ticks()

    assert len(scene.given) == 2 * AT_ONCE
    assert all(one.daemon for one in threading.enumerate() if one.name.startswith("proof"))


def test_what_hung_does_not_release_the_lease_of_its_next_claim(scene: Scene) -> None:
    scene.ids = iter(["1", "2", "1"])
    scene.ticks()
    scene.lost.add("1")
    scene.prover.tick()
    scene.lost.clear()
    assert [(one.id, one.token) for one in scene.given] == [("1", 1), ("2", 2), ("1", 3)]

    scene.disk_answers[1].set()
    until(lambda: scene.failed == ["1"])
    scene.disk_answers[2].set()
    until(lambda: scene.released == ["2"])
    scene.disk_answers[3].set()
    until(lambda: scene.released == ["2", "1"])
