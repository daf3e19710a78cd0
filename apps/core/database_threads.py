"""Database calls from event loops, which must not wait for the database themselves."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, connections

from apps.core.handler import connection_reuse

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseThreads:
    """A few threads that carry out plain functions for event loops, each with a database connection."""

    def __init__(
        self, name: str, workers: int, *, keeps_connections: bool = False, is_steady: bool = False
    ) -> None:
        self.executor = ThreadPoolExecutor(
            workers, thread_name_prefix=name, initializer=connection_reuse if is_steady else None
        )
        self.keeps_connections = keeps_connections
        """Whether a connection is kept while more calls wait: where a thousand come at once, opening one
        for each would cost more than the calls."""
        self.is_steady = is_steady
        """Whether a connection outlives the calls, for what asks every second: it is tested before each."""
        self.waiting = 0
        self._lock = threading.Lock()

    async def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work` returns.  Raises what it raises."""
        self._count(1)
        call = partial(contextvars.copy_context().run, partial(work, *args, **kwargs))
        future = self.executor.submit(self._work, call)
        future.add_done_callback(self._cancelled)
        return await asyncio.wrap_future(future)

    def _count(self, change: int) -> int:
        with self._lock:
            self.waiting += change
            return self.waiting

    def _cancelled(self, future: Future[Any]) -> None:
        """Count a call that was cancelled before it began."""
        if future.cancelled():
            self._count(-1)

    def _work(self, call: Callable[[], T]) -> T:
        self._count(-1)
        if self.is_steady:
            close_old_connections()
        try:
            return call()
        except (OperationalError, InterfaceError):
            connections.close_all()
            raise
        finally:
            if not self.is_steady and (not self.keeps_connections or self._count(0) == 0):
                connections.close_all()


WORKERS: Final = 8
in_database: Final = DatabaseThreads("database", WORKERS)
"""For short calls.  (Module state: the threads are the process' own.)"""
in_steady: Final = DatabaseThreads("steady", 1, is_steady=True)
"""For what open sockets ask every few seconds: to open a connection costs PostgreSQL more than to answer.
One thread, so one connection; what waits for a caller goes through the others."""
