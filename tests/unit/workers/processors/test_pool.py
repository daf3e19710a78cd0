"""Parent and child over the real pipes."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from tests.processor_pids import pids_of
from tests.unit.workers.processors.own_program import GREET, TASK, foreign
from tests.unit.workers.processors.sealing import sealing
from tests.waiting import until
from workers.processors.errors import (
    BadFile,
    BadInput,
    CallGivenUp,
    ChildLost,
    ChildNotReady,
    ChildTimeout,
)
from workers.processors.pool_child import ChildSpec
from workers.processors.tasks import (
    C2Task,
    Pc2Task,
    TreeDTask,
)

pytestmark = pytest.mark.usefixtures("no_pause")

STAGES = ("add_piece", "tree_d", "pc1", "pc2", "c1", "c2")


def test_a_sector_is_sealed_by_one_child_that_runs_all_stages(tmp_path, open_pool):
    sector = sealing("2k_v1_1", 5, folder=tmp_path)
    pool = open_pool(ChildSpec(STAGES))
    infos = sector.add_piece()
    told = []

    root = pool.call("tree_d", TreeDTask(sector.name, str(sector.staged), str(sector.cache))).comm_d
    made = pool.call("pc1", sector.pc1_task(infos), progress=lambda *at: told.append(at))
    output = pool.call("pc2", Pc2Task(made, str(sector.cache), str(sector.sealed)))
    opened = pool.call("c1", sector.c1_task(output, infos))
    proof = pool.call("c2", C2Task(opened.c1_json, None, sector.value("prover_id"), 1, 1000)).proof

    assert (root.hex(), output.comm_r.hex()) == (sector.case["comm_d"], sector.case["comm_r"])
    assert proof.startswith(b"devnet-proof/1")
    assert told
    assert told[-1][1] == 128
    assert len(pids_of(pool)) == 1


def test_errors_of_a_stage_keep_their_kind(tmp_path, open_pool):
    pool = open_pool(ChildSpec(("tree_d",)))

    with pytest.raises(BadFile, match="not-there"):
        pool.call("tree_d", TreeDTask("StackedDrg2KiBV1_1", str(tmp_path / "not-there"), str(tmp_path)))
    with pytest.raises(BadInput, match="unknown registered proof"):
        pool.call("tree_d", TreeDTask("Other", "/staged", str(tmp_path)))


def test_a_stage_without_a_processor_is_refused(open_pool):
    with pytest.raises(BadInput, match="no processor for stage pc1"):
        open_pool(ChildSpec(("tree_d",))).call("pc1", None)


def test_a_killed_child_is_started_again(tmp_path, open_pool):
    sector = sealing("2k_v1_1", 5, folder=tmp_path)
    sector.add_piece()
    pool = open_pool(ChildSpec(("tree_d",)))
    pool.precompile()
    (first,) = pids_of(pool)
    os.kill(first, signal.SIGKILL)
    task = TreeDTask(sector.name, str(sector.staged), str(sector.cache))

    with_retry = None
    while with_retry is None:
        try:
            with_retry = pool.call("tree_d", task)
        except ChildLost:
            continue

    assert with_retry.comm_d.hex() == sector.case["comm_d"]
    assert pids_of(pool) != (first,)


def test_requests_in_flight_fail_when_the_child_dies(tmp_path, open_pool):
    spec = foreign(tmp_path, GREET + "sys.stdin.readline(); sys.exit(3)")

    with pytest.raises(ChildLost, match="child process exited: tree_d"):
        open_pool(spec).call("tree_d", TASK)


def test_child_killed_for_its_memory_says_so(tmp_path, open_pool):
    spec = foreign(tmp_path, GREET + "sys.stdin.readline(); import os; os.kill(os.getpid(), 9)")

    with pytest.raises(ChildLost, match="tree_d, killed by signal 9: out of memory"):
        open_pool(spec).call("tree_d", TASK)


def test_error_does_not_list_all_stages_of_a_lost_child(tmp_path, open_pool):
    spec = foreign(tmp_path, GREET + "sys.stdin.readline(); import os; os.kill(os.getpid(), 9)")

    with pytest.raises(ChildLost, match="child process exited: of 4 stages, killed by signal 9"):
        open_pool(replace(spec, stages=("tree_d", *STAGES[2:5]))).call("tree_d", TASK)


def test_a_child_that_says_nothing_for_too_long_is_killed(tmp_path, open_pool):
    spec = foreign(tmp_path, GREET + "time.sleep(600)", silence_s=0.2)
    pool = open_pool(spec)

    with pytest.raises(ChildTimeout, match="no heartbeat"):
        pool.call("tree_d", TASK)


HANGS_ON = """
def answer(request):
    print(json.dumps({"id": request["id"], "err_msg": None, "output": {"comm_d": [7] * 32}}), flush=True)

