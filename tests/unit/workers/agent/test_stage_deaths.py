"""Stages that end their host's processes: they are tried a bounded number of times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.job_reports import Level, Progress
from workers.agent.journal import Failure, Work, journal_open
from workers.agent.stage_deaths import KEPT_S, StageDeaths
from workers.agent.stages import StageRunner
from workers.processors.errors import ChildLost
from workers.storage.stores import Stores

GIVEN = SealInputs(
    miner_id=1234,
    number=5,
    seal_proof=int(RegisteredSealProof.STACKED_DRG_2KIB_V1_1),
    sector_size=2048,
    state="TICKET_ASSIGNED",
    stage="PC1",
    ticket=bytes(32),
)


class Killed(BaseException):
    """The kernel ends the process: no code of its own runs any more."""


class FatalPool:
    """Kernel children whose stage takes the whole process with it, after it came so far."""

    def __init__(self) -> None:
        self.comes_to: list[int] = []
        self.error: BaseException = Killed()
        self.calls = 0

    def call(self, _: str, __: Any, *, progress: Callable[[int, int], None], **___: Any) -> Any:
        self.calls += 1
        if self.comes_to:
            progress(self.comes_to.pop(0), 100)
        raise self.error


@pytest.fixture
def pool() -> FatalPool:
    return FatalPool()


@pytest.fixture
def runner(tmp_path: Path, pool: FatalPool) -> StageRunner:
    journal_open(tmp_path)
    return StageRunner(folder=tmp_path, stores=Stores(tmp_path), pool=pool)  # type: ignore[arg-type]  # a pool of this test


def failure_of(runner: StageRunner, *, token: int) -> Failure | None:
    """Run the stage under a new lease; return what it reports, None where the process ended."""
    work = Work(token=token, inputs=GIVEN)
    runner.journal.work_write("job", work)
    try:
        runner.run("job")
    except Killed:
        return None
    return runner.journal.failure_read("job", work.id, token=token)


def test_stage_that_kills_its_process_is_reported_as_failed(runner: StageRunner, pool: FatalPool) -> None:
    assert failure_of(runner, token=1) is None, "killed"
    assert failure_of(runner, token=2) is None, "tried once more at once: it may have been somebody else"

    failure = failure_of(runner, token=3)

    assert pool.calls == 2, "not begun a third time before the console has counted it"
    assert failure is not None
    assert failure.level is Level.TEMPORARY
    assert "ended 2 times during PC1" in failure.error


def test_each_further_death_of_a_stage_is_another_failed_attempt(
    runner: StageRunner, pool: FatalPool
) -> None:
    failures = [failure_of(runner, token=token) for token in range(1, 8)]

    told = [one.error for one in failures if one is not None]
    assert [text.partition(" times")[0][-1] for text in told] == ["2", "3", "4"]
    assert pool.calls == 4, "one attempt between two reports"


def test_stage_that_comes_further_each_time_is_not_blamed_for_a_death(
    runner: StageRunner, pool: FatalPool
) -> None:
    pool.comes_to = [10, 30, 60, 60]

    failures = [failure_of(runner, token=token) for token in range(1, 6)]

    assert failures[:4] == [None] * 4
    assert failures[4] is not None, "the last one came no further than the one before"


def test_stages_stopped_with_their_host_are_not_counted_as_deaths(
    runner: StageRunner, tmp_path: Path
) -> None:
    for token in range(1, 5):
        assert failure_of(runner, token=token) is None
        StageDeaths(tmp_path, runner.journal).stop()


def test_stage_that_fails_by_itself_does_not_count_as_a_death(runner: StageRunner, pool: FatalPool) -> None:
    pool.error = ChildLost("child process exited: pc1")

    failures = [failure_of(runner, token=token) for token in range(1, 4)]

    assert [one.error for one in failures if one is not None] == ["child process exited: pc1"] * 3


def test_old_record_of_a_death_is_removed_as_the_host_stops(
    runner: StageRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure_of(runner, token=1)
    deaths = StageDeaths(tmp_path, runner.journal)
    monkeypatch.setattr("workers.agent.stage_deaths.KEPT_S", -KEPT_S)

    deaths.stop()

    assert list(deaths.root.iterdir()) == []


def test_progress_of_an_earlier_stage_does_not_excuse_a_death(runner: StageRunner) -> None:
    runner.journal.folder("job").mkdir()
    runner.journal.progress_write("job", Progress(token=1, stage="TREE_D", done=90, total=100))

    failures = [failure_of(runner, token=token) for token in range(1, 4)]

    assert failures[2] is not None
