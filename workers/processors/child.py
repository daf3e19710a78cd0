"""The child's side of the processor protocol: requests on stdin, answers on stdout, a line each.

First line out: `<stage> processor ready` (several stages joined by `+`), said when their kernels are
compiled.  Request: {"id", "task", "stage" (needed with several)}; answer: {"id", "err_msg", "output"}
and, beyond the field's protocol, "err_kind", "err_level" and lines {"id", "progress": {"done", "total"}}.
End of stdin ends the child at once.
Source: ipfs-force-community/damocles damocles-worker/vc-processors/src/core/ext/{mod,consumer}.rs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from numba.core.event import install_recorder

from poolsite.open_files import files_limit_raise
from poolsite.wire.hardware import ProofsTrial, TreesTrial
from workers.kernels.precompile import precompile
from workers.loading import loaded
from workers.processors.compile_progress import (
    COMPILE_PROGRESS_VARIABLE,
    GROTH16_FILE,
    TREES_FILE,
    TRIALS_VARIABLE,
    CompileProgress,
    progress_write,
)
from workers.processors.errors import (
    NotEnoughRoom,
    PermanentError,
    ProcessorError,
    StageRefused,
    file_error,
)
from workers.processors.layer_drives import LAYERS_VARIABLE
from workers.processors.stages import STAGES, Stage, output_encode, task_decode

SECOND_VARIABLE = "POOLSITE_KERNELS_COMPILED"
"""Set for the process that follows the one that compiled; it serves even where no cache can be written."""
TREE_STAGES = {"pc2", "snap_encode"}
"""Stages that make trees, which a card may do."""
PROOF_CARD = "workers.snark.card"
"""The module that gives work of proofs to a card."""
PROGRESS_PAUSE_S = 0.2
"""Shortest time between two progress lines of one request."""
PROGRESS_LINES_S = 20
"""Progress lines a second of all requests: their reader writes a file for each; a full pipe stops a batch."""


class Child:
    """Answers requests, each in a thread of its own."""

    def __init__(self, stages: Sequence[Stage], out: TextIO) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._runs = {stage.name: stage.run for stage in stages}  # loaded now, not under the first request
        self._out = out
        self._lock = threading.Lock()
        self._running = 0
        self._trials: dict[str, TreesTrial | ProofsTrial] = {}
        """Last trial of a card that was written, by the name of its file."""

    def precompile(self) -> None:
        """Compile what the stages need, or load it from the cache."""
        kernels = list(dict.fromkeys(kernel for stage in self._stages.values() for kernel in stage.kernels))
        precompile(kernels, report=_report)
        _progress_write(CompileProgress(len(kernels), len(kernels)))

    def card_report(self) -> None:
        """Try a card, where a stage makes trees, and say what was found, or that it has failed since."""
        has_drives = bool(os.environ.get(LAYERS_VARIABLE))  # pc1 makes the trees of a batch there
        if TREE_STAGES & set(self._stages) or (has_drives and "pc1" in self._stages):
            self._trial_say(TREES_FILE, loaded("workers.processors.card_trees:tree_maker")().trial)
        if PROOF_CARD in sys.modules:  # a proof was made here, which tries the card
            self._trial_say(GROTH16_FILE, loaded(f"{PROOF_CARD}:card_work")().result)

    def _trial_say(self, name: str, trial: TreesTrial | ProofsTrial | None) -> None:
        folder = os.environ.get(TRIALS_VARIABLE)
        if folder and trial is not None and trial != self._trials.get(name):
            self._trials[name] = trial
            progress_write(Path(folder) / name, trial)

    def greet(self) -> None:
        """Write that the stages are ready."""
        self._write(f"{'+'.join(self._stages)} processor ready")

    def serve(self, lines: TextIO) -> None:
        """Answer until the lines end."""
        for line in lines:
            if line.strip():
                threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _answer(self, line: str) -> None:
        try:
            request = json.loads(line)
            number = request["id"]
        except (ValueError, KeyError, TypeError) as error:
            sys.stderr.write(f"bad request: {error}: {line[:100]}\n")
            return
        answer = {"id": number, "err_msg": None, "output": None}
        self._running_add(1)
        try:
            answer["output"] = self._run(request)
        except Exception as error:  # noqa: BLE001  # the outermost place: every failure is an answer
            failure = as_processor_error(error)
            answer |= {
                "err_msg": str(failure),
                "err_kind": type(failure).__name__,
                "err_level": failure.level,
            }
        self._running_add(-1)
        self._write(json.dumps(answer, separators=(",", ":")))

    def _run(self, request: dict[str, Any]) -> Any:
        stage = self._stage_of(request)
        task = task_decode(stage, request.get("task"))
        number, reported_at = request["id"], 0.0

        def progress(done: int, total: int) -> None:
            nonlocal reported_at
            now = time.monotonic()
            if now - reported_at >= max(PROGRESS_PAUSE_S, self._running / PROGRESS_LINES_S):
                reported_at = now
                self._write(json.dumps({"id": number, "progress": {"done": done, "total": total}}))

        output = output_encode(stage, self._runs[stage.name](task, progress=progress))
        self.card_report()
        return output

    def _running_add(self, change: int) -> None:
        with self._lock:
            self._running += change

    def _stage_of(self, request: dict[str, Any]) -> Stage:
        name = request.get("stage")
        if name is None and len(self._stages) == 1:
            return next(iter(self._stages.values()))
        if name not in self._stages:
            raise StageRefused(f"this processor runs {', '.join(self._stages)}, not {name}")
        return self._stages[name]

    def _write(self, line: str) -> None:
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()


def as_processor_error(error: Exception) -> ProcessorError:
    """Return what a failure means for the caller; an unforeseen one is permanent."""
    if isinstance(error, ProcessorError):
        return error
    if isinstance(error, OSError):
        return file_error(error)
    if isinstance(error, MemoryError):
        return NotEnoughRoom(str(error) or "out of memory")
    return PermanentError(f"{type(error).__name__}: {error}")


def _report(kernel: str, done: int, total: int) -> None:
    sys.stderr.write(f"precompile {kernel} {done}/{total}\n")
    sys.stderr.flush()
    _progress_write(CompileProgress(done, total))


def _progress_write(progress: CompileProgress) -> None:
    path = os.environ.get(COMPILE_PROGRESS_VARIABLE)
    if path:
        progress_write(Path(path), progress)


def _drives_tend() -> None:
    """Keep the room of batches on drives in order, if the host's file names some."""
    with suppress(OSError, ProcessorError):  # pc1 says what is wrong
        loaded("workers.processors.drive_queue:label_line")().tend()


