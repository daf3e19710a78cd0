"""The parent's side of the processor protocol: starts children, talks to them, restarts the dead.

A child is any program that speaks the protocol, so a user's own binary can stand for a stage.
Source: spec sealing section 2.4; damocles-worker vc-processors/src/core/ext/producer.rs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from workers.processors.admission import Admission, Place
from workers.processors.errors import (
    BadInput,
    CallGivenUp,
    ChildLost,
    ChildNotReady,
    ChildTimeout,
    error_of,
)
from workers.processors.parallel import Progress, no_progress
from workers.processors.stages import (
    FIELD_NAMES,
    Stage,
    foreign_task_encode,
    output_decode,
    stage_named,
    task_encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger(__name__)

READY_S = 300.0
"""How long a child may take until its first line: a cold machine compiles its kernels before."""
SILENCE_S = 900.0
"""How long a request may go without an answer or progress."""
RESTART_PAUSE_S = 3.0
"""Least time between two starts of one child."""
CHECK_EVERY_S = 5.0
"""How often `keep_running` looks for a child that has ended."""
STOP_S = 5.0
"""How long a child may take to leave after its stdin was closed."""
AVOID_S = 60.0
"""How long a child that did not get ready is asked only where the others of its stage are busy."""


def no_wait(_seconds: float) -> None:
    """Note nothing."""


def always() -> bool:
    """Return that an answer is wanted."""
    return True


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start one child."""

    stages: tuple[str, ...]
    """Stages that it runs."""
    command: tuple[str, ...] = ()
    """The program and its arguments; empty: ours."""
    around: tuple[str, ...] = ()
    """What starts the program on certain cores, as ("taskset", "-c", "0-7")."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the parent's."""
    inherits_environment: bool = True
    """False: `environment` is all of it."""
    capacity: int = 0
    """Tasks at a time; 0: any number."""
    locks: tuple[str, ...] = ()
    """Names that a task holds while it runs, of the pool's locks."""
    weight: int = 1
    restarts: bool = True
    """False: once it has ended by itself it stays so."""
    niceness: int = 0
    """By how much it gives way to others on this machine's cores, as `nice` counts."""
    ready_s: float = READY_S
    silence_s: float = SILENCE_S

    def argv(self) -> list[str]:
        """Return the command line."""
        ours = (sys.executable, "-m", "workers.processors", *self.stages)
        return [*self.around, *(self.command or ours)]

    def greetings(self) -> set[str]:
        """Return the first lines that mean the child is ready."""
        names = {"+".join(self.stages), *(FIELD_NAMES.get(stage, stage) for stage in self.stages[:1])}
        return {f"{name} processor ready" for name in names if self.command or name == "+".join(self.stages)}


@dataclass(slots=True)
class _Call:
    answer: Future[Any]
    progress: Progress
    seen: float


