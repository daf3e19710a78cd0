from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from tests.unit.workers.processors.sealing import GOLDEN, sealing
from workers.processors import codec, pc1_output
from workers.processors.errors import BadInput
from workers.processors.post_tasks import Replica, WindowPostOutput, WindowPostTask
from workers.processors.stages import STAGES, output_decode, output_encode, task_decode, task_encode
from workers.processors.tasks import (
    AddPieceOutput,
    AddPieceTask,
    Pc2Task,
    PieceInfo,
    PieceSource,
    TreeDOutput,
    TreeDTask,
)

PIECE = PieceInfo(bytes(range(32)), 127)
REPLICA = Replica(3, b"\x01" * 32, "/cache", "/sealed")


def through_json(value):
    return json.loads(json.dumps(value))


def test_byte_strings_are_arrays_of_numbers_as_in_the_field():
    assert codec.encode(PIECE) == {"commitment": list(range(32)), "size": 127}


def test_proofs_are_base64_as_in_the_field():
    assert codec.encode(WindowPostOutput((codec.Base64(b"\x00\xff"),), ())) == {
        "proofs": ["AP8="],
        "faults": [],
    }


@pytest.mark.parametrize(
    "task",
    [
        AddPieceTask("StackedDrg2KiBV1_1", (PieceSource(None, 127, 127), PieceSource("/a", 1, 127)), "/s"),
        TreeDTask("StackedDrg2KiBV1_1", "/staged", "/cache"),
        WindowPostTask(1000, 10, (REPLICA, REPLICA), b"\x02" * 32),
    ],
)
def test_tasks_survive_the_way_through_json(task):
    stage = next(stage for stage in STAGES.values() if stage.task is type(task))

    assert task_decode(stage, through_json(task_encode(task))) == task


def test_the_output_of_pc1_crosses_in_the_form_of_the_ffi():
    value = json.loads((GOLDEN / "api_pc1_2k_v1_1.json").read_text())

    output = pc1_output.output_from_value(value)

    assert output_encode(STAGES["pc1"], output) == value
    task = Pc2Task(output, "/cache", "/sealed")
    assert task_decode(STAGES["pc2"], through_json(task_encode(task))) == task


def test_the_output_of_add_piece_is_a_plain_list_as_in_the_field():
    stage, output = STAGES["add_piece"], AddPieceOutput((PIECE,))

    value = through_json(output_encode(stage, output))

    assert value == [codec.encode(PIECE)]
    assert output_decode(stage, None, value) == output


def test_a_foreign_tree_d_that_answers_true_is_read_from_its_file(tmp_path):
    sector = sealing("2k_v1_1", 5, folder=tmp_path)
    sector.add_piece()
    made = sector.tree_d()
    task = TreeDTask(sector.name, str(sector.staged), str(sector.cache))

    assert output_decode(STAGES["tree_d"], task, True) == TreeDOutput(made.comm_d)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "task: must be an object"),
        ({}, r"task\.registered_proof: missing"),
        ({"registered_proof": 5, "staged_file": "", "cache_dir": ""}, "task.registered_proof: must be text"),
    ],
)
def test_a_task_of_another_form_is_refused(value, message):
    with pytest.raises(BadInput, match=message):
        task_decode(STAGES["tree_d"], value)


@pytest.mark.parametrize("seed", [5, [256], [-1], [True], "*", None])
def test_bytes_of_another_form_are_refused(seed):
    value = task_encode(WindowPostTask(1000, 10, (), b"")) | {"seed": seed}

    with pytest.raises(BadInput, match="seed"):
        task_decode(STAGES["window_post"], value)


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_each_stage_has_a_module_of_its_name(stage):
    assert find_spec(f"workers.processors.{stage.name}") is not None
