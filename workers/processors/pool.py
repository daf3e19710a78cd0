"""The processes that run a host's stages: which one gets a task, and which ones are started again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from workers.processors.admission import CHECK_S, Admission, Place
from workers.processors.errors import BadInput, CallGivenUp, ChildLost, ChildNotReady
from workers.processors.parallel import Progress, no_progress
from workers.processors.pool_child import (
    RESTART_PAUSE_S,
    ChildSpec,
    ProcessorChild,
    StartedCall,
    always,
    no_wait,
)
from workers.processors.stages import Stage, stage_named

log = logging.getLogger(__name__)

CHECK_EVERY_S = 5.0
"""How often `keep_running` looks for a child that has ended."""
AVOID_S = 60.0
"""How long a child that did not get ready is asked only where the others of its stage are busy."""


@dataclass(slots=True, eq=False)
class Member:
    """A sector that waits for a request with others."""

    task: Any
    progress: Progress
    sectors: int
    """Most of the request."""
    since: float = field(default_factory=time.monotonic)
    started: Future[StartedCall] = field(default_factory=Future)

    @property
    def proof(self) -> str:
        """Return the seal proof: sectors of two sizes are not in one request, except of C2."""
        task = getattr(self.task, "pc1out", self.task)
        return str(getattr(task, "registered_proof", ""))


class BatchFormer:
    """Gathers sectors for the requests of one child: one runs there at a time, the next gathers meanwhile."""

    def __init__(self, *, wait_s: float, child: Callable[[], ProcessorChild]) -> None:
        """`child` returns the running child, started again if it has ended."""
        self._wait_s, self._child = wait_s, child
        self._changed = threading.Condition()
        self._waiting: list[Member] = []
        self._running = 0
        """Sectors of the present request that have no answer yet."""

    def begin(self, stage: Stage, one: Member, *, is_wanted: Callable[[], bool]) -> StartedCall:
        """Wait until the sector's request was sent; the thread of its first sector sends it.

        Call `end` after its answer.  Raises CallGivenUp, ChildNotReady, ChildLost.
        """
        with self._changed:
            self._waiting.append(one)
            self._changed.notify_all()
            try:
                while one in self._waiting and not self._is_turn(one):
                    self._changed.wait(CHECK_S)
                    if one in self._waiting and not is_wanted():
                        raise CallGivenUp(f"{stage.name}: cancelled")
            except BaseException:  # else the others would wait for one that never begins
                self._waiting.remove(one)
                self._changed.notify_all()
                raise
            batch = self._alike(one)[: one.sectors] if one in self._waiting else []
            self._waiting = [other for other in self._waiting if other not in batch]
            self._running += len(batch)
        if batch:
            self._send(stage, batch)
        try:
            return one.started.result()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Note that a sector of the present request has its answer."""
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def _send(self, stage: Stage, batch: Sequence[Member]) -> None:
        try:
            started = self._child().begin(stage, [(member.task, member.progress) for member in batch])
        except BaseException as error:  # noqa: BLE001  # else the others would wait for ever
            for member in batch:
                member.started.set_exception(error)
        else:
            for member, one in zip(batch, started, strict=True):
                member.started.set_result(one)

    def _alike(self, one: Member) -> list[Member]:
        return [other for other in self._waiting if other.proof == one.proof]

    def _is_turn(self, one: Member) -> bool:
        alike = self._alike(one)
        if self._running or alike[0] is not one:
            return False
        return len(alike) >= one.sectors or time.monotonic() >= one.since + self._wait_s


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
            place = Place(
                number=number,
                capacity=spec.capacity,
                sectors=spec.sectors,
                locks=spec.locks,
                weight=spec.weight,
            )
            for name in spec.stages:
                self._places.setdefault(name, []).append(place)
        self._admission = admission or Admission()
        self._open_log = open_log
        self._children: dict[int, ProcessorChild] = {}
        """By the number of their spec, as the next four."""
        self._started: dict[int, float] = {}
        self._failed: dict[int, float] = {}
        """When a child did not get ready."""
        self._batches = [
            BatchFormer(wait_s=spec.wait_s, child=partial(self._child, number))
            for number, spec in enumerate(specs)
        ]
        self._starting = [threading.Lock() for _ in specs]
        """One for each child: a start may have to pause, and no other child's caller waits for that."""
        self._leaving: list[ProcessorChild] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the stages that can be called."""
        return tuple(self._places)

    def is_foreign(self, stage: str) -> bool:
        """Return whether a host's own program may run a stage."""
        return any(self._specs[place.number].command for place in self._places.get(stage, ()))

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
            raise CallGivenUp(f"{stage}: cancelled")
        places, requested_at = self._usable(stage), time.monotonic()
        with self._admission.admitted(stage, places, is_wanted=is_wanted, avoided=self._avoided) as place:
            child = self._child(place.number)
            if child.sectors > 1:
                former, member = self._batches[place.number], Member(task, progress, child.sectors)
                started = former.begin(stage_named(stage), member, is_wanted=is_wanted)
                try:
                    on_wait(time.monotonic() - requested_at)
                    return started.wait(is_wanted=is_wanted)
                finally:
                    former.end()
            on_wait(time.monotonic() - requested_at)
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
            raise ChildLost(f"{stage}: its processor exited and auto_restart is false: restart the host")
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
