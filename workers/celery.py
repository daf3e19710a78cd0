"""The Celery worker of a sealing host: one task, which runs what the agent has written down.

Started by the sealer as its child.  The kernels run in children of this process.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from celery import bootsteps

from poolsite.tracing import tracing_start
from workers.agent.stages import StageRunner
from workers.broker import STAGE_TASK, app
from workers.config import KERNEL_STAGES
from workers.console.client import Console
from workers.host_folder import COMPILE_PROGRESS_FILE
from workers.processors.admission import Admission
from workers.processors.pool import ProcessorPool
from workers.processors.snark_choice import Snark
from workers.stage_processors import LOCATIONS_VARIABLE, PROCESSORS_VARIABLE, HostProcessors, Location
from workers.storage.stores import Stores

__all__ = ["app"]

FOLDER_VARIABLE: Final = "POOLSITE_SEALER_DIR"
READ_ONLY_VARIABLE: Final = "POOLSITE_SEALER_READ_ONLY"
"""JSON: paths of the stores into which nothing is put."""
CONSOLE_VARIABLE: Final = "POOLSITE_SEALER_CONSOLE"
TOKEN_VARIABLE: Final = "POOLSITE_SEALER_TOKEN"  # noqa: S105  # the name of a variable
"""Environment of our own process, which its user alone can read: the raw bytes of pieces are fetched here."""
TOKEN_FILE_VARIABLE: Final = "POOLSITE_SEALER_TOKEN_FILE"  # noqa: S105  # the name of a variable
FORM_VARIABLE: Final = "POOLSITE_SEALER_SNARK"


def pool_of(environment: Mapping[str, str], folder: Path) -> ProcessorPool:
    """Return the kernel children that the sealer has named in our environment."""
    host = msgspec.json.decode(environment.get(PROCESSORS_VARIABLE, "{}"), type=HostProcessors)
    snark = environment.get(FORM_VARIABLE, Snark.VANILLA)
    specs = host.specs(KERNEL_STAGES, compiling=folder / COMPILE_PROGRESS_FILE, snark=snark)
    return ProcessorPool(specs, admission=Admission(locks=host.locks, staggered_s=host.staggered_s))


def locations_of(environment: Mapping[str, str]) -> list[Location]:
    """Return the sealing threads' folders that the sealer has named in our environment."""
    return msgspec.json.decode(environment.get(LOCATIONS_VARIABLE, "[]"), type=list[Location])


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
                self.pool = pool_of(os.environ, folder)
                stores = Stores(folder, read_only=json.loads(os.environ.get(READ_ONLY_VARIABLE, "[]")))
                console = Console(
                    os.environ[CONSOLE_VARIABLE],
                    os.environ[TOKEN_VARIABLE],
                    token_file=Path(os.environ[TOKEN_FILE_VARIABLE]),
                )
                self.runner = StageRunner(
                    folder=folder,
                    stores=stores,
                    pool=self.pool,
                    console=console,
                    locations=locations_of(os.environ),
                )
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
        tracing_start("sealer")
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
