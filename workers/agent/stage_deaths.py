"""Stages whose process ended under them: one that ends its host again and again is not tried for ever.

`running/JOB.json` is written when a stage begins and removed when it has ended, however it did, so one that
is found by the next beginning is of a process that was killed, or of a machine that went down.  It lies
beside the journal, since a job of another host's sector is forgotten there with each start.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from workers.processors.errors import TemporaryError
from workers.storage.files import write_file

if TYPE_CHECKING:
    from workers.agent.journal import Journal, Work

RUNNING: Final = "running"
"""In a sealing host's folder."""
SILENT_DEATHS: Final = 1
"""So many are nobody's fault: the stage goes on at once."""
KEPT_S: Final = 14 * 86_400.0
"""Records of stages that another host has ended are removed after that."""


class ProcessDied(TemporaryError):
    """The process that ran a stage ended under it, more than once."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of one job, as its file says."""

    work: str
    """Which stage, with which inputs."""
    is_running: bool = True
    deaths: int = 0
    """How often its process ended since it last came further than before."""
    done: int = 0
    """How far it came at most, in the stage's own steps."""


class StageDeaths:
    """How often processes of one host ended during its stages."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self.root, self.journal = folder / RUNNING, journal

    def begin(self, job_id: str, work: Work) -> None:
        """Note that a stage runs from now on.  Raises ProcessDied where its process ended more than once.

        One that comes further each time is not what ends it, and is not held up.
        """
        before = self._read(job_id)
        run = before if before is not None and before.work == work.id else Run(work=work.id)
        if run is before and run.is_running:
            done = self._done(job_id, work)
            deaths = run.deaths + 1 if done <= run.done else 1
            run = Run(work=work.id, is_running=False, deaths=deaths, done=max(done, run.done))
            if deaths > SILENT_DEATHS:
                self._write(job_id, run)
                raise ProcessDied(
                    f"this host's process ended {deaths} times during {work.inputs.stage}: "
                    "was it killed for its memory, or did the machine go down? See the kernel's log there"
                )
        self._write(job_id, Run(work=work.id, deaths=run.deaths, done=run.done))

    def end(self, job_id: str) -> None:
        """Note that a stage has ended, well or not."""
        with suppress(OSError):  # a full disk: it is found as one that was killed, once
            self._path(job_id).unlink(missing_ok=True)

    def stop(self) -> None:
        """Note that the processes are stopped on purpose, once they are; remove what is old."""
        with suppress(OSError):
            for path in self.root.glob("*.json"):
                if time.time() - path.stat().st_mtime > KEPT_S:
                    path.unlink()
                elif (run := self._read(path.stem)) is not None and run.is_running:
                    self._write(path.stem, msgspec.structs.replace(run, is_running=False))

    def _done(self, job_id: str, work: Work) -> int:
        """Return how far a stage came under whichever lease."""
        progress = self.journal.progress_last(job_id)
        return progress.done if progress is not None and progress.stage == work.inputs.stage else 0

    def _path(self, job_id: str) -> Path:
        return self.root / f"{job_id}.json"

    def _read(self, job_id: str) -> Run | None:
        try:
            return msgspec.json.decode(self._path(job_id).read_bytes(), type=Run)
        except (FileNotFoundError, UnicodeDecodeError, msgspec.DecodeError):
            return None

    def _write(self, job_id: str, run: Run) -> None:
        self.root.mkdir(exist_ok=True)
        write_file(self._path(job_id), msgspec.json.encode(run))
