"""Threads for the hub's work in the database; while more work waits, they keep their connection.

When a thousand signers return at once, opening a connection for each step would cost more than the steps.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from django.db import InterfaceError, OperationalError, connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WORKERS: Final = 6


class DatabaseThreads:
    """A few threads; a connection is closed as soon as nothing waits for its thread."""

    def __init__(self, workers: int = WORKERS) -> None:
        self.executor = ThreadPoolExecutor(workers, thread_name_prefix="hub")
        self.waiting = 0
        self._turn = threading.Lock()

    def count(self, change: int) -> int:
        """Change the number of calls that wait, and give it."""
        with self._turn:
            self.waiting += change
            return self.waiting

    def bridge(self, call: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """Give a coroutine function for plain code that asks the database."""

        @wraps(call)
        async def bridged(*args: Any, **kwargs: Any) -> Any:
            self.count(1)
            work = partial(contextvars.copy_context().run, partial(call, *args, **kwargs))
            future = self.executor.submit(self.work, work)
            future.add_done_callback(self.dropped)
            return await asyncio.wrap_future(future)

        return bridged

    def dropped(self, future: Future[Any]) -> None:
        """Count a call that was cancelled before it began."""
        if future.cancelled():
            self.count(-1)

    def work(self, call: Callable[[], Any]) -> Any:
        """Carry one call out."""
        self.count(-1)
        try:
            return call()
        except (OperationalError, InterfaceError):
            connection.close()
            raise
        finally:
            if self.count(0) == 0:
                connection.close()


THREADS: Final = DatabaseThreads()
"""This process' own.  (Module state: all sockets share them.)"""