class ProcessorChild:
    """One running child and the requests it has in flight."""

    def __init__(self, spec: ChildSpec, *, log: IO[bytes] | None = None) -> None:
        self._spec = spec
        self._calls: dict[int, _Call] = {}
        self._lock = threading.Lock()
        self._next_id = 1
        self._is_left = False
        self.was_ended = False
        """Whether we have killed it: it did not end by itself."""
        self._ready: Future[None] = Future()
        self._process = subprocess.Popen(  # noqa: S603  # the host's own configuration names the program
            spec.argv(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**(os.environ if spec.inherits_environment else {}), **spec.environment},
            start_new_session=True,
        )
        if spec.niceness:
            with contextlib.suppress(OSError):  # it has ended already, or may not be slowed
                os.setpriority(os.PRIO_PROCESS, self._process.pid, os.nice(0) + spec.niceness)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Return the child's process id."""
        return self._process.pid

    @property
    def is_there(self) -> bool:
        """Return whether the process has not ended."""
        return self._process.poll() is None

    @property
    def is_alive(self) -> bool:
        """Return whether the child may still be asked; one that was told to end may be stuck in its disk."""
        return not self._is_left and self.is_there

    def wait_ready(self) -> None:
        """Wait for the first line.  Raises ChildNotReady."""
        try:
            self._ready.result(self._spec.ready_s)
        except FutureTimeout:
            self.kill()
            raise ChildNotReady("timeout exceeded before child get ready") from None

    def call(
        self,
        stage: Stage,
        task: Any,
        *,
        progress: Progress = no_progress,
        is_wanted: Callable[[], bool] = always,
    ) -> Any:
        """Run one stage.  Raises the child's error, ChildLost, ChildTimeout, CallGivenUp once not wanted."""
        call = _Call(Future(), progress, time.monotonic())
        value = foreign_task_encode(task) if self._spec.command else task_encode(task)
        with self._lock:
            if self._is_left:
                raise ChildLost(f"{stage.name}: the child is about to end")
            number, self._next_id = self._next_id, self._next_id + 1
            self._calls[number] = call
        request = {"id": number, "stage": stage.name, "task": value}
        self._send(json.dumps(request, separators=(",", ":")) + "\n")
        return output_decode(stage, task, self._wait(number, call, stage=stage, is_wanted=is_wanted))

    def _send(self, line: str) -> None:
        stdin = self._process.stdin
        try:
            if stdin is None:
                raise BrokenPipeError
            with self._lock:
                stdin.write(line.encode())
                stdin.flush()
        except (OSError, ValueError):
            self._lose()

    def _wait(self, number: int, call: _Call, *, stage: Stage, is_wanted: Callable[[], bool]) -> Any:
        while True:
            if not is_wanted():
                self._leave(number)
                raise CallGivenUp(f"{stage.name}: given up")
            left = call.seen + self._spec.silence_s - time.monotonic()
            if left <= 0:
                self.kill()
                raise ChildTimeout(f"{stage.name}: no heartbeat for {self._spec.silence_s:.0f} s")
            try:
                return call.answer.result(min(left, 1.0))
            except FutureTimeout:
                continue

    def _leave(self, number: int) -> None:
        """Forget a call that may hang; the child gets no new ones, and ends with the last of its others."""
        with self._lock:
            self._is_left = True
            self._calls.pop(number, None)
            is_idle = not self._calls
        if is_idle:
            self.kill()

    def _read(self) -> None:
        stdout = self._process.stdout
        if stdout is None:
            return
        with stdout:
            self._listen(stdout)
        self._process.wait()
        self._close_stdin()
        self._lose()

    def _listen(self, stdout: IO[bytes]) -> None:
        first = stdout.readline().decode(errors="replace").strip()
        if first in self._spec.greetings():
            self._ready.set_result(None)
            for line in stdout:
                self._take(line)
        elif not first:
            self._ready.set_exception(ChildNotReady(f"child process exited: {'+'.join(self._spec.stages)}"))
        else:
            self._ready.set_exception(ChildNotReady(f"unexpected first line: {first[:100]}"))
            self.kill()

    def _take(self, line: bytes) -> None:
        try:
            answer = json.loads(line)
            number = answer["id"]
        except (ValueError, KeyError, TypeError):
            sys.stderr.write(f"processor {self.pid}: bad line {line[:100]!r}\n")
            return
        with self._lock:
            call = self._calls.get(number)
            if call is None:
                return
            call.seen = time.monotonic()
            if "progress" not in answer:
                del self._calls[number]
            is_over = self._is_left and not self._calls
        if "progress" in answer:
            call.progress(int(answer["progress"]["done"]), int(answer["progress"]["total"]))
        elif answer.get("err_msg") is not None:
            kind, level = answer.get("err_kind"), answer.get("err_level")
            call.answer.set_exception(error_of(kind, level, message=str(answer["err_msg"])))
        else:
            call.answer.set_result(answer.get("output"))
        if is_over:
            self.kill()

    def _lose(self) -> None:
        with self._lock:
            calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.answer.set_exception(ChildLost(f"child process exited: {'+'.join(self._spec.stages)}"))

    def kill(self) -> None:
        """End the child and everything it started, at once; its calls do not wait until it is gone."""
        self._is_left = True
        if self.is_there:
            self.was_ended = True
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._lose()

    def stop(self) -> None:
        """End the child; kill it if it stays."""
        self._close_stdin()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(STOP_S)

    def _close_stdin(self) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:
                pass  # the child was gone before it read everything


