"""Calls that arrive together are answered together: one statement for all that are in flight.

While one batch is being worked on the next one gathers, so a single caller waits for nobody and fifty share
the cost of one round trip to the database, whoever they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar, cast

import psycopg2
from django.conf import settings
from django.db import connection

from apps.core.errors import DomainError
from apps.core.event_loops import PerLoop
from apps.core.live import Change, changes_deferred, changes_send
from apps.users.rules.principals import Principal

BATCH_MAX: Final = 500
"""Calls in one statement."""
PUBLISH_EVERY_S: Final = 0.02
"""So long open pages may wait: to publish the change of each push by itself costs as much as the push."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Caller = tuple["Principal", Item, "asyncio.Future[Answer]"]
"""Who calls, with what, and where the answer goes."""


class RequestBatcher(Generic[Item, Answer]):
    """Gathers the calls of each event loop.

    `work` gets callers with their items and returns an answer or a refusal for each; it runs in a thread.
    """

    def __init__(
        self, work: Callable[[list[tuple[Principal, Item]]], Sequence[Answer | DomainError]]
    ) -> None:
        self._of_loop: PerLoop[_LoopBatcher[Item, Answer]] = PerLoop(lambda: _LoopBatcher(work))

    async def submit(self, item: Item, *, principal: Principal) -> Answer:
        """Return the answer of one call, worked on with those that arrive at the same time.

        Raises its own refusal.
        """
        return await self._of_loop().submit(item, principal=principal)


class _LoopBatcher(Generic[Item, Answer]):
    """The calls of one event loop: futures belong to the loop that made them."""

    def __init__(
        self, work: Callable[[list[tuple[Principal, Item]]], Sequence[Answer | DomainError]]
    ) -> None:
        self.work = work
        self.thread = DatabaseThread()
        self.waiting: list[Caller[Item, Answer]] = []
        self.is_working = False

    async def submit(self, item: Item, *, principal: Principal) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self.waiting.append((principal, item, future))
        if not self.is_working:
            self.is_working = True
            # Not at once, so that requests of the same iteration of the loop join the batch.
            loop.call_soon(self._begin, loop)
        return await future

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread on the next batch; a task for it would be one more turn that callers wait."""
        batch, self.waiting = self.waiting[:BATCH_MAX], self.waiting[BATCH_MAX:]
        items = [(principal, item) for principal, item, _ in batch]
        self.thread.submit(partial(run_and_report, loop, partial(self._end, loop, batch), self.work, items))

    def _end(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[Caller[Item, Answer]],
        answers: Sequence[Answer | DomainError] | None,
        error: Exception | None,
    ) -> None:
        """Resolve the callers of a batch, and go on with those that came meanwhile."""
        if self.waiting:
            self._begin(loop)
        else:
            self.is_working = False
        found: Sequence[Answer | Exception]
        found = [error] * len(batch) if error is not None else answers or ()
        for (_, _, future), answer in zip(batch, found, strict=True):
            if future.done():  # cancelled: its caller disconnected
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


class DatabaseThread:
    """A thread whose database connection outlives the single job, until nothing comes for a while.

    Other calls open a connection each and close it again, which costs more than what a batch of small calls
    asks of the database.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], list[Change]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        """Return whether its thread lives."""
        return self._thread is not None

    def submit(self, job: Callable[[], list[Change]]) -> None:
        """Run a job in the thread; it returns what is to be published, and must not raise."""
        with self._lock:
            self._jobs.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database", daemon=True)
                self._thread.start()

    async def run(self, work: Callable[[Item], Answer], item: Item) -> Answer:
        """Return what `work` returns in the thread.  Raises what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def resolve(answer: Answer | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(cast("Answer", answer))

        self.submit(partial(run_and_report, loop, resolve, work, item))
        return await future

    def _run(self) -> None:
        unpublished: list[Change] = []
        due = 0.0
        while True:
            try:
                job = self._jobs.get(timeout=PUBLISH_EVERY_S if unpublished else settings.DB_THREAD_IDLE_S)
            except Empty:
                if unpublished:
                    changes_send(unpublished)
                    unpublished = []
                    continue
                with self._lock:
                    if not self._jobs.empty():  # a job arrived between the timeout and the lock
                        continue
                    connection.close()
                    self._thread = None
                    return
            if is_disconnected():  # closed first, so that the next statement opens a new session
                connection.close()
            changes = job()
            if changes and not unpublished:
                due = time.monotonic() + PUBLISH_EVERY_S
            unpublished += changes
            if unpublished and time.monotonic() >= due:
                changes_send(unpublished)
                unpublished = []


def run_and_report(
    loop: asyncio.AbstractEventLoop,
    report: Callable[[Answer | None, Exception | None], None],
    work: Callable[[Item], Answer],
    item: Item,
) -> list[Change]:
    """Do `work`, report its answer or error on the loop, and return what is to be published."""
    answer, error = None, None
    with changes_deferred() as changes:
        try:
            answer = work(item)
        except Exception as failure:  # noqa: BLE001  # the caller's future raises it; the thread must survive
            connection.close()  # the failure may have broken the session
            error = failure
    with contextlib.suppress(RuntimeError):  # the caller's loop is closed: nobody waits any more
        loop.call_soon_threadsafe(report, answer, error)
    return changes


def is_disconnected() -> bool:
    """Return whether the database said something unasked, as one that ends does; sends nothing."""
    if connection.connection is None:
        return False
    poll = select.poll()
    try:
        poll.register(connection.connection.fileno(), select.POLLIN)
    except (psycopg2.InterfaceError, OSError):  # closed already
        return True
    return bool(poll.poll(0))
