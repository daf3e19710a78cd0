"""Calls that arrive together are answered together: one statement for all that are in flight.

While one bunch is being worked on the next one gathers, so a single caller waits for nobody and fifty
share the cost of one round to the database.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async

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

    `work` gets one caller's items and gives an answer or a refusal for each; it runs in a thread.
    """

    def __init__(self, work: Callable[[Principal, list[Asked]], Sequence[Answer | DomainError]]) -> None:
        self.work = work
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
            for principal in dict.fromkeys(principal for principal, _, _ in bunch):
                mine = [(item, future) for owner, item, future in bunch if owner == principal]
                await self._answer(principal, mine)

    async def _answer(self, principal: Principal, mine: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        """Work on one caller's part and give each its answer."""
        items = [item for item, _ in mine]
        try:
            answers = await database_sync_to_async(self.work, thread_sensitive=False)(principal, items)
        except Exception as error:  # noqa: BLE001  # every waiter gets it; the desk goes on
            for _, future in mine:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(mine, answers, strict=True):
            if future.done():  # its caller is gone
                continue
            if isinstance(answer, DomainError):
                future.set_exception(answer)
            else:
                future.set_result(answer)


class Desks(Generic[Asked, Answer]):
    """One desk per event loop: futures belong to the loop that made them."""

    def __init__(self, work: Callable[[Principal, list[Asked]], Sequence[Answer | DomainError]]) -> None:
        self.work = work
        self.desks: WeakKeyDictionary[asyncio.AbstractEventLoop, Desk[Asked, Answer]] = WeakKeyDictionary()

    async def ask(self, item: Asked, *, principal: Principal) -> Answer:
        """Answer one call together with those that arrive at the same time."""
        loop = asyncio.get_running_loop()
        desk = self.desks.get(loop)
        if desk is None:
            desk = self.desks[loop] = Desk(self.work)
        return await desk.ask(item, principal=principal)
