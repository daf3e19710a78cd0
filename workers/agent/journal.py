"""What a sealing host keeps of its jobs, so that any of its processes may be killed at any line.

`jobs/<job>/work.json` says what is to be done, written by the agent before it sends the hint;
`jobs/<job>/<work>.result.json` what came of it, written by the Celery worker in one step, and used by no
stage that the sector was set back to after that;
`jobs/<job>/lock` is held by whoever works, so that a stage is never run twice at once and everybody
can see whether anybody is at it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from poolsite.wire.codec import BadWire, Document, Int, Text, document_decode, document_encode
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.job_reports import Level, Progress, StageOutputs
from workers.stage_processors import SEALING
from workers.storage.files import write_file
from workers.storage.store import path_remove

WORK: Final = "work.json"
LOCK: Final = "lock"
REMOVED: Final = "removed"
ENDED: Final = "ended"
"""Mark of a job whose sector was aborted."""
PROGRESS: Final = "progress.json"
LOCK_CHECK_S: Final = 0.02
"""Between two looks at a lock that somebody else holds."""


class Work(Document, frozen=True, kw_only=True):
    """One stage of one job under one lease."""

    token: Int
    seq: Int = 0
    """Number of the last event that the console has: after a stage's own one it is done again only if a
    person or the chain has set the sector back."""
    inputs: SealInputs
    verifies: bool = False
    """Whether PC2 ends with a look at what it made."""
    ticket_end_s: Int = 0
    """Unix time by which the replica of its ticket must be there; 0: not known, or at any time."""
    ticket_fresh_s: Int = 0
    """Seconds that are left of a ticket when it is drawn; 0: not known."""

    @property
    def id(self) -> str:
        """Name what is computed: the same stage with the same inputs after the same events, whoever asks."""
        text = json.dumps([self.seq, document_encode(self.inputs)], sort_keys=True)
        return f"{self.inputs.stage.lower()}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class Failure(Document, frozen=True, kw_only=True):
    """Why a stage ended badly; counts only for the lease under which it happened."""

    token: Int
    level: Level
    error: Text
    needs_ticket: bool = False


class Journal:
    """The folder `jobs/` of a sealing host."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "jobs"
        self.no_job_begins = threading.Lock()
        """Held while it must stay as it is which sectors have a job."""

    def folder(self, job_id: str) -> Path:
        """Return a job's folder."""
        return self.root / job_id

    def work_write(self, job_id: str, work: Work) -> None:
        """Write down what is to be done next."""
        folder = self.folder(job_id)
        with self.no_job_begins:
            folder.mkdir(exist_ok=True)
            _write(folder / WORK, document_encode(work))

    def work_read(self, job_id: str) -> Work | None:
        """Read what is to be done; None if there is nothing."""
        data = _read(self.folder(job_id) / WORK)
        return None if data is None else _decoded(Work, data)

    def outputs_write(self, job_id: str, work_id: str, outputs: StageOutputs) -> None:
        """Write down a stage's results, in one step."""
        _write(self.folder(job_id) / f"{work_id}.result.json", document_encode(outputs))

    def outputs_read(self, job_id: str, work_id: str) -> StageOutputs | None:
        """Read a stage's results; None if there are none yet."""
        data = _read(self.folder(job_id) / f"{work_id}.result.json")
        return None if data is None else _decoded(StageOutputs, data)

    def outputs_drop(self, job_id: str, work_id: str) -> None:
        """Delete a stage's results: it is done again when it is asked for again."""
        (self.folder(job_id) / f"{work_id}.result.json").unlink(missing_ok=True)

    def failure_write(self, job_id: str, work_id: str, failure: Failure) -> None:
        """Write down why a stage ended badly."""
        _write(self.folder(job_id) / f"{work_id}.failure.json", document_encode(failure))

    def failure_read(self, job_id: str, work_id: str, *, token: int) -> Failure | None:
        """Read why a stage ended badly under this lease; None if it did not."""
        data = _read(self.folder(job_id) / f"{work_id}.failure.json")
        failure = None if data is None else _decoded(Failure, data)
        return failure if failure is not None and failure.token == token else None

    def progress_write(self, job_id: str, progress: Progress) -> None:
        """Write down how far a stage is, without waiting for the disk: nothing is lost if it says less."""
        _write(self.folder(job_id) / PROGRESS, document_encode(progress), is_awaited=False)

    def progress_read(self, job_id: str, *, token: int, stage: str) -> Progress | None:
        """Read how far a stage is; None if nobody has said."""
        progress = self.progress_last(job_id)
        fits = progress is not None and (progress.token, progress.stage) == (token, stage)
        return progress if fits else None

    def progress_last(self, job_id: str) -> Progress | None:
        """Read how far the last stage that said so came, under whichever lease."""
        data = _read(self.folder(job_id) / PROGRESS)
        progress: Progress | None = None if data is None else _decoded(Progress, data)
        return progress

    @contextmanager
    def at_work(self, job_id: str, *, patience_s: float = 0.0) -> Iterator[bool]:
        """Lock a job while working on it; yields False if somebody else does.

        The lock goes with the process, however that ends.  A little patience tells one who works from
        one who only looks whether anybody works.
        """
        folder = self.folder(job_id)
        folder.mkdir(exist_ok=True)
        with (folder / LOCK).open("a") as handle:
            yield _locked(handle.fileno(), until=time.monotonic() + patience_s)

    def is_worked_on(self, job_id: str) -> bool:
        """Return whether a process works on a job now."""
        with self.at_work(job_id) as is_free:
            return not is_free

    def removed_write(self, job_id: str) -> None:
        """Mark a job as over for ever."""
        folder = self.folder(job_id)
        folder.mkdir(exist_ok=True)
        write_file(folder / REMOVED, b"")

    def is_removed(self, job_id: str) -> bool:
        """Return whether a job's sector was aborted: nothing of it is worked on any more."""
        return (self.folder(job_id) / REMOVED).exists()

    def stage_end(self, job_id: str, *, token: int) -> None:
        """Write down that a stage is to end that began under this lease, or an earlier one."""
        folder = self.folder(job_id)
        if folder.exists():
            write_file(folder / ENDED, str(token).encode())

    def is_ended(self, job_id: str, *, token: int) -> bool:
        """Return whether a stage that began under this lease is to end."""
        try:
            return int((self.folder(job_id) / ENDED).read_text()) >= token
        except (FileNotFoundError, ValueError):
            return False

    def clear(self, job_id: str) -> None:
        """Delete the record of a job that was aborted, all but its mark."""
        for path in self.folder(job_id).iterdir():
            if path.name not in (REMOVED, LOCK):
                path_remove(path)

    def forget(self, job_id: str) -> None:
        """Delete the record of a job that is over."""
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def newest(self, count: int) -> list[str]:
        """Return the jobs whose record changed last, the newest first."""
        folders = [(path.stat().st_mtime_ns, path.name) for path in self.root.iterdir() if path.is_dir()]
        return [name for _, name in sorted(folders, reverse=True)[:count]]

    def unfinished(self) -> int:
        """Count the jobs that have a record and were not aborted."""
        return len(self.unfinished_jobs())

    def unfinished_jobs(self) -> list[str]:
        """Return them."""
        return [
            path.name
            for path in self.root.iterdir()
            if (path / WORK).exists() and not (path / REMOVED).exists()
        ]

    def jobs(self) -> list[str]:
        """Return the jobs that have a record."""
        return sorted(path.name for path in self.root.iterdir() if path.is_dir())


def journal_open(folder: Path) -> Journal:
    """Return the journal of a host that starts, its folders made: not later, when its disk may be gone."""
    journal = Journal(folder)
    for root in (journal.root, folder / SEALING):
        root.mkdir(parents=True, exist_ok=True)
    return journal


def _locked(descriptor: int, *, until: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(LOCK_CHECK_S)
        else:
            return True


def _write(path: Path, data: dict[str, Any], *, is_awaited: bool = True) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with fresh.open("w") as handle:
        json.dump(data, handle)
        if is_awaited:
            handle.flush()
            os.fsync(handle.fileno())
    fresh.replace(path)


def _read(path: Path) -> object | None:
    try:
        data: object = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # broken ones are not ours: we replace whole files only
        return None
    return data


def _decoded(kind: type[Any], data: object) -> Any:
    try:
        return document_decode(kind, data)
    except BadWire:  # of an older version of this program: made again
        return None