def _restart(out: TextIO, stages: Sequence[str]) -> None:
    """Replace this process by one that loads the kernels from the cache: a compiler keeps 90 MiB for good."""
    os.dup2(out.fileno(), 1)
    os.environ[SECOND_VARIABLE] = "1"
    os.execv(sys.executable, [sys.executable, "-m", "workers.processors", *stages])  # noqa: S606  # ourselves


def main(arguments: Sequence[str] | None = None) -> None:
    """Run as a child: `python -m workers.processors STAGE…`."""
    parser = argparse.ArgumentParser(prog="python -m workers.processors", description=__doc__)
    parser.add_argument("stage", nargs="+", choices=sorted(STAGES))
    wanted = parser.parse_args(arguments).stage
    files_limit_raise()
    # whatever a library prints must not reach the protocol's pipe
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    child = Child([STAGES[name] for name in dict.fromkeys(wanted)], out)
    is_second = os.environ.pop(SECOND_VARIABLE, "") != ""
    with install_recorder("numba:compile") as compiled:
        child.precompile()
    if compiled.buffer and not is_second:
        _restart(out, wanted)
    if "pc1" in wanted:
        _drives_tend()
    child.card_report()
    child.greet()
    child.serve(sys.stdin)
    os._exit(0)  # the parent is gone: running stages leave only whole files behind
