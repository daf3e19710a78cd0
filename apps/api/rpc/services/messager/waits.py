"""Waiting for messages without asking the database again and again.

One listener per process hears the changes that pages hear; a waiter costs nothing until its own message
changes, or a head arrives while it waits for confidence.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from apps.api.rpc.batching import LoopBatchers
from apps.api.rpc.services.messager.access import message_missing
from apps.chain.selectors import head_current
from apps.core.errors import DomainError, NotReachable
from apps.messages.models import Message
from apps.messages.selectors import messages_seen
from apps.messages.states import MessageState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from apps.users.principals import Principal

GROUP: Final = "live.pool"
"""Every change of the pool is told here."""

GATHER_S: Final = 0.05
"""Changes that come together are looked at together."""

LOOK_ANYWAY_S: Final = 5.0
"""Without any word for so long everybody is looked at: a change may have been lost with Redis."""


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """Where a message stands."""

    key: str
    """Of its row: its id is unique within its tenant only."""
    state: str
    height: int
    """Of the tipset that includes it."""
    head_height: int


class MessageWaits:
    """The waiters of one event loop."""

    def __init__(self) -> None:
        self.waiting: dict[str, set[asyncio.Future[None]]] = {}
        """By the messages' keys."""
        self.depths: dict[asyncio.Future[None], int] = {}
        """How many heads each waiter wants above its message."""
        self.landed: set[str] = set()
        """Keys of those that are on chain and only wait for heads."""
        self.task: asyncio.Task[None] | None = None

    async def wait(self, id_: str, confidence: int, *, viewer: Principal) -> str:
        """Return the message's key once it is final and deep enough.

        Raises MessageNotFound, MessageIdAmbiguous.
        """
        begun = await _BEGINNINGS.ask(id_, principal=viewer)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(begun.key, set()).add(future)
        self.depths[future] = confidence
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._listen(), name="message-waits")
        try:
            self._tell(begun)
            if not future.done():
                # Only now that changes are heard: what happened meanwhile is looked at again.
                self._tell(await _BEGINNINGS.ask(begun.key, principal=viewer))
            await future
        finally:
            self._forget(begun.key, future)
        return begun.key

    def _forget(self, key: str, future: asyncio.Future[None]) -> None:
        """Drop a waiter; with the last one the listener ends."""
        self.depths.pop(future, None)
        here = self.waiting.get(key, set())
        here.discard(future)
        if not here:
            self.waiting.pop(key, None)
            self.landed.discard(key)
        if not self.waiting and self.task is not None:
            self.task.cancel()
            self.task = None

    async def look(self, keys: Iterable[str]) -> None:
        """Look at these messages and let those go whose time has come."""
        wanted = [key for key in keys if key in self.waiting]
        if not wanted:
            return
        for found in await in_database(message_statuses, wanted):
            self._tell(found)

    def _tell(self, found: MessageStatus) -> None:
        """Let those go who waited for this."""
        is_on_chain = found.state in (MessageState.LANDED, MessageState.REPLACED)
        (self.landed.add if is_on_chain else self.landed.discard)(found.key)
        for future in list(self.waiting.get(found.key, ())):
            is_deep = is_on_chain and found.head_height - found.height > self.depths[future]
            if (is_deep or found.state == MessageState.FAILED) and not future.done():
                future.set_result(None)

    async def _listen(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            raise NotReachable("there is no channel layer to wait on")
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                try:
                    await self._hear(layer, channel)
                finally:
                    await layer.group_discard(GROUP, channel)
            except (RedisError, OSError):  # Redis restarts: look at everybody, then listen again
                await asyncio.sleep(1.0)
                await self.look(list(self.waiting))

    async def _hear(self, layer: Any, channel: str) -> None:
        """Look at what the changes name; a burst costs one look."""
        while True:
            changed: set[str] = set()
            try:
                event = await asyncio.wait_for(layer.receive(channel), LOOK_ANYWAY_S)
                self._note(event, changed)
                deadline = asyncio.get_running_loop().time() + GATHER_S
                while (rest := deadline - asyncio.get_running_loop().time()) > 0:
                    self._note(await asyncio.wait_for(layer.receive(channel), rest), changed)
            except TimeoutError:
                if not changed:
                    changed = set(self.waiting)
            await self.look(changed)

    def _note(self, event: dict[str, Any], changed: set[str]) -> None:
        kind, pk = event.get("kind"), str(event.get("pk"))
        if kind == "message":
            changed.add(pk)
        elif kind == "messages":
            changed.update(self.waiting)
        elif kind == "head":
            changed.update(self.landed)


async def in_database(call: Callable[..., Any], *args: Any) -> Any:
    """Run a query in a thread of the pool: the listener outlives the request that began it."""
    return await database_sync_to_async(call, thread_sensitive=False)(*args)


def message_statuses(keys: list[str]) -> list[MessageStatus]:
    """Return where messages stand."""
    head = head_current()
    height = 0 if head is None else head.height
    rows = Message.objects.filter(pk__in=keys).values_list("pk", "state", "height")
    return [MessageStatus(key, state, at, height) for key, state, at in rows]


def waits_begin(asked: list[tuple[Principal, str]]) -> list[MessageStatus | DomainError]:
    """Return where each caller's message stands, all with one query; a stranger's is not found."""
    return [
        message_missing(found)
        if isinstance(found, DomainError)
        else MessageStatus(found[0].pk, found[0].state, found[0].height, found[1])
        for found in messages_seen(asked)
    ]


_BEGINNINGS: LoopBatchers[str, MessageStatus] = LoopBatchers(waits_begin)


# One room per event loop: futures belong to the loop that made them.
_ROOMS: WeakKeyDictionary[asyncio.AbstractEventLoop, MessageWaits] = WeakKeyDictionary()


async def message_wait(*, viewer: Principal, id: str, confidence: int) -> str:  # its name
    """Wait until a message is final with more than `confidence` heads above it, or was given up.

    Returns its key.  Raises MessageNotFound at once for what the viewer cannot see, MessageIdAmbiguous.
    """
    room = _ROOMS.setdefault(asyncio.get_running_loop(), MessageWaits())
    return await room.wait(id, confidence, viewer=viewer)
