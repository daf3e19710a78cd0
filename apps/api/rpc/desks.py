"""Calls that arrive together are answered together: one statement for all that are in flight.

While one bunch is being worked on the next one gathers, so a single caller waits for nobody and fifty
share the cost of one round to the database, whoever they are.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from apps.api.rpc.clerks import Clerk
from apps.core.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apps.users.principals import Principal

BUNCH_MAX: Final = 500
"""Calls in one statement."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Desk(Generic[Asked, Answer]):
    """Gathers the calls of one event loop.

    `work` gets callers with their items and gives an answer or a refusal for each; it runs in a thread.
    """

    def __init__(
        self, work: Callable[[list[tuple[Principal, Asked]]], Sequence[Answer | DomainError]]
    ) -> None:
        self.work = work
        self.clerk = Clerk()
        self.waiting: list[tuple[Principal, Asked, asyncio.Future[Answer]]] = []
        self.task: asyncio.Task[None] | None = None

    async def ask(self, item: Asked, *, principal: Principal) -> Answer:
        """Answer one call with those that came at the same time.  Raises its own refusal."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.append((principal, item, future))
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._work(), name="desk")
        return await future

    async def _work(self) -> None:
        while self.waiting:
            bunch, self.waiting = self.waiting[:BUNCH_MAX], self.waiting[BUNCH_MAX:]
            await self._answer(bunch)

    async def _answer(self, bunch: list[tuple[Principal, Asked, asyncio.Future[Answer]]]) -> None:
        """Work on one bunch and give each caller its answer."""
        try:
            answers = await self.clerk.do(self.work, [(principal, item) for principal, item, _ in bunch])
        except Exception as error:  # noqa: BLE001  # every waiter gets it; the desk goes on
            for _, _, future in bunch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, _, future), answer in zip(bunch, answers, strict=True):
            if future.done():  # its caller is gone
                continue
            if isinstance(answer, DomainError):
                future.set_exception(answer)
            else:
                future.set_result(answer)


class Desks(Generic[Asked, Answer]):
    """One desk per event loop: futures belong to the loop that made them."""

    def __init__(
        self, work: Callable[[list[tuple[Principal, Asked]]], Sequence[Answer | DomainError]]
    ) -> None:
        self.work = work
        self.desks: WeakKeyDictionary[asyncio.AbstractEventLoop, Desk[Asked, Answer]] = WeakKeyDictionary()

    async def ask(self, item: Asked, *, principal: Principal) -> Answer:
        """Answer one call together with those that arrive at the same time."""
        loop = asyncio.get_running_loop()
        desk = self.desks.get(loop)
        if desk is None:
            desk = self.desks[loop] = Desk(self.work)
        return await desk.ask(item, principal=principal)
