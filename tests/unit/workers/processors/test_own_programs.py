"""Programs of a host's own in place of ours, over the real pipes."""

from __future__ import annotations

import sys
import textwrap
import threading

import pytest

from tests.unit.filecoin.golden_proofs import golden_text
from tests.unit.workers.processors.own_program import GREET, TASK, foreign
from workers.processors.errors import (
    ChildTimeout,
    PermanentError,
    TemporaryError,
)
from workers.processors.pool_child import ChildSpec
from workers.processors.tasks import (
    AddPieceTask,
    C2Task,
    PieceInfo,
    PieceSource,
    TreeDOutput,
    TreeDTask,
)
from workers.stage_processors import StageProcessor

pytestmark = pytest.mark.usefixtures("no_pause")


def test_an_own_program_may_be_silent_for_any_time(tmp_path, open_pool, monkeypatch):
    monkeypatch.setattr("workers.processors.pool_child.SILENCE_S", 0.1)
    body = """
    request = json.loads(sys.stdin.readline())
    time.sleep(0.5)
    print(json.dumps({"id": request["id"], "err_msg": None, "output": {"comm_d": [7] * 32}}), flush=True)
    sys.stdin.read()
    """
    command = foreign(tmp_path, GREET + textwrap.dedent(body)).command
    spec = StageProcessor(stage="tree_d", command=command).spec({})

    assert open_pool(spec).call("tree_d", TASK).comm_d == bytes([7]) * 32
    assert ChildSpec(("tree_d",)).patience_s() == 0.1, "ours tells how far it is"


def test_an_own_program_that_has_told_progress_may_not_fall_silent(tmp_path, open_pool, monkeypatch):
    monkeypatch.setattr("workers.processors.pool_child.SILENCE_S", 0.1)
    body = """
    request = json.loads(sys.stdin.readline())
    print(json.dumps({"id": request["id"], "progress": {"done": 1, "total": 9}}), flush=True)
    time.sleep(20)
    """
    command = foreign(tmp_path, GREET + textwrap.dedent(body)).command
    spec = StageProcessor(stage="tree_d", command=command).spec({})

    with pytest.raises(ChildTimeout, match="no heartbeat"):
        open_pool(spec).call("tree_d", TASK)


def test_a_foreign_processor_may_answer_in_any_order_and_print_nonsense(tmp_path, open_pool):
    body = """
    first, second = (json.loads(sys.stdin.readline()) for _ in range(2))
    print("nonsense", flush=True)
    for request in (second, first):
        size = len(request["task"]["staged_file"])
        answer = {"id": request["id"], "err_msg": None, "output": {"comm_d": [size] * 32}}
        print(json.dumps(answer), flush=True)
    sys.stdin.read()
    """
    pool = open_pool(foreign(tmp_path, GREET + textwrap.dedent(body)))
    roots = {}

    def call(name):
        roots[name] = pool.call("tree_d", TreeDTask("StackedDrg2KiBV1_1", name, "/cache"))

    threads = [threading.Thread(target=call, args=(name,)) for name in ("a", "bcd")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert roots == {"a": TreeDOutput(b"\x01" * 32), "bcd": TreeDOutput(b"\x03" * 32)}


def test_an_error_of_a_foreign_processor_is_permanent(tmp_path, open_pool):
    body = """
    request = json.loads(sys.stdin.readline())
    print(json.dumps({"id": request["id"], "err_msg": "no such disk", "output": None}), flush=True)
    sys.stdin.read()
    """
    pool = open_pool(foreign(tmp_path, GREET + textwrap.dedent(body)))

    with pytest.raises(PermanentError, match="no such disk"):
        pool.call("tree_d", TASK)


@pytest.mark.parametrize("ends", ["", GREET], ids=["at-its-start", "during-a-request"])
def test_own_program_that_ends_is_named_with_its_exit_code(tmp_path, open_pool, ends):
    code = "sys.stdin.readline()\n" if ends else ""

    with pytest.raises(TemporaryError, match=r"exited: tree_d \(python.*, exit code 3\): see the host's log"):
        open_pool(foreign(tmp_path, f"{ends}{code}sys.exit(3)")).call("tree_d", TASK)


def test_a_foreign_processor_gets_the_tasks_of_the_field(tmp_path, open_pool):
    body = """
    print("add_pieces processor ready", flush=True)
    request = json.loads(sys.stdin.readline())
    assert [piece["piece_file"] for piece in request["task"]["pieces"]] == ["pledge", {"local": "/a"}]
    output = [{"commitment": [1] * 32, "size": 127}]
    print(json.dumps({"id": request["id"], "err_msg": None, "output": output}), flush=True)
    sys.stdin.read()
    """
    pool = open_pool(foreign(tmp_path, textwrap.dedent(body), stages=("add_piece",)))
    pieces = (PieceSource(None, 127, 127), PieceSource("/a", 127, 127))

    output = pool.call("add_piece", AddPieceTask("StackedDrg2KiBV1_1", pieces, "/staged"))

    assert output.piece_infos == (PieceInfo(b"\x01" * 32, 127),)


def test_a_foreign_c2_gets_the_output_of_c1_itself(tmp_path, open_pool):
    body = """
    print("c2 processor ready", flush=True)
    request = json.loads(sys.stdin.readline())
    assert set(request["task"]) == {"c1out", "prover_id", "sector_id", "miner_id"}
    proof = request["task"]["c1out"]["comm_r"]
    print(json.dumps({"id": request["id"], "err_msg": None, "output": {"proof": proof}}), flush=True)
    sys.stdin.read()
    """
    pool = open_pool(foreign(tmp_path, textwrap.dedent(body), stages=("c2",)))
    (tmp_path / "c1.json").write_text('{"comm_r": [1, 2, 3]}')

    assert (
        pool.call("c2", C2Task(None, str(tmp_path / "c1.json"), bytes(32), 1, 1000)).proof == b"\x01\x02\x03"
    )


def test_our_c2_is_another_hosts_own_program(tmp_path, open_pool):
    """A sealer that has it behind `ssh`, say, sends what c1 gave along and gets the same proof back."""
    (tmp_path / "c1.json").write_text(golden_text("api_c1_2k_v1_1"))
    task = C2Task(None, str(tmp_path / "c1.json"), bytes(32), 1, 1000)
    elsewhere = (sys.executable, "-m", "workers.processors", "c2")

    proofs = {
        open_pool(spec).call("c2", task).proof
        for spec in (ChildSpec(("c2",)), ChildSpec(("c2",), command=elsewhere))
    }

    (proof,) = proofs
    assert proof.startswith(b"devnet-proof/1")


def test_our_own_program_on_certain_cores_is_no_foreign_one(tmp_path, open_pool):
    """It gets the path of what c1 gave, not the text."""
    (tmp_path / "c1.json").write_text(golden_text("api_c1_2k_v1_1"))
    spec = ChildSpec(("c2",), around=("taskset", "-c", "0"))

    proof = open_pool(spec).call("c2", C2Task(None, str(tmp_path / "c1.json"), bytes(32), 1, 1000)).proof

    assert spec.argv()[:3] == ["taskset", "-c", "0"]
    assert proof.startswith(b"devnet-proof/1")
