"""A stage that hangs in a program of the host's own ends when the console orders it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolsite.wire.commands import Command, Operation
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.job_reports import Level
from tests.unit.workers.processors.own_program import GREET, foreign
from tests.waiting import until
from workers.agent.journal import Work, journal_open
from workers.agent.removal import stage_end
from workers.agent.stages import StageRunner
from workers.console.host_commands import HostCommands
from workers.processors.pool import ProcessorPool
from workers.storage.stores import Stores

JOB = "6f6c1f0e-0000-4000-8000-000000000001"
HANGS_ONCE = """
request = json.loads(sys.stdin.readline())
mark = os.path.join(os.path.dirname(os.path.abspath(__file__)), "asked")
if not os.path.exists(mark):
    open(mark, "w").close()
    time.sleep(600)
print(json.dumps({"id": request["id"], "err_msg": None, "output": {"comm_d": [7] * 32}}), flush=True)
time.sleep(600)
"""
INPUTS = SealInputs(
    miner_id=1234, number=5, seal_proof=5, sector_size=2048, state="PIECE_ADDED", stage="TREE_D"
)


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StageRunner]:
    """A host whose own program for TREE_D hangs at its first request."""
    monkeypatch.setattr("workers.processors.pool.RESTART_PAUSE_S", 0.0)
    pool = ProcessorPool([foreign(tmp_path, GREET + HANGS_ONCE)])
    stores = Stores(tmp_path / "sealer", (tmp_path / "store",))
    stores.open()
    journal_open(tmp_path / "sealer")
    yield StageRunner(folder=tmp_path / "sealer", stores=stores, pool=pool)
    pool.close()


def begun(runner: StageRunner, *, token: int) -> threading.Thread:
    """Begin the stage under a lease."""
    runner.journal.work_write(JOB, Work(token=token, inputs=INPUTS))
    (runner.folder / "sealing").mkdir(exist_ok=True)
    thread = threading.Thread(target=runner.run, args=(JOB,), daemon=True)
    thread.start()
    return thread


def ordered(runner: StageRunner, *, token: str) -> None:
    """Carry out the console's command."""
    commands = HostCommands({})
    commands.stage_end = lambda command: stage_end(runner.journal, command)
    args = {"job": JOB, "token": token}
    commands.commands_run((Command(id="c", op=Operation.END_STAGE, args=args),))


def test_stage_that_hangs_ends_and_runs_again_under_the_next_lease(
    runner: StageRunner, tmp_path: Path
) -> None:
    hung = begun(runner, token=7)
    until(lambda: (tmp_path / "asked").exists())

    ordered(runner, token="6")
    hung.join(1.5)
    assert hung.is_alive(), "an order about an earlier lease ends nothing"
    ordered(runner, token="7")
    hung.join(10)
    assert not hung.is_alive()
    failure = runner.journal.failure_read(JOB, Work(token=7, inputs=INPUTS).id, token=7)
    assert failure is not None
    assert failure.level is Level.TEMPORARY

    begun(runner, token=8).join(10)

    outputs = runner.journal.outputs_read(JOB, Work(token=8, inputs=INPUTS).id)
    assert outputs is not None
    assert outputs.comm_d == bytes([7]) * 32


@pytest.mark.parametrize("args", [{}, {"job": "../x", "token": "1"}, {"job": JOB, "token": "x"}])
def test_order_that_names_no_job_is_over_and_ends_nothing(runner: StageRunner, args: dict[str, str]) -> None:
    assert stage_end(runner.journal, Command(id="c", op=Operation.END_STAGE, args=args))
    assert stage_end(runner.journal, Command(id="c", op=Operation.END_STAGE, args={"job": JOB, "token": "9"}))
    assert not runner.journal.is_ended(JOB, token=1), "a job that is not here gets no folder"
