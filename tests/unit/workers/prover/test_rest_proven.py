"""A sector that cannot be read costs the others nothing: the same job proves them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poolsite.filecoin.container_checks import window_post_check
from poolsite.wire.job_inputs import ProvenSector, WindowPostInputs
from poolsite.wire.job_reports import Complete, Fail, Level
from poolsite.wire.jobs import Assignment, JobKind
from tests.unit.workers.processors.post import SEED, flip, sealed
from workers.processors import post_sector, window_post
from workers.processors.stages import foreign_task_encode
from workers.prover.proof_jobs import ProofJobs
from workers.prover.winning_first import WinningFirst
from workers.storage.stores import Stores

__all__ = ["sealed"]

MINER = 1000
STORE_OF = {1: "a", 2: "a", 3: "b"}


@dataclass
class Farm:
    """Three sectors in two stores, and what is read of them."""

    stores: Stores
    folder: Path
    comm_r: bytes
    read: list[int] = field(default_factory=list)
    tasks: list[Any] = field(default_factory=list)

    def result(self, *, post_proof: int = 10, after: Callable[[], object] = bool) -> Complete | Fail:
        """What is reported of a window's proof; something happens once its first task is done."""

        def call(_kind: str, task: Any, **_: Any) -> Any:
            self.tasks.append(task)
            output = window_post.run(task)
            if len(self.tasks) == 1:
                after()
            return output

        inputs = WindowPostInputs(
            miner_id=MINER,
            post_proof=post_proof,
            randomness=SEED,
            # the first one stands in for one that was faulty before
            sectors=tuple(
                ProvenSector(number=number, comm_r=self.comm_r, seal_proof=5) for number in (1, 1, 2, 3)
            ),
            deadline=0,
            close_epoch=9,
        )
        leases: Any = SimpleNamespace(track=lambda *_, **__: None, is_lost=lambda _: False)
        pool: Any = SimpleNamespace(call=call)
        job = Assignment(id="job", kind=JobKind.WINDOW_POST, token=1, seq=0, lease_s=9, window_post=inputs)
        return ProofJobs(leases=leases, pool=pool, stores=self.stores, gate=WinningFirst()).result(job)

    def check(self, done: Complete | Fail, *numbers: int, post_proof: int = 10) -> Complete:
        """Check that a proof is one of these sectors, as the chain does."""
        assert isinstance(done, Complete), done
        window_post_check(
            done.proof,
            post_proof=post_proof,
            randomness=SEED,
            miner_id=MINER,
            sectors=[(number, self.comm_r) for number in numbers],
        )
        return done

    def sealed(self, number: int) -> Path:
        return self.folder / STORE_OF[number] / f"sealed/s-t01000-{number}"


@pytest.fixture
def farm(sealed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Farm:
    _, replica = sealed
    stores = Stores(tmp_path / "worker", (tmp_path / "a", tmp_path / "b"))
    stores.open()
    for number, name in STORE_OF.items():
        (tmp_path / name / "sealed").mkdir(exist_ok=True)
        shutil.copy(replica.sealed_file, tmp_path / name / f"sealed/s-t01000-{number}")
        shutil.copytree(replica.cache_dir, tmp_path / name / f"cache/s-t01000-{number}")
    monkeypatch.setattr(window_post, "EARLIER", {})
    made = Farm(stores, tmp_path, replica.comm_r)
    real = post_sector.sector_prove

    def prove(parameters: Any, replica: Any, **facts: Any) -> Any:
        made.read.append(replica.sector_id)
        return real(parameters, replica, **facts)

    monkeypatch.setattr(window_post, "sector_prove", prove)
    return made


def test_the_others_are_proven_and_none_is_read_twice(farm: Farm) -> None:
    flip(farm.sealed(2))

    done = farm.check(farm.result(), 1, 3)

    assert (done.faults, done.unreachable, [bad.number for bad in done.bad]) == ((2,), (), [2])
    assert farm.read == [1, 2, 3]
    assert not window_post.EARLIER, "what was read for a job is not kept longer than it takes"


def test_a_proof_whose_challenges_count_the_sectors_before_is_right(farm: Farm) -> None:
    """Without sector 2 the third one is the second: by version 1.0.0 it is asked for other leaves."""
    farm.sealed(2).unlink()

    farm.check(farm.result(post_proof=5), 1, 3, post_proof=5)

    assert farm.read == [1, 2, 3, 3]


def test_what_turns_bad_in_between_is_left_out_too(farm: Farm) -> None:
    farm.sealed(2).unlink()

    done = farm.check(farm.result(post_proof=5, after=farm.sealed(3).unlink), 1, post_proof=5)

    assert (done.faults, [bad.number for bad in done.bad]) == ((2, 3), [2, 3])


def test_sectors_of_a_store_that_goes_away_are_left_out_and_not_called_bad(farm: Farm) -> None:
    farm.sealed(3).unlink()

    done = farm.check(farm.result(after=(farm.folder / "b/sectorstore.json").unlink), 1, 2)

    assert (done.faults, done.unreachable, done.bad) == ((3,), (3,), ())


def test_there_is_no_proof_where_nothing_is_left(farm: Farm) -> None:
    for number in STORE_OF:
        farm.sealed(number).unlink()

    done = farm.result()

    assert isinstance(done, Complete), done
    assert (done.proof, done.faults, len(farm.tasks)) == (b"", (1, 2, 3), 1)


def test_without_any_store_nothing_is_said_of_the_files(farm: Farm) -> None:
    def unmount() -> None:
        for name in "ab":
            (farm.folder / name / "sectorstore.json").unlink()

    farm.sealed(2).unlink()

    done = farm.result(after=unmount)

    assert isinstance(done, Fail), done
    assert done.level is Level.TEMPORARY


def test_programs_of_the_field_are_not_told_of_jobs(farm: Farm) -> None:
    farm.result()

    assert set(foreign_task_encode(farm.tasks[0])) == {"miner_id", "proof_type", "replicas", "seed"}
