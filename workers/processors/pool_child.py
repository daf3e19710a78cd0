"""The parent's side of the processor protocol: one child, started, asked and ended.

A child is any program that speaks the protocol, so a user's own binary can stand for a stage.
Source: ipfs-force-community/damocles damocles-worker/vc-processors/src/core/ext/producer.rs.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import IO, Any

from workers.processors.errors import CallGivenUp, ChildLost, ChildNotReady, ChildTimeout, error_of
from workers.processors.layer_drives import BATCH_MINUTES
from workers.processors.parallel import Progress, no_progress
from workers.processors.stages import FIELD_NAMES, Stage, foreign_task_encode, output_decode, task_encode

READY_S = 300.0
"""How long a child may take until its first line: a cold machine compiles its kernels before."""
SILENCE_S = 900.0
"""How long a request may go without an answer or progress, if its program tells any."""
RESTART_PAUSE_S = 3.0
"""Least time between two starts of one child."""
STAGES_NAMED = 3
"""Of a child that has more, an error says how many: the sector's row says which of them failed."""
END_S = 1.0
"""How long a child that has closed its output may take until its exit code is known."""
SECTORS_VARIABLE = "POOLSITE_PROCESSOR_SECTORS"
"""Tells a program how many sectors a request may have, if its first line says that it takes several."""
STOP_S = 5.0
"""How long a child may take to leave after its stdin was closed."""


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
    sectors: int = 1
    """Most sectors of one request, if its program takes several."""
    wait_s: float = 60.0 * BATCH_MINUTES
    """After so long a request begins though it has fewer."""
    niceness: int = 0
    """By how much it gives way to others on this machine's cores, as `nice` counts."""
    ready_s: float = READY_S
    silence_s: float | None = None
    """How long a request may go without an answer or progress; None: as long as `patience_s` says."""

    def patience_s(self, *, has_told: bool = False) -> float:
        """Return the longest silence; an own program that has told no progress may take any time."""
        if self.silence_s is not None:
            return self.silence_s
        return math.inf if self.command and not has_told else SILENCE_S

    def argv(self) -> list[str]:
        """Return the command line."""
        own = (sys.executable, "-m", "workers.processors", *self.stages)
        return [*self.around, *(self.command or own)]

    def greetings(self) -> set[str]:
        """Return the first lines that mean the child is ready."""
        names = {"+".join(self.stages), *(FIELD_NAMES.get(stage, stage) for stage in self.stages[:1])}
        return {f"{name} processor ready" for name in names if self.command or name == "+".join(self.stages)}

    def sectors_of(self, first: str) -> int | None:
        """Return how many sectors a request may have, by a child's first line; None: it is no greeting."""
        greeting, brace, rest = first.partition(" {")
        if greeting not in self.greetings():
            return None
        if not brace or self.sectors == 1:
            return 1
        try:
            sectors = json.loads(brace + rest).get("sectors", 1)
        except ValueError:
            return None
        return max(min(sectors, self.sectors), 1) if type(sectors) is int else None


@dataclass(slots=True)
class _Call:
    answer: Future[Any]
    progress: Progress
    seen: float
    has_told: bool = False
    """Whether the child has told progress."""
    batch: frozenset[int] = frozenset()
    """The calls of its request, where that has several sectors: one that goes on tells that all do."""


@dataclass(frozen=True, slots=True)
class StartedCall:
    """A call that a child has been sent."""

    child: ProcessorChild
    number: int
    stage: Stage
    task: Any
    call: _Call

    def wait(self, *, is_wanted: Callable[[], bool]) -> Any:
        """Return its output.  Raises as `ProcessorChild.call`."""
        return output_decode(self.stage, self.task, self.child.answer(self, is_wanted=is_wanted))


