"""A win is proved in a child of its own, which waits neither for a window's proof nor for its child."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.processor_pids import pids_of
from tests.unit.workers.processors.sealing import sealing
from tests.waiting import until
from workers.config import HostConfig
from workers.processors import pool as pool_module
from workers.processors.errors import BadFile, ChildLost
from workers.processors.pool import ProcessorPool
from workers.processors.post_tasks import Replica, WindowPostTask, WinningPostTask
from workers.prover import main
from workers.prover.main import STAGES, WINDOW_NICENESS, specs_of
from workers.prover.winning_first import WinningFirst

SEED = b"\x07" * 32
APART = [("window_post", "sector_check"), ("winning_post",)]


def config(folder: Path, **words: object) -> HostConfig:
    return HostConfig(folder=folder, stores=(folder,), console="", token="", name="prover", **words)  # type: ignore[arg-type]


@contextmanager
def opened(folder: Path) -> Iterator[ProcessorPool]:
    """The children of a host that makes SNARKs where it has parameters."""
    pool = ProcessorPool(specs_of(config(folder, snark="auto"), STAGES, compiling=folder / "compiling"))
    try:
        pool.precompile()
        yield pool
    finally:
        pool.close()


@pytest.fixture
def replica(tmp_path: Path) -> Replica:
    sector = sealing("2k_v1_1", 5, folder=tmp_path)
    _, _, output = sector.to_pc2()
    return Replica(1, output.comm_r, str(sector.cache), str(sector.sealed))


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        ({"snark": "auto"}, APART),
        ({"snark": "groth16"}, APART),
        ({"snark": "vanilla"}, [STAGES]),
        (
            {"snark": "auto", "processors": {"window_post": ("own",)}},
            [("window_post",), *((one,) for one in STAGES[:0:-1])],
        ),
        ({"snark": "external", "processors": {"winning_post": ("own",)}}, [("winning_post",), APART[0]]),
    ],
)
def test_wins_have_a_child_of_their_own_where_snarks_are_made(
    tmp_path: Path, words: dict[str, object], stages: list[tuple[str, ...]]
) -> None:
    made = config(tmp_path, **words)
    ours = tuple(stage for stage in STAGES if stage not in made.processors)

    assert [spec.stages for spec in specs_of(made, ours, compiling=tmp_path)] == stages


def test_a_win_is_asked_for_with_the_form_and_epoch_that_the_console_told(
    tmp_path: Path, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[WinningPostTask] = []
    leases: Any = SimpleNamespace(takes_containers=True, epoch_s=4)
    pool: Any = SimpleNamespace(call=lambda _stage, task: asked.append(task))
    task = WinningPostTask(1000, 0, (replica,), SEED)
    monkeypatch.setattr(main, "compute_proof", lambda _request, *, prove, **_: prove(task))
    stores: Any = SimpleNamespace(miners=set)
    line = main._gateway(
        config(tmp_path), leases=leases, pool=pool, stores=stores, gate=WinningFirst(tmp_path / "gate")
    )

    line.compute(1000, {})
    line.answering = 3  # this one, and two miners' wins that wait behind it
    line.compute(1000, {})
    leases.takes_containers, leases.epoch_s = False, 30
    line.compute(1000, {})

    line.answering = 31
    line.compute(1000, {})
    leases.epoch_s = 0  # an older console does not say it
    line.compute(1000, {})

    told = [(one.needs_groth16, one.seconds_left) for one in asked]
    assert told == [(False, 4), (False, 1), (True, 10), (True, 1), (True, 0)]

    @contextmanager
    def near(task: Any, _stores: Any) -> Iterator[Any]:
        yield task, {1: "the server denies access"}

    monkeypatch.setattr(main, "task_near", near)
    with pytest.raises(BadFile, match="denies access"):
        line.compute(1000, {})


def test_a_win_is_proved_while_the_windows_child_stands_still(tmp_path: Path, replica: Replica) -> None:
    events: list[str] = []
    with opened(tmp_path) as pool:
        windows, wins = pids_of(pool)
        assert (
            os.getpriority(os.PRIO_PROCESS, windows)
            == os.getpriority(os.PRIO_PROCESS, wins) + WINDOW_NICENESS
        )

        def window() -> None:
            pool.call("window_post", WindowPostTask(1000, 10, (replica,), SEED))
            events.append("window")

        os.kill(windows, signal.SIGSTOP)
        thread = threading.Thread(target=window)
        thread.start()
        try:
            assert pool.call("winning_post", WinningPostTask(1000, 0, (replica,), SEED)).proofs
            events.append("win")
        finally:
            os.kill(windows, signal.SIGCONT)
        thread.join(60)

    assert events == ["win", "window"]


def test_a_win_does_not_wait_while_the_windows_child_is_started_again(
    tmp_path: Path, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    with opened(tmp_path) as pool:
        windows, _ = pids_of(pool)
        monkeypatch.setattr(pool_module, "RESTART_PAUSE_S", 600.0)
        os.kill(windows, signal.SIGKILL)
        until(lambda: len(pids_of(pool)) <= 1)

        def window() -> None:
            with pytest.raises(ChildLost, match="closed"):
                pool.call("window_post", WindowPostTask(1000, 10, (replica,), SEED))
            ended.append("window")

        thread = threading.Thread(target=window)
        thread.start()
        assert pool.call("winning_post", WinningPostTask(1000, 0, (replica,), SEED)).proofs
        ended.append("win")
    thread.join(60)

    assert ended == ["win", "window"]
