"""A thread with a database connection that outlives the single call.

Other calls open a connection each and close it again, which costs more than what a bunch of small calls asks
of the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, TypeVar, cast

import psycopg2
from django.conf import settings
from django.db import connection

from apps.core.live import changes_kept, changes_send

if TYPE_CHECKING:
    from collections.abc import Callable

    from apps.core.live import Change

TELL_S: Final = 0.02
"""So long open pages may wait for news: to tell them of each push by itself costs as much as the push."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class DatabaseThread:
    """Works off what one event loop asks, one piece after the other."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], list[Change]]] = SimpleQueue()
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def is_working(self) -> bool:
        """Whether its thread lives."""
        return self._thread is not None

    def give(self, job: Callable[[], list[Change]]) -> None:
        """Have a job done in the thread; it gives what open pages are to be told, and must not raise."""
        with self._turn:
            self._jobs.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="clerk", daemon=True)
                self._thread.start()

    async def do(self, work: Callable[[Asked], Answer], asked: Asked) -> Answer:
        """Have `work` done in the thread.  Raises what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def told(answer: Answer | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(cast("Answer", answer))

        self.give(lambda: done(loop, told, work, asked))
        return await future

    def _work(self) -> None:
        untold: list[Change] = []
        due = 0.0
        while True:
            try:
                job = self._jobs.get(timeout=TELL_S if untold else settings.DB_THREAD_IDLE_S)
            except Empty:
                if untold:
                    changes_send(untold)
                    untold = []
                    continue
                with self._turn:
                    if not self._jobs.empty():  # it came just now
                        continue
                    connection.close()
                    self._thread = None
                    return
            if has_news():  # the next statement opens a new one
                connection.close()
            changes = job()
            if changes and not untold:
                due = time.monotonic() + TELL_S
            untold += changes
            if untold and time.monotonic() >= due:
                changes_send(untold)
                untold = []


def done(
    loop: asyncio.AbstractEventLoop,
    told: Callable[[Answer | None, Exception | None], None],
    work: Callable[[Asked], Answer],
    asked: Asked,
) -> list[Change]:
    """Do `work`, tell the loop what came of it, and give what open pages are to be told."""
    answer, error = None, None
    with changes_kept() as changes:
        try:
            answer = work(asked)
        except Exception as failure:  # noqa: BLE001  # whoever asked gets it; the thread goes on
            connection.close()  # it may be the database that ended it
            error = failure
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever asked
        loop.call_soon_threadsafe(told, answer, error)
    return changes


def has_news() -> bool:
    """Tell whether the database said something unasked, as one that ends does; costs no question."""
    if connection.connection is None:
        return False
    poll = select.poll()
    try:
        poll.register(connection.connection.fileno(), select.POLLIN)
    except (psycopg2.InterfaceError, OSError):  # closed already
        return True
    return bool(poll.poll(0))
