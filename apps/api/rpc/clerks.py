"""A thread with a database connection that outlives the single call.

Other calls open a connection each and close it again, which costs more than what a bunch of small calls asks
of the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_S: Final = 0.2
"""So long without work a thread waits with its connection before both end."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Clerk:
    """Works off what one event loop asks, one piece after the other."""

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def is_working(self) -> bool:
        """Whether its thread lives."""
        return self._thread is not None

    async def do(self, work: Callable[[Asked], Answer], asked: Asked) -> Answer:
        """Have `work` done in the thread.  Raises what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def job() -> None:
            tell: Callable[[Any], None] = future.set_result
            answer: Any
            try:
                answer = work(asked)
            except Exception as error:  # noqa: BLE001  # whoever asked gets it; the thread goes on
                connection.close()  # it may be the database that ended it
                tell, answer = future.set_exception, error
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever asked
                loop.call_soon_threadsafe(_told, future, tell, answer)

        with self._news:
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="clerk", daemon=True)
                self._thread.start()
            self._news.notify()
        return await future

    def _work(self) -> None:
        while True:
            with self._news:
                if not self._jobs and not self._news.wait_for(lambda: self._jobs, timeout=KEPT_S):
                    connection.close()
                    self._thread = None
                    return
                job = self._jobs.popleft()
            # One that died since the last job is replaced; nothing public says so without closing good ones.
            connection.health_check_done = False  # type: ignore[attr-defined]
            job()


def _told(future: asyncio.Future[Any], tell: Callable[[Any], None], answer: Any) -> None:
    if not future.done():
        tell(answer)
