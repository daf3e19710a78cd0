"""Programs of a host's own that take several sectors in one request, over the real pipes."""

from __future__ import annotations

import json
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.workers.processors import batch_program
from tests.unit.workers.processors.own_program import TASK, foreign
from tests.unit.workers.processors.sealing import sealing
from tests.waiting import until
from workers.processors import pc1
from workers.processors.errors import (
    CallGivenUp,
    ChildLost,
    ChildNotReady,
    PermanentError,
    ProcessorError,
)
from workers.processors.pool_child import ChildSpec
from workers.processors.tasks import C2Task, Pc2Task
from workers.stage_processors import StageProcessor

pytestmark = pytest.mark.usefixtures("no_pause")


def program(folder, stage, *, sectors=3, wait_minutes=30, faults=None):
    """The program as a host's file names it."""
    command = (sys.executable, "-m", "tests.unit.workers.processors.batch_program", stage)
    environment = {batch_program.FAULTS: json.dumps({"log": str(folder / "log"), **(faults or {})})}
    return StageProcessor(
        stage=stage,
        command=command,
        environment=environment,
        sectors=sectors,
        concurrent=2 * sectors,
        wait_minutes=wait_minutes,
    ).spec({})


def requests(folder):
    return (folder / "log").read_text().split("\n")[:-1]


def seals(folder, count):
    """Sectors with their staged data, of ids 1 and up."""
    made = []
    for number in range(1, count + 1):
        own = folder / str(number)
        own.mkdir()
        one = sealing("2k_v1_1", 5, folder=own)
        one.case = {**one.case, "sector_id": number}
        infos = one.add_piece()
        one.tree_d()
        made.append((one, infos))
    return made


def outcomes(pool, stage, tasks, **options):
    """Each task's output or error, all called at once."""

    def call(task):
        try:
            return pool.call(stage, task, **options)
        except ProcessorError as error:
            return error

    with ThreadPoolExecutor(len(tasks)) as threads:
        return list(threads.map(call, tasks))


def test_sectors_are_labelled_treed_and_proved_in_batches_as_each_alone(tmp_path, open_pool):
    (tmp_path / "in").mkdir()
    made = seals(tmp_path / "in", 3)
    pool = open_pool(*(program(tmp_path, stage) for stage in ("pc1", "pc2", "c2")))
    seen = []

    labelled = outcomes(
        pool, "pc1", [one.pc1_task(infos) for one, infos in made], progress=lambda *how: seen.append(how)
    )
    trees = outcomes(
        pool,
        "pc2",
        [
            Pc2Task(output, str(one.cache), str(one.sealed))
            for (one, _), output in zip(made, labelled, strict=True)
        ],
    )
    c1_outputs = [one.c1(output, infos) for (one, infos), output in zip(made, trees, strict=True)]
    proofs = outcomes(
        pool,
        "c2",
        [
            C2Task(output.c1_json, None, bytes(32), number, 1000)
            for number, output in enumerate(c1_outputs, 1)
        ],
    )

    assert requests(tmp_path) == ["batch 3"] * 3
    assert seen
    assert len({output.comm_r for output in trees}) == 3
    assert all(proof.proof.startswith(b"devnet-proof/1") for proof in proofs)
    (tmp_path / "alone").mkdir()
    alone, infos = seals(tmp_path / "alone", 1)[0]
    assert alone.pc2(pc1.run(alone.pc1_task(infos))).comm_r == trees[0].comm_r


def test_failed_sector_leaves_the_others_of_its_batch(tmp_path, open_pool):
    made = seals(tmp_path, 3)
    pool = open_pool(program(tmp_path, "pc1", faults={"2": "error"}))

    first, second, third = outcomes(pool, "pc1", [one.pc1_task(infos) for one, infos in made])

    assert requests(tmp_path) == ["batch 3"]
    assert isinstance(second, PermanentError)
    assert str(second) == "no such sector"
    assert first.comm_d == third.comm_d


def test_cancelled_sector_is_left_out_and_the_program_goes_on(tmp_path, open_pool):
    made = seals(tmp_path, 3)
    pool = open_pool(program(tmp_path, "pc1", faults={"2": "hang"}))
    unwanted = threading.Event()
    tasks = [one.pc1_task(infos) for one, infos in made]

    with ThreadPoolExecutor(3) as threads:
        second = threads.submit(pool.call, "pc1", tasks[1], is_wanted=lambda: not unwanted.is_set())
        third = threads.submit(pool.call, "pc1", tasks[2])
        until(lambda: len(pool._batches[0]._waiting) == 2)
        unwanted.set()  # before the request, at first
        with pytest.raises(CallGivenUp):
            second.result()
        unwanted.clear()
        second = threads.submit(pool.call, "pc1", tasks[1], is_wanted=lambda: not unwanted.is_set())
        first = threads.submit(pool.call, "pc1", tasks[0])
        until(lambda: (tmp_path / "log").exists())
        pid = pool._children[0].pid
        unwanted.set()
        with pytest.raises(CallGivenUp):
            second.result()
        assert first.result().comm_d == third.result().comm_d

    assert pool._children[0].pid == pid
    assert "batch 3" in requests(tmp_path)


def test_program_that_hangs_for_all_is_ended_and_killed_one_loses_all(tmp_path, open_pool):
    made = seals(tmp_path, 2)
    tasks = [one.pc1_task(infos) for one, infos in made]
    hung = open_pool(program(tmp_path, "pc1", sectors=2, faults={"1": "hang", "2": "hang"}))
    ends = time.monotonic() + 30

    def wanted():
        return not (tmp_path / "log").exists() and time.monotonic() < ends

    assert all(isinstance(one, CallGivenUp) for one in outcomes(hung, "pc1", tasks, is_wanted=wanted))
    until(lambda: not hung._children[0].is_there)
    dead = open_pool(program(tmp_path, "pc1", sectors=2, faults={"1": "die", "2": "hang"}))

    lost = outcomes(dead, "pc1", tasks)

    assert all(isinstance(one, ChildLost) for one in lost)
    assert "exit code 3" in str(lost[0])