class ProcessorPool:
    """The children of one host: every task goes to a child of its stage, started at its first use.

    Of several children of one stage the least loaded one that is free gets it.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        admission: Admission | None = None,
        open_log: Callable[[ChildSpec], IO[bytes]] | None = None,
    ) -> None:
        self._specs = tuple(specs)
        self._places: dict[str, list[Place]] = {}
        for number, spec in enumerate(specs):
            place = Place(number=number, capacity=spec.capacity, locks=spec.locks, weight=spec.weight)
            for name in spec.stages:
                self._places.setdefault(name, []).append(place)
        self._admission = admission or Admission()
        self._open_log = open_log
        self._children: dict[int, ProcessorChild] = {}
        """By the number of their spec, as the next four."""
        self._started: dict[int, float] = {}
        self._failed: dict[int, float] = {}
        """When a child did not get ready."""
        self._starting = [threading.Lock() for _ in specs]
        """One for each child: a start may have to pause, and no other child's caller waits for that."""
        self._leaving: list[ProcessorChild] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the stages that can be called."""
        return tuple(self._places)

    def call(
        self,
        stage: str,
        task: Any,
        *,
        progress: Progress = no_progress,
        is_wanted: Callable[[], bool] = always,
        on_wait: Callable[[float], None] = no_wait,
    ) -> Any:
        """Run a stage in a child of it, once one is free; a dead child is started again first.

        `on_wait` hears for how many seconds it waited for that, for locks and for its turn to start.

        A call that is not wanted any more ends at once, and the child with it: it may hang.  What else runs
        there goes on to its end, new calls have a new child.
        Raises the stage's own ProcessorError, or ChildNotReady, ChildLost, ChildTimeout, CallGivenUp (all
        temporary).
        """
        if not is_wanted():
            raise CallGivenUp(f"{stage}: given up")
        places, asked = self._usable(stage), time.monotonic()
        with self._admission.admitted(stage, places, is_wanted=is_wanted, avoided=self._avoided) as place:
            on_wait(time.monotonic() - asked)
            child = self._child(place.number)
            return child.call(stage_named(stage), task, progress=progress, is_wanted=is_wanted)

    def precompile(self) -> None:
        """Start all children and wait until their kernels are compiled.  Raises ChildNotReady."""
        for number in range(len(self._specs)):
            self._child(number)

    def keep_running(self) -> None:
        """Start all children, and whichever has ended again, until the pool is closed.

        A host whose kernels are not compiled claims nothing, so no stage would start a child that was
        killed, or met a full disk, while it compiled.
        """
        while not self._closed.is_set():
            for number, spec in enumerate(self._specs):
                if self._is_over(number):
                    continue
                try:
                    self._child(number)
                except (ChildNotReady, ChildLost, OSError) as error:
                    if not self._closed.is_set():
                        log.warning("%s: %s", "+".join(spec.stages), error)
            self._closed.wait(CHECK_EVERY_S)

    def _usable(self, stage: str) -> list[Place]:
        """Return the children of a stage that may still be asked.  Raises BadInput, ChildLost."""
        places = self._places.get(stage)
        if not places:
            raise BadInput(f"no processor for stage {stage}")
        usable = [place for place in places if not self._is_over(place.number)]
        if not usable:
            raise ChildLost(
                f"{stage}: its processor has ended and auto_restart is false: start the host again"
            )
        return usable

    def _is_over(self, number: int) -> bool:
        """Return whether a child has ended by itself that is not to be started again."""
        child = self._children.get(number)
        if child is None or self._specs[number].restarts:
            return False
        return not child.is_there and not child.was_ended

    def _avoided(self) -> frozenset[int]:
        now = time.monotonic()
        return frozenset(number for number, at in list(self._failed.items()) if now - at < AVOID_S)

    def _child(self, number: int) -> ProcessorChild:
        with self._starting[number]:
            child = self._children.get(number)
            if child is None or not child.is_alive:
                child = self._start(number, child)
        try:
            child.wait_ready()
        except ChildNotReady:
            self._failed[number] = time.monotonic()
            raise
        self._failed.pop(number, None)
        return child

    def _start(self, number: int, last: ProcessorChild | None) -> ProcessorChild:
        spec = self._specs[number]
        pause = self._started.get(number, -RESTART_PAUSE_S) + RESTART_PAUSE_S - time.monotonic()
        self._closed.wait(max(pause, 0))
        with self._lock:
            if self._closed.is_set():
                raise ChildLost("the pool is closed")
            self._leaving = [one for one in (*self._leaving, last) if one is not None and one.is_there]
            self._started[number] = time.monotonic()
            try:
                child = ProcessorChild(spec, log=None if self._open_log is None else self._open_log(spec))
            except OSError:
                self._failed[number] = time.monotonic()
                raise
            self._children[number] = child
        return child

    def close(self) -> None:
        """Stop all children."""
        with self._lock:
            self._closed.set()
            children, self._children = list(self._children.values()), {}
            leaving, self._leaving = self._leaving, []
        for child in leaving:
            child.kill()
        for child in children:
            child.stop()