def name(request):
    return request["task"]["staged_file"]

requests = [json.loads(sys.stdin.readline())]
if name(requests[0]) == "hang":
    requests.append(json.loads(sys.stdin.readline()))
    while not os.path.exists(name(requests[1])):
        time.sleep(0.01)
answer(requests[-1])
time.sleep(600)
"""


def task_named(name):
    return TreeDTask("StackedDrg2KiBV1_1", str(name), "/cache")


def test_a_call_that_nobody_wants_any_more_ends_with_its_child(tmp_path, open_pool):
    pool = open_pool(foreign(tmp_path, GREET + HANGS_ON))
    pool.precompile()
    (hung,) = pids_of(pool)
    ends = iter([True, True, True, False])

    with pytest.raises(CallGivenUp):
        pool.call("tree_d", task_named("hang"), is_wanted=lambda: next(ends))

    assert pool.call("tree_d", task_named("any")).comm_d == bytes([7]) * 32
    assert hung not in pids_of(pool)


def test_what_runs_beside_a_call_that_is_given_up_goes_on_to_its_end(tmp_path, open_pool):
    pool = open_pool(foreign(tmp_path, GREET + HANGS_ON))
    pool.precompile()
    (hung,) = pids_of(pool)
    given_up, go = threading.Event(), tmp_path / "go"
    answers, refusals = [], []

    def hangs():
        try:
            pool.call("tree_d", task_named("hang"), is_wanted=lambda: not given_up.is_set())
        except CallGivenUp as error:
            refusals.append(error)

    first = threading.Thread(target=hangs)
    second = threading.Thread(target=lambda: answers.append(pool.call("tree_d", task_named(go))))
    first.start()
    until(lambda: pool._children[0]._calls)
    second.start()
    until(lambda: len(pool._children[0]._calls) >= 2)
    given_up.set()
    first.join()
    fresh = pool.call("tree_d", task_named("any"))
    go.touch()
    second.join()

    assert (len(refusals), answers, fresh.comm_d) == (1, [fresh], bytes([7]) * 32)
    assert hung not in pids_of(pool)
    until(lambda: not os.path.exists(f"/proc/{hung}"))  # the last answer was its end


def test_a_call_that_nobody_wants_from_the_start_costs_no_child(tmp_path, open_pool):
    pool = open_pool(foreign(tmp_path, GREET + HANGS_ON))
    pool.precompile()

    with pytest.raises(CallGivenUp):
        pool.call("tree_d", TASK, is_wanted=lambda: False)

    assert len(pids_of(pool)) == 1


def test_another_first_line_is_refused(tmp_path, open_pool):
    spec = foreign(tmp_path, "print('hello', flush=True); time.sleep(600)")

    with pytest.raises(ChildNotReady, match="unexpected first line: hello"):
        open_pool(spec).call("tree_d", TASK)


def test_a_child_that_never_greets_is_given_up(tmp_path, open_pool):
    spec = foreign(tmp_path, "time.sleep(600)", ready_s=0.2)

    with pytest.raises(ChildNotReady, match="timeout exceeded"):
        open_pool(spec).call("tree_d", TASK)


def test_a_closed_pool_leaves_no_child(open_pool):
    pool = open_pool(ChildSpec(("c2",)))
    pool.precompile()
    (child,) = pids_of(pool)

    pool.close()

    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def ready_pids(note, *, count):
    """The process ids that greeted children wrote down, once there are so many."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pids = [int(word) for word in note.read_text().split()] if note.exists() else []
        if len(pids) >= count:
            return pids
        time.sleep(0.01)
    raise AssertionError(f"not {count} children in a minute")


def greeting_and_pid(note):
    """What a child does that gets ready: it greets, writes its number down and waits."""
    return f"""
print("tree_d processor ready", flush=True)
open({str(note)!r}, "a").write(str(os.getpid()) + " ")
sys.stdin.read()
"""


