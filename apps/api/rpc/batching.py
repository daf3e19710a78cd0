"""Calls that arrive together are answered together: one statement for all that are in flight.

While one bunch is being worked on the next one gathers, so a single caller waits for nobody and fifty
share the cost of one round to the database, whoever they are.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from apps.api.rpc.database_thread import DatabaseThread, done

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apps.core.errors import DomainError
    from apps.users.principals import Principal

BATCH_MAX: Final = 500
"""Calls in one statement."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Waiter = tuple["Principal", Asked, "asyncio.Future[Answer]"]
"""Who asks, what, and where the answer goes."""


class RequestBatcher(Generic[Asked, Answer]):
    """Gathers the calls of one event loop.

    `work` gets callers with their items and gives an answer or a refusal for each; it runs in a thread.
    """

    def __init__(
        self, work: Callable[[list[tuple[Principal, Asked]]], Sequence[Answer | DomainError]]
    ) -> None:
        self.work = work
        self.clerk = DatabaseThread()
        self.waiting: list[Waiter[Asked, Answer]] = []
        self.is_at_work = False

    async def ask(self, item: Asked, *, principal: Principal) -> Answer:
        """Answer one call with those that came at the same time.  Raises its own refusal."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self.waiting.append((principal, item, future))
        if not self.is_at_work:
            self.is_at_work = True
            loop.call_soon(self._begin, loop)  # those that came in the same turn of the loop come along
        return await future

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the clerk work on the next bunch; a task for it would be one more turn that callers wait."""
        bunch, self.waiting = self.waiting[:BATCH_MAX], self.waiting[BATCH_MAX:]
        told = partial(self._tell, loop, bunch)
        asked = [(principal, item) for principal, item, _ in bunch]
        self.clerk.give(partial(done, loop, told, self.work, asked))

    def _tell(
        self,
        loop: asyncio.AbstractEventLoop,
        bunch: list[Waiter[Asked, Answer]],
        answers: Sequence[Answer | DomainError] | None,
        error: Exception | None,
    ) -> None:
        """Give each caller of a bunch its answer, and go on with those that came meanwhile."""
        if self.waiting:
            self._begin(loop)
        else:
            self.is_at_work = False
        found: Sequence[Answer | Exception]
        found = [error] * len(bunch) if error is not None else answers or ()
        for (_, _, future), answer in zip(bunch, found, strict=True):
            if future.done():  # its caller is gone
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


class LoopBatchers(Generic[Asked, Answer]):
    """One desk per event loop: futures belong to the loop that made them."""

    def __init__(
        self, work: Callable[[list[tuple[Principal, Asked]]], Sequence[Answer | DomainError]]
    ) -> None:
        self.work = work
        self.desks: WeakKeyDictionary[asyncio.AbstractEventLoop, RequestBatcher[Asked, Answer]] = (
            WeakKeyDictionary()
        )

    async def ask(self, item: Asked, *, principal: Principal) -> Answer:
        """Answer one call together with those that arrive at the same time."""
        loop = asyncio.get_running_loop()
        desk = self.desks.get(loop)
        if desk is None:
            desk = self.desks[loop] = RequestBatcher(self.work)
        return await desk.ask(item, principal=principal)