class ProcessorChild:
    """One running child and the requests it has in flight."""

    def __init__(self, spec: ChildSpec, *, log: IO[bytes] | None = None) -> None:
        self._spec = spec
        self._calls: dict[int, _Call] = {}
        self._lock = threading.Lock()
        self._next_id = 1
        self._is_left = False
        self.sectors = 1
        """Most sectors of one request, once it is ready."""
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
        [started] = self.begin(stage, [(task, progress)])
        return started.wait(is_wanted=is_wanted)

    def begin(self, stage: Stage, tasks: Sequence[tuple[Any, Progress]]) -> list[StartedCall]:
        """Send the tasks of several sectors as one request: a line that names them, and a line for each.

        Raises ChildLost.
        """
        with self._lock:
            if self._is_left:
                raise ChildLost(f"{stage.name}: the child process is about to exit")
            if len(tasks) > self.sectors:  # it was started again meanwhile, and its program is another one
                raise ChildLost(f"{stage.name}: its program takes {self.sectors} sectors in a request now")
            numbers = range(self._next_id, self._next_id + len(tasks))
            self._next_id, batch = numbers.stop, frozenset(numbers if len(tasks) > 1 else ())
            calls = [_Call(Future(), progress, time.monotonic(), batch=batch) for _, progress in tasks]
            self._calls |= dict(zip(numbers, calls, strict=True))
        if batch:
            self._send({"batch": list(numbers)})
        for number, (task, _) in zip(numbers, tasks, strict=True):
            try:
                value = foreign_task_encode(task) if self._spec.command else task_encode(task)
            except Exception as error:  # noqa: BLE001  # it is the sector's own: the others go on
                self._refuse(number, error)
            else:
                self._send({"id": number, "stage": stage.name, "task": value})
        return [
            StartedCall(self, number, stage, task, call)
            for number, (task, _), call in zip(numbers, tasks, calls, strict=True)
        ]

    def _refuse(self, number: int, error: Exception) -> None:
        """End a call whose task could not be sent; a batch does not wait for it."""
        with self._lock:
            call = self._calls.pop(number, None)
        if call is not None:
            call.answer.set_exception(error)
            if call.batch:
                self._send({"cancel": number})

    def _send(self, message: dict[str, Any]) -> None:
        stdin, line = self._process.stdin, json.dumps(message, separators=(",", ":")) + "\n"
        try:
            if stdin is None:
                raise BrokenPipeError
            with self._lock:
                stdin.write(line.encode())
                stdin.flush()
        except (OSError, ValueError):
            self._lose()

    def answer(self, started: StartedCall, *, is_wanted: Callable[[], bool]) -> Any:
        """Wait for the answer of a call, and return its value.  Raises as `call`."""
        call, stage = started.call, started.stage
        while True:
            if not is_wanted():
                self._leave(started)
                raise CallGivenUp(f"{stage.name}: cancelled")
            patience_s = self._spec.patience_s(has_told=call.has_told)
            left = call.seen + patience_s - time.monotonic()
            if left <= 0:
                self.kill()
                raise ChildTimeout(f"{stage.name}: no heartbeat for {patience_s:.0f} s")
            try:
                return call.answer.result(min(left, 1.0))
            except FutureTimeout:
                continue  # a second is over: whether it is still wanted is looked at again

    def _leave(self, started: StartedCall) -> None:
        """Forget a call that may hang; the child gets no new ones, and ends with the last of its others.

        Where other sectors of its request go on, the child is told to leave this one out instead.
        """
        with self._lock:
            self._calls.pop(started.number, None)
            has_others = not started.call.batch.isdisjoint(self._calls)
            self._is_left |= not has_others
            is_idle = not self._calls
        if has_others:
            self._send({"cancel": started.number})
        elif is_idle:
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
        sectors = self._spec.sectors_of(first)
        if sectors is not None:
            self.sectors = sectors
            self._ready.set_result(None)
            for line in stdout:
                self._take(line)
        elif not first:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it has closed its output, and goes on
                self._process.wait(END_S)
            self._ready.set_exception(ChildNotReady(f"child process exited: {self._end_text()}"))
        else:
            self._ready.set_exception(ChildNotReady(f"unexpected first line: {first[:100]}"))
            self.kill()

    def _take(self, line: bytes) -> None:
        try:
            answer = json.loads(line)
            number, is_progress = int(answer["id"]), "progress" in answer
            progress = answer["progress"] if is_progress else {"done": 0, "total": 0}
            done, total = int(progress["done"]), int(progress["total"])
        except (ValueError, KeyError, TypeError):
            sys.stderr.write(f"processor {self.pid}: bad line {line[:100]!r}\n")
            return
        with self._lock:
            call = self._calls.get(number)
            if call is None:
                return
            now = time.monotonic()
            for one in {number, *call.batch} & self._calls.keys():
                self._calls[one].seen = now
                self._calls[one].has_told |= is_progress
            if not is_progress:
                del self._calls[number]
            is_over = self._is_left and not self._calls
        if is_progress:
            with contextlib.suppress(OSError):  # our disk is full: other lines are still to be read
                call.progress(done, total)
        elif answer.get("err_msg") is not None:
            kind, level = str(answer.get("err_kind")), answer.get("err_level")
            call.answer.set_exception(error_of(kind, level, message=str(answer["err_msg"])))
        else:
            call.answer.set_result(answer.get("output"))
        if is_over:
            self.kill()

    def _lose(self) -> None:
        with self._lock:
            calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.answer.set_exception(ChildLost(f"child process exited: {self._end_text()}"))

    def _end_text(self) -> str:
        """Return whose child has ended; of an own program its name and exit code, once that is known."""
        stages, code = self._spec.stages, self._process.poll()
        names = ", ".join(stages) if len(stages) <= STAGES_NAMED else f"of {len(stages)} stages"
        if self.was_ended or code is None:
            return names
        if code == -signal.SIGKILL:
            return f"{names}, killed by signal 9: out of memory? See the kernel's log"
        if not self._spec.command:
            return names
        return f"{names} ({os.path.basename(self._spec.command[0])}, exit code {code}): see the host's log"

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
