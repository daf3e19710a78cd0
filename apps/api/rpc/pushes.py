"""Pushes that arrive together are stored together: one insert for all calls that are in flight.

While one bunch is being written the next one gathers, so a single caller waits for nobody and fifty
share the cost of one transaction.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async

from apps.core.errors import DomainError
from apps.messages.services import PushItem, messages_push

if TYPE_CHECKING:
    from apps.messages.models import Message
    from apps.users.principals import Principal

BUNCH_MAX: Final = 500
"""Messages in one insert."""


class PushDesk:
    """Gathers the pushes of one event loop."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Principal, PushItem, asyncio.Future[Message]]] = []
        self.task: asyncio.Task[None] | None = None

    async def push(self, item: PushItem, *, principal: Principal) -> Message:
        """Store one message with those that came at the same time.  Raises its own refusal."""
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.waiting.append((principal, item, future))
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._work(), name="push-desk")
        return await future

    async def _work(self) -> None:
        while self.waiting:
            bunch, self.waiting = self.waiting[:BUNCH_MAX], self.waiting[BUNCH_MAX:]
            for principal in dict.fromkeys(principal for principal, _, _ in bunch):
                mine = [(item, future) for owner, item, future in bunch if owner == principal]
                await self._store(principal, mine)

    async def _store(
        self, principal: Principal, mine: list[tuple[PushItem, asyncio.Future[Message]]]
    ) -> None:
        """Write one caller's part and give each its answer."""
        items = [item for item, _ in mine]
        try:
            answers = await database_sync_to_async(messages_push, thread_sensitive=False)(
                items, principal=principal
            )
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


# One desk per event loop: futures belong to the loop that made them.
_DESKS: WeakKeyDictionary[asyncio.AbstractEventLoop, PushDesk] = WeakKeyDictionary()


async def message_push_gathered(item: PushItem, *, principal: Principal) -> Message:
    """Store a message together with those that arrive at the same time."""
    loop = asyncio.get_running_loop()
    desk = _DESKS.get(loop)
    if desk is None:
        desk = _DESKS[loop] = PushDesk()
    return await desk.push(item, principal=principal)
