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

from apps.api.rpc.desks import Desks
from apps.chain.selectors import head_current
from apps.core.errors import NotReachable
from apps.messages.errors import MessageNotFound
from apps.messages.models import Message
from apps.messages.states import MessageState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from apps.core.errors import DomainError
    from apps.users.principals import Principal

GROUP: Final = "live.pool"
"""Every change of the pool is told here."""

GATHER_S: Final = 0.05
"""Changes that come together are looked at together."""

LOOK_ANYWAY_S: Final = 5.0
"""Without any word for so long everybody is looked at: a change may have been lost with Redis."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands."""

    state: str
    height: int
    """Of the tipset that includes it."""
    head_height: int
    tenant_id: int | None


class WaitingRoom:
    """The waiters of one event loop."""

    def __init__(self) -> None:
        self.waiting: dict[str, set[asyncio.Future[None]]] = {}
        self.depths: dict[asyncio.Future[None], int] = {}
        """How many heads each waiter wants above its message."""
        self.landed: set[str] = set()
        """Ids that are on chain and only wait for heads."""
        self.task: asyncio.Task[None] | None = None

    async def wait(self, id_: str, confidence: int, *, viewer: Principal) -> None:
        """Return once the message is final and deep enough.  Raises MessageNotFound."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(id_, set()).add(future)
        self.depths[future] = confidence
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._listen(), name="message-waits")
        try:
            # Only now that changes are heard: what happens meanwhile is looked at again.
            self._tell(id_, await _BEGINNINGS.ask(id_, principal=viewer))
            await future
        finally:
            self.depths.pop(future, None)
            here = self.waiting.get(id_, set())
            here.discard(future)
            if not here:
                self.waiting.pop(id_, None)
                self.landed.discard(id_)
            if not self.waiting and self.task is not None:
                self.task.cancel()
                self.task = None

    async def look(self, ids: Iterable[str]) -> None:
        """Look at these messages and let those go whose time has come."""
        wanted = [id_ for id_ in ids if id_ in self.waiting]
        if not wanted:
            return
        for id_, found in (await in_database(standings_of, wanted)).items():
            self._tell(id_, found)

    def _tell(self, id_: str, found: Standing) -> None:
        """Let those go who waited for this."""
        is_on_chain = found.state in (MessageState.LANDED, MessageState.REPLACED)
        (self.landed.add if is_on_chain else self.landed.discard)(id_)
        for future in list(self.waiting.get(id_, ())):
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


def standings_of(ids: list[str]) -> dict[str, Standing]:
    """Give where messages stand."""
    head = head_current()
    height = 0 if head is None else head.height
    rows = Message.objects.filter(pk__in=ids).values_list("pk", "state", "height", "tenant_id")
    return {pk: Standing(state, at, height, tenant_id) for pk, state, at, tenant_id in rows}


def waits_begin(asked: list[tuple[Principal, str]]) -> list[Standing | DomainError]:
    """Give where each caller's message stands, all with one query; a stranger's is not found."""
    found = standings_of([id_ for _, id_ in asked])
    missing = "get message by id error: record not found"
    return [
        row
        if (row := found.get(id_)) is not None and (viewer.is_operator or row.tenant_id == viewer.own_id)
        else MessageNotFound(missing, field="id")
        for viewer, id_ in asked
    ]


_BEGINNINGS: Desks[str, Standing] = Desks(waits_begin)


# One room per event loop: futures belong to the loop that made them.
_ROOMS: WeakKeyDictionary[asyncio.AbstractEventLoop, WaitingRoom] = WeakKeyDictionary()


async def message_wait(*, viewer: Principal, id: str, confidence: int) -> None:  # its name
    """Wait until a message is final with more than `confidence` heads above it, or was given up.

    Raises MessageNotFound at once for what the viewer cannot see.
    """
    room = _ROOMS.setdefault(asyncio.get_running_loop(), WaitingRoom())
    await room.wait(id, confidence, viewer=viewer)