def test_child_that_dies_while_compiling_is_restarted(tmp_path, open_pool, quick_looks):
    tried, note = tmp_path / "tried", tmp_path / "pids"
    full = f"""
if not os.path.exists({str(tried)!r}):
    open({str(tried)!r}, "w").close()
    sys.exit("no space left on device")
"""
    missing = ChildSpec(("c2",), command=("/nowhere/prover",))
    pool = open_pool(missing, foreign(tmp_path, full + greeting_and_pid(note)))

    threading.Thread(target=pool.keep_running, daemon=True).start()

    (first,) = ready_pids(note, count=1)
    os.kill(first, signal.SIGKILL)
    assert len(set(ready_pids(note, count=2))) == 2


def test_keep_running_ends_with_the_pool(tmp_path, open_pool, quick_looks):
    note = tmp_path / "pids"
    pool = open_pool(foreign(tmp_path, greeting_and_pid(note)))
    keeper = threading.Thread(target=pool.keep_running, daemon=True)
    keeper.start()
    ready_pids(note, count=1)

    pool.close()

    keeper.join(60)
    assert not keeper.is_alive()
    assert pids_of(pool) == ()


NAMED = """
print("c2 processor ready", flush=True)
request = json.loads(sys.stdin.readline())
until = time.monotonic() + 60
while len(os.listdir(os.environ["MEET"])) < int(os.environ["OF"]) and time.monotonic() < until:
    open(os.path.join(os.environ["MEET"], os.environ["NAME"]), "w").close()
    time.sleep(0.01)
proof = list(os.environ["NAME"].encode())
print(json.dumps({"id": request["id"], "err_msg": None, "output": {"proof": proof}}), flush=True)
sys.stdin.read()
"""


def test_two_processors_of_one_stage_work_side_by_side(tmp_path, open_pool):
    (tmp_path / "meet").mkdir()
    (tmp_path / "c1.json").write_text("{}")
    task = C2Task(None, str(tmp_path / "c1.json"), bytes(32), 1, 1000)
    shared = {"MEET": str(tmp_path / "meet"), "OF": "2"}
    pool = open_pool(
        *(
            foreign(tmp_path, NAMED, stages=("c2",), capacity=1, environment={**shared, "NAME": name})
            for name in ("gpu0", "gpu1")
        )
    )
    proofs = []
    threads = [threading.Thread(target=lambda: proofs.append(pool.call("c2", task).proof)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(proofs) == [b"gpu0", b"gpu1"]


def test_a_processor_that_is_not_started_anew_leaves_its_work_to_the_other(tmp_path, open_pool):
    (tmp_path / "meet").mkdir()
    (tmp_path / "c1.json").write_text("{}")
    task = C2Task(None, str(tmp_path / "c1.json"), bytes(32), 1, 1000)
    first = foreign(tmp_path, 'print("c2 processor ready", flush=True)', stages=("c2",), restarts=False)
    other = tmp_path / "other"
    other.mkdir()
    environment = {"MEET": str(tmp_path / "meet"), "OF": "0", "NAME": "gpu1"}
    pool = open_pool(first, foreign(other, NAMED, stages=("c2",), environment=environment))
    alone = open_pool(first)

    for one in (pool, alone):
        with pytest.raises(ChildLost):
            one.call("c2", task)
    until(lambda: not any(child.is_there for one in (pool, alone) for child in (one._children[0],)))

    assert pool.call("c2", task).proof == b"gpu1"
    with pytest.raises(ChildLost, match="auto_restart is false: restart the host"):
        alone.call("c2", task)


def test_a_processor_that_we_have_ended_is_started_anew(tmp_path, open_pool):
    ends = iter((True, True, False))
    pool = open_pool(foreign(tmp_path, GREET + HANGS_ON, restarts=False))
    with pytest.raises(CallGivenUp):
        pool.call("tree_d", task_named("hang"), is_wanted=lambda: next(ends))
    until(lambda: not pool._children[0].is_there)

    assert pool.call("tree_d", task_named("next")).comm_d == bytes([7] * 32)


def test_a_call_says_how_long_it_waited_for_its_turn(tmp_path, monkeypatch, open_pool):
    pool = open_pool(foreign(tmp_path, GREET + HANGS_ON))
    waits: list[float] = []
    admitted = pool._admission.admitted

    def late(*asked, **how):
        time.sleep(0.1)
        return admitted(*asked, **how)

    monkeypatch.setattr(type(pool._admission), "admitted", staticmethod(late))
    pool.call("tree_d", task_named("next"), on_wait=waits.append)

    assert len(waits) == 1
    assert waits[0] >= 0.1