def test_part_filled_batch_begins_once_its_first_sector_waited_enough(tmp_path, open_pool):
    made = seals(tmp_path, 1)
    pool = open_pool(program(tmp_path, "pc1", wait_minutes=0))

    [output] = outcomes(pool, "pc1", [one.pc1_task(infos) for one, infos in made])

    assert requests(tmp_path) == ["single"], "one sector is a request as ever"
    assert len(output.comm_d) == 32


def test_next_batch_gathers_while_one_runs_there(tmp_path, open_pool):
    made = seals(tmp_path, 4)
    pool = open_pool(program(tmp_path, "pc1", sectors=2))

    found = outcomes(pool, "pc1", [one.pc1_task(infos) for one, infos in made])

    assert requests(tmp_path) == ["batch 2", "batch 2"]
    assert len({output.comm_d for output in found}) == 1


def test_sector_whose_end_cannot_be_looked_up_holds_up_no_other(tmp_path, open_pool, monkeypatch):
    monkeypatch.setattr("workers.processors.pool.CHECK_S", 0.05)
    made = seals(tmp_path, 3)
    pool = open_pool(program(tmp_path, "pc1", sectors=2))
    tasks, asked = [one.pc1_task(infos) for one, infos in made], []

    def wanted():
        asked.append(1)
        if len(asked) > 1:
            raise OSError(5, "Input/output error")
        return True

    with pytest.raises(OSError, match="Input/output error"):
        pool.call("pc1", tasks[0], is_wanted=wanted)

    outcomes(pool, "pc1", tasks[1:])
    assert requests(tmp_path) == ["batch 2"]


def test_program_of_the_old_protocol_gets_a_sector_a_request(tmp_path, open_pool):
    made = seals(tmp_path, 2)
    pool = open_pool(program(tmp_path, "pc1", sectors=2, faults={"old": "yes"}))

    outcomes(pool, "pc1", [one.pc1_task(infos) for one, infos in made])

    assert requests(tmp_path) == ["single", "single"]


@pytest.mark.parametrize("capability", ['{"sectors": "many"}', "{}x"])
def test_unreadable_capability_is_no_greeting(tmp_path, open_pool, capability):
    spec = foreign(tmp_path, f"print('tree_d processor ready {capability}', flush=True)", sectors=4)

    with pytest.raises(ChildNotReady, match="unexpected first line"):
        open_pool(spec).call("tree_d", None)


def test_no_more_sectors_are_given_than_file_and_program_say():
    spec = ChildSpec(("pc1",), command=("x",), sectors=16)

    assert spec.sectors_of('pc1 processor ready {"sectors": 128}') == 16
    assert spec.sectors_of('pc1 processor ready {"sectors": 4, "of": "another version"}') == 4
    assert spec.sectors_of("pc1 processor ready") == 1
    assert ChildSpec(("pc1",), command=("x",)).sectors_of('pc1 processor ready {"sectors": 4}') == 1


def test_lines_that_cannot_be_read_end_no_sector(tmp_path, open_pool):
    body = """
    print('tree_d processor ready {"sectors": 2}', flush=True)
    ids = json.loads(sys.stdin.readline())["batch"]
    requests = [json.loads(sys.stdin.readline()) for _ in ids]
    for line in ({"id": [1]}, [], {"id": ids[0], "progress": 0.5}, {"id": ids[0], "progress": None}):
        print(json.dumps(line), flush=True)
    print(json.dumps({"id": ids[0], "err_msg": "bad", "err_kind": ["x"]}), flush=True)
    print(json.dumps({"id": ids[1], "progress": {"done": 1, "total": 9}}), flush=True)
    print(json.dumps({"id": ids[1], "err_msg": None, "output": {"comm_d": [7] * 32}}), flush=True)
    sys.stdin.read()
    """
    pool = open_pool(foreign(tmp_path, textwrap.dedent(body), sectors=2))

    def full(*_):
        raise OSError(28, "No space left on device")

    found = outcomes(pool, "tree_d", [TASK, TASK], progress=full)

    assert sorted(map(str, found), key=len)[0] == "bad"
    assert [one.comm_d for one in found if not isinstance(one, ProcessorError)] == [bytes([7]) * 32]


def test_silence_is_counted_for_the_batch_not_for_each_sector(tmp_path, open_pool, monkeypatch):
    """A program may tell how far all are under one sector's id."""
    monkeypatch.setattr("workers.processors.pool_child.SILENCE_S", 0.4)
    body = """
    print('tree_d processor ready {"sectors": 2}', flush=True)
    ids = json.loads(sys.stdin.readline())["batch"]
    requests = [json.loads(sys.stdin.readline()) for _ in ids]
    for number in (ids[1], *[ids[0]] * 10):
        print(json.dumps({"id": number, "progress": {"done": 1, "total": 9}}), flush=True)
        time.sleep(0.1)
    for number in ids:
        print(json.dumps({"id": number, "err_msg": None, "output": {"comm_d": [7] * 32}}), flush=True)
    sys.stdin.read()
    """
    pool = open_pool(foreign(tmp_path, textwrap.dedent(body), sectors=2))

    assert [one.comm_d for one in outcomes(pool, "tree_d", [TASK, TASK])] == [bytes([7]) * 32] * 2
