"""The stages that a child can run: what goes in, what comes out, the kernels they need.

Whoever only hands stages to children loads this without any kernel: those come with the first run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poolsite.wire.pipeline import WORKER_STAGES
from workers.loading import loaded
from workers.processors import codec, pc1_output, post_tasks, snap_tasks, tasks
from workers.processors.c1_json import c1_text
from workers.processors.errors import BadInput, file_error

NODE_BYTES = 32
TASK_MODULES = (tasks, post_tasks, snap_tasks)
"""Where stages have their tasks and outputs."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the protocol."""

    name: str
    """Its name in the protocol's first line."""
    kernels: tuple[str, ...]
    """What must be compiled before it runs at full speed (`workers.kernels.precompile`)."""

    @property
    def task(self) -> type[Any]:
        """Return what goes in."""
        return _type(self.name, "Task")

    @property
    def output(self) -> type[Any]:
        """Return what comes out."""
        return _type(self.name, "Output")

    @property
    def run(self) -> Callable[..., Any]:
        """Return its `run(task, progress=…) -> output`; loads its module, which has the stage's name."""
        run: Callable[..., Any] = loaded(f"workers.processors.{self.name}:run")
        return run


def _type(stage: str, kind: str) -> type[Any]:
    """Return `TreeDTask` of tasks for tree_d; `Task` of the stage's own module where none has it."""
    name = "".join(part.capitalize() for part in stage.split("_")) + kind
    found: type[Any] | None = next((getattr(one, name) for one in TASK_MODULES if hasattr(one, name)), None)
    return found or loaded(f"workers.processors.{stage}:{kind}")


STAGES: dict[str, Stage] = {
    spec.task: Stage(spec.task, spec.kernels) for spec in WORKER_STAGES.values() if spec.task
} | {
    stage.name: stage
    for stage in (
        Stage("synthetic", ("graph", "poseidon")),
        Stage("window_post", ("poseidon",)),
        Stage("winning_post", ("poseidon",)),
        Stage("sector_check", ("poseidon",)),
        Stage("aggregate", ()),
        Stage("snap_decode", ("poseidon", "scaling", "fr32", "binary_tree", "graph", "labels")),
    )
}
"""All stages by name: those of sealing from the table of the pipeline, and what else hosts compute."""


def output_encode(stage: Stage, output: Any) -> Any:
    """Return an output's JSON value, in the form that programs of the field give for the stage."""
    if stage.output is tasks.AddPieceOutput:
        return codec.encode(output.piece_infos)
    if stage.output is tasks.Pc1Output:
        return pc1_output.output_value(output)
    return codec.encode(output)


def task_encode(task: Any) -> Any:
    """Return a task's JSON value."""
    value = codec.encode(task)
    if isinstance(task, tasks.Pc2Task):
        value["pc1out"] = pc1_output.output_value(task.pc1out)
    return value


FIELD_NAMES = {"add_piece": "add_pieces"}
"""Stages that programs of the field greet with under another name."""


def foreign_task_encode(task: Any) -> Any:
    """Return a task's JSON value as programs of the field expect it.

    Source: damocles-worker vc-processors/src/builtin/tasks.rs.
    """
    value = task_encode(task)
    if isinstance(task, tasks.C2Task):
        c1out = json.loads(c1_text(task))
        ids = {"prover_id": value["prover_id"], "sector_id": task.sector_id, "miner_id": task.miner_id}
        return {"c1out": c1out} | ids
    for own in ("seconds_left", "needs_groth16", "job", "ticket_end_s", "ticket_fresh_s"):
        value.pop(own, None)
    if isinstance(task, tasks.AddPieceTask):
        for piece in value["pieces"]:
            path = piece["piece_file"]
            piece["piece_file"] = "pledge" if path is None else {"local": path}
    return value


def task_decode(stage: Stage, value: Any) -> Any:
    """Read a task.  Raises BadInput."""
    if stage.task is tasks.Pc2Task and isinstance(value, dict):
        value = value | {"pc1out": codec.encode(pc1_output.output_from_value(value.get("pc1out")))}
    if stage.task is tasks.C2Task and isinstance(value, dict) and "c1out" in value:
        # as programs of the field are asked: another host's sealer has us as its own program
        c1out = json.dumps(value["c1out"], separators=(",", ":"))
        value = {name: item for name, item in value.items() if name != "c1out"}
        value |= {"c1_json": c1out, "c1_path": None}
    return codec.decode(stage.task, value)


def output_decode(stage: Stage, task: Any, value: Any) -> Any:
    """Read an output; that of a foreign program may lack what we can see in the files.  Raises BadInput."""
    if stage.output is tasks.AddPieceOutput:
        return codec.decode(tasks.AddPieceOutput, {"piece_infos": value})
    if stage.output is tasks.Pc1Output:
        return pc1_output.output_from_value(value)
    if stage.output is tasks.TreeDOutput and value is True:
        return tasks.TreeDOutput(_last_node(Path(task.cache_dir) / "sc-02-data-tree-d.dat"))
    return codec.decode(stage.output, value)


def _last_node(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(-NODE_BYTES, 2)
            return file.read(NODE_BYTES)
    except OSError as error:
        raise file_error(error) from None


def stage_named(name: str) -> Stage:
    """Return a stage.  Raises BadInput."""
    try:
        return STAGES[name]
    except KeyError:
        raise BadInput(f"unknown stage {name!r}: use one of {', '.join(STAGES)}") from None
