"""The Celery worker of a sealing host: one task, which runs what the agent has written down.

Started by the sealer as its child.  The kernels run in children of this process.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, Final

from celery import bootsteps

from workers.agent.stages import StageRunner
from workers.broker import STAGE_TASK, app
from workers.config import COMPILE_PROGRESS_FILE, KERNEL_STAGES
from workers.console.client import Console
from workers.processors.compile_progress import COMPILE_PROGRESS_VARIABLE
from workers.processors.pool import ChildSpec, ProcessorPool
from workers.processors.snark_choice import SNARK_VARIABLE, Snark
from workers.storage.stores import Stores

__all__ = ["app"]

FOLDER_VARIABLE: Final = "POOLSITE_SEALER_DIR"
READ_ONLY_VARIABLE: Final = "POOLSITE_SEALER_READ_ONLY"
"""JSON: paths of the stores into which nothing is put."""
CONSOLE_VARIABLE: Final = "POOLSITE_SEALER_CONSOLE"
TOKEN_VARIABLE: Final = "POOLSITE_SEALER_TOKEN"  # noqa: S105  # the name of a variable
"""Environment of our own process, which its user alone can read: the raw bytes of pieces are fetched here."""
FORM_VARIABLE: Final = "POOLSITE_SEALER_SNARK"
PROCESSORS_VARIABLE: Final = "POOLSITE_SEALER_PROCESSORS"
"""JSON: stage to the command of an own binary."""


def specs_of(processors: dict[str, list[str]], *, compiling: Path) -> list[ChildSpec]:
    """Return one child for all stages of ours, and one for each own binary.

    Ours says in the file `compiling` how many of its kernels are compiled.
    """
    foreign = [
        ChildSpec(stages=(stage,), command=tuple(command)) for stage, command in sorted(processors.items())
    ]
    ours = tuple(stage for stage in KERNEL_STAGES if stage not in processors)
    environment = {
        COMPILE_PROGRESS_VARIABLE: str(compiling),
        SNARK_VARIABLE: os.environ.get(FORM_VARIABLE, Snark.VANILLA),
    }
    return [*foreign, ChildSpec(stages=ours, environment=environment)] if ours else foreign


class Host:
    """What the tasks of this process share; made at the worker's start."""

    def __init__(self) -> None:
        self.runner: StageRunner | None = None
        self.pool: ProcessorPool | None = None
        self.lock = threading.Lock()

    def open(self) -> StageRunner:
        """Return the runner; the first call starts the kernel children."""
        with self.lock:
            if self.runner is None:
                folder = Path(os.environ[FOLDER_VARIABLE])
                processors = json.loads(os.environ.get(PROCESSORS_VARIABLE, "{}"))
                self.pool = ProcessorPool(specs_of(processors, compiling=folder / COMPILE_PROGRESS_FILE))
                stores = Stores(folder, read_only=json.loads(os.environ.get(READ_ONLY_VARIABLE, "[]")))
                console = Console(os.environ[CONSOLE_VARIABLE], os.environ[TOKEN_VARIABLE])
                self.runner = StageRunner(folder=folder, stores=stores, pool=self.pool, console=console)
            return self.runner

    def close(self) -> None:
        """End the kernel children."""
        with self.lock:
            if self.pool is not None:
                self.pool.close()
            self.runner = self.pool = None


host: Final = Host()


class HostStep(bootsteps.StartStopStep):
    """Compiles the kernels before the first stage comes, and ends the children with the worker."""

    def start(self, _parent: Any) -> None:
        """Start the children in the background, and again whichever ends."""
        threading.Thread(target=self._warm, daemon=True).start()

    @staticmethod
    def _warm() -> None:
        host.open()
        if host.pool is not None:
            host.pool.keep_running()

    def stop(self, _parent: Any) -> None:
        """End the children."""
        host.close()


app.steps["worker"].add(HostStep)


@app.task(name=STAGE_TASK)
def stage(job_id: str) -> None:
    """Run the stage that is written down for this job, unless somebody does or has done so."""
    host.open().run(job_id)
