"""One child of the supervisor: what to run, how to tell that it works, how it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
LIBC: Final = ctypes.CDLL(None, use_errno=True)

STEADY_S: Final = 10.0
"""A child that lived this long has its failures forgotten."""

KILL_WAIT_S: Final = 5.0
"""A killed process that lives longer waits for a disk that hangs: a stop goes on without it."""

EXITS_KEPT: Final = 20
"""Newest of a child's exits whose times are kept."""

HOPELESS: Final = 78
"""Exit code (EX_CONFIG) of a step that can never succeed; its last line says why."""

READY_FD: Final = "POOLSITE_READY_FD"
"""Environment variable with a descriptor: the child writes a byte there when it is ready."""

PUBLIC: Final = frozenset({"PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "PGPORT"})
"""Variables, with those that begin with LC_, that a program under another account needs of ours."""


def environment_of(account: tuple[int, int] | None) -> dict[str, str]:
    """Return what a program inherits: no secret under another account, which could read it in /proc."""
    if account is None:
        return dict(os.environ)
    return {name: value for name, value in os.environ.items() if name in PUBLIC or name.startswith("LC_")}


def pause_growing(failures: int) -> float:
    """Return the wait before a restart: none, then 0.5, 1, 2 … 15 s."""
    return 0.0 if failures == 0 else min(0.5 * 2.0 ** (failures - 1), 15.0)


def pause_patient(failures: int) -> float:
    """Return PostgreSQL's pause: every 0.5 s for the first minute (old backends must go), then growing."""
    return 0.5 if failures < 120 else pause_growing(failures - 119)


def pause_even(_failures: int) -> float:
    """Return the wait of a step that is asked again until it holds."""
    return 1.0


def ready_after(seconds: float) -> Callable[[Slot], bool]:
    """Return a check that a child is ready once it has run so long."""
    return lambda slot: time.monotonic() - slot.started_at >= seconds


def accepts(host: str, port: int) -> Callable[[Slot], bool]:
    """Return a check that a child is ready once its port accepts a connection."""

    def probe(_slot: Slot) -> bool:
        try:
            socket.create_connection((host, port), timeout=0.2).close()
        except OSError:
            return False
        return True

    return probe


@dataclass(frozen=True, kw_only=True)
class Child:
    """What to run and how to treat it: a row of the pool's table."""

    name: str
    argv: Sequence[str | Path] | Callable[[], Sequence[str | Path]]
    """The command; a function where it follows from what an earlier step wrote."""
    after: frozenset[str] = frozenset()
    """Names of children that must have been ready once before this one starts."""
    env: dict[str, str] = field(default_factory=dict)
    account: tuple[int, int] | None = None
    """User and group to run as; None keeps ours."""
    cwd: Path | None = None
    once: bool = False
    """A step that must succeed, such as migrate, instead of a process that stays."""
    tries: int | None = None
    """How often a step may fail before the pool gives up; None: asked again for ever."""
    ready: Callable[[Slot], bool] | None = None
    """Asked every tick, must not block; None: the child says so itself (READY_FD)."""
    prepare: Callable[[], None] | None = None
    """Done before each start."""
    output: Path | None = None
    """Where standard output goes if not to the log."""
    stop_signal: signal.Signals = signal.SIGTERM
    """PostgreSQL needs SIGINT: its SIGTERM waits for every client to leave."""
    stop_s: float = 10.0
    orphan_signal: signal.Signals = signal.SIGKILL
    """Sent by the kernel when the supervisor dies; a Celery worker would finish its tasks on SIGTERM."""
    pause: Callable[[int], float] = pause_growing
    pass_fds: tuple[int, ...] = ()
    sends_heartbeats: bool = False
    """Whether it writes heartbeats, so that /readyz waits for it."""

    def command(self) -> list[str]:
        """Return the words to run now."""
        return [str(part) for part in (self.argv() if callable(self.argv) else self.argv)]


class Slot:
    """A child's present: its process, its failures, when it may start again."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self.is_ready = self.has_been_ready = self.is_hopeless = self.is_stopping = False
        self.born_at = time.monotonic()
        self.started_at = self.start_after = self.stop_sent_at = 0.0
        self.failures = self.restarts = self.tries = 0
        self.last_exit: int | None = None
        self.exits: deque[float] = deque(maxlen=EXITS_KEPT)
        """When it ended unasked or did not start, in seconds since 1970."""
        self.ready_pipe: int | None = None
        self.log_begin: int | None = None
        """Length of its log when it was first started: what stands before is of an earlier run."""

    def start(self, *, log_folder: Path, lease: int) -> None:
        """Fork and exec; output goes to a file, since a pipe would break when the supervisor dies."""
        child = self.child
        self.started_at = time.monotonic()
        with ExitStack() as opened:
            try:
                log = opened.enter_context((log_folder / f"{child.name}.log").open("ab", buffering=0))
            except OSError:  # no room for a new file: a disk that is full now need not be so later
                self.last_exit = None
                self.fail(self.started_at)
                return
            if self.log_begin is None:
                self.log_begin = log.seek(0, os.SEEK_END)
            try:
                if child.prepare is not None:
                    child.prepare()
                self._spawn(log.fileno(), lease)
            except (
                OSError,
                ValueError,
            ) as error:  # no such program, no memory, no room; a cut file of an earlier step
                with suppress(OSError):
                    log.write(f"cannot start {child.name}: {error}\n".encode())
                self.last_exit = None
                self.fail(self.started_at)

    def _spawn(self, log: int, lease: int) -> None:
        child, parent = self.child, os.getpid()

        def tie_to_parent() -> None:  # runs after setuid, which would have cleared the signal
            LIBC.prctl(PR_SET_PDEATHSIG, int(child.orphan_signal))
            if os.getppid() != parent:  # the supervisor died between fork and prctl
                os._exit(1)

        uid, gid = child.account or (None, None)
        self.ready_pipe_close()
        self.ready_pipe, child_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        out = (
            log
            if child.output is None
            else os.open(child.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        )
        try:
            self.process = subprocess.Popen(  # noqa: S603  # our own table of commands
                child.command(),
                env={**environment_of(child.account), **child.env, READY_FD: str(child_end)},
                cwd=child.cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone
                pass_fds=(*child.pass_fds, lease, child_end),
                user=uid,
                group=gid,
                extra_groups=None if gid is None else [],
                preexec_fn=tie_to_parent,  # safe: the supervisor has one thread
            )
        finally:
            os.close(child_end)
            if out != log:
                os.close(out)

    @property
    def was_killed(self) -> bool:
        """Return whether a signal ended it, which says nothing of whether it would have succeeded."""
        return self.last_exit is not None and self.last_exit < 0

    def is_due(self, now: float) -> bool:
        """Return whether it should be started now, as far as it alone decides."""
        is_done = self.child.once and self.is_ready
        return self.process is None and not is_done and not self.is_hopeless and now >= self.start_after

    def poll(self, now: float) -> bool:
        """Notice an exit or readiness; True if something changed."""
        if self.process is None:
            return False
        code = self.process.poll()
        if code is None:
            was_ready = self.is_ready
            self.is_ready = was_ready or (not self.child.once and self._is_ready())
            self.has_been_ready |= self.is_ready
            return self.is_ready != was_ready
        self.process, self.last_exit = None, code
        self.ready_pipe_close()
        self.is_ready = self.child.once and code == 0
        self.has_been_ready |= self.is_ready
        if not self.is_ready:
            self.fail(now)
        return True

    def _is_ready(self) -> bool:
        if self.child.ready is not None:
            return self.child.ready(self)
        with suppress(BlockingIOError):  # not written yet
            return self.ready_pipe is not None and os.read(self.ready_pipe, 1) != b""
        return False

    def fail(self, now: float) -> None:
        """Count one more failure and set when to try again."""
        self.failures = 0 if now - self.started_at > STEADY_S else self.failures
        self.start_after = now + self.child.pause(self.failures)
        self.failures += 1
        self.restarts += 1
        self.exits.append(time.time())
        self.tries += not self.was_killed
        is_spent = self.child.tries is not None and self.tries >= self.child.tries
        self.is_hopeless = self.child.once and (self.last_exit == HOPELESS or is_spent)

    def stop_step(self, now: float) -> None:
        """Send the stop signal once; kill what has not ended `stop_s` later; leave what outlives that."""
        if self.process is None:
            return
        if not self.is_stopping:
            self.is_stopping, self.stop_sent_at = True, now
            self.process.send_signal(self.child.stop_signal)
        elif now - self.stop_sent_at > self.child.stop_s:
            self.process.kill()
        code = self.process.poll()
        if code is not None or now - self.stop_sent_at > self.child.stop_s + KILL_WAIT_S:
            self.last_exit, self.process, self.is_ready = code, None, False
            self.ready_pipe_close()

    def ready_pipe_close(self) -> None:
        """Forget the descriptor on which the child would say that it is ready."""
        if self.ready_pipe is not None:
            os.close(self.ready_pipe)
            self.ready_pipe = None
