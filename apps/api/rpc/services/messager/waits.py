"""Waiting for messages without asking the database again and again.

One listener per process hears the changes that pages hear; a waiter costs nothing until its own message
changes, or a head arrives while it waits for confidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from channels.layers import get_channel_layer
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from apps.api.rpc.batching import RequestBatcher
from apps.api.rpc.services.messager.access import message_missing
from apps.chain.selectors.heads import head_current
from apps.core.database_threads import in_database
from apps.core.errors import DomainError, NotReachable
from apps.core.event_loops import PerLoop
from apps.messages.selectors.messages import message_states
from apps.messages.selectors.seen_messages import messages_seen
from apps.messages.states import UNSENDABLE, MessageState
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.messages.models import Message

GROUP: Final = "live.pool"
"""Every change of the pool is published here."""

GATHER_S: Final = 0.05
"""Changes that come together are checked together."""

RETRY_S: Final = 1.0
"""Pause before the next attempt after Redis or the database was lost."""

CHECK_ANYWAY_S: Final = 5.0
"""Without any change for so long all are checked: one may have been lost with Redis."""


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """The state of a message on chain and of the chain."""

    key: str
    """Of its row: its id is unique within its tenant only."""
    state: str
    height: int
    """Of the tipset that includes it."""
    is_unsendable: bool
    """Whether a selection found that it cannot be sent now."""
    head_height: int


class MessageWaits:
    """The waiters of one event loop."""

    def __init__(self) -> None:
        self.waiting: dict[str, set[asyncio.Future[None]]] = {}
        """By the messages' keys."""
        self.depths: dict[asyncio.Future[None], int | None] = {}
        """How many heads each waiter wants above its message; None: it waits for the first signature, or for
        the reason why there is none."""
        self.landed: set[str] = set()
        """Keys of those that are on chain and only wait for heads."""
        self.task: asyncio.Task[None] | None = None

    async def wait(self, id_: str, confidence: int | None, *, viewer: Principal) -> str:
        """Return the message's key once it is final and deep enough, or signed if `confidence` is None.

        Raises MessageNotFound, MessageIdAmbiguous.
        """
        status = await _STATUSES.submit(id_, principal=viewer)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(status.key, set()).add(future)
        self.depths[future] = confidence
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._listen(), name="message-waits")
        try:
            self._resolve(status)
            if not future.done():
                # After subscribing: a change between the first check and the subscription would be lost.
                self._resolve(await _STATUSES.submit(status.key, principal=viewer))
            await future
        finally:
            self._forget(status.key, future)
        return status.key

    def _forget(self, key: str, future: asyncio.Future[None]) -> None:
        """Drop a waiter; with the last one the listener ends."""
        self.depths.pop(future, None)
        waiters = self.waiting.get(key, set())
        waiters.discard(future)
        if not waiters:
            self.waiting.pop(key, None)
            self.landed.discard(key)
        if not self.waiting and self.task is not None:
            self.task.cancel()
            self.task = None

    async def check(self, keys: Iterable[str]) -> None:
        """Resolve the waits for these messages whose condition holds."""
        awaited = [key for key in keys if key in self.waiting]
        if not awaited:
            return
        for found in await in_database(message_statuses, awaited):
            self._resolve(found)

    def _resolve(self, found: MessageStatus) -> None:
        """Resolve the waits for this message whose condition holds."""
        is_on_chain = found.state in (MessageState.LANDED, MessageState.REPLACED)
        (self.landed.add if is_on_chain else self.landed.discard)(found.key)
        is_decided = found.is_unsendable or found.state != MessageState.UNFILLED
        for future in list(self.waiting.get(found.key, ())):
            depth = self.depths[future]
            if depth is None:
                is_over = is_decided
            else:
                is_deep = is_on_chain and found.head_height - found.height > depth
                is_over = is_deep or found.state == MessageState.FAILED
            if is_over and not future.done():
                future.set_result(None)

    async def _listen(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            raise NotReachable("no channel layer is configured to wait on")
        is_behind = False
        while True:
            try:
                if is_behind:  # Redis or the database restarted, and changes were missed: check all
                    await self.check(list(self.waiting))
                    is_behind = False
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                try:
                    await self._receive(layer, channel)
                finally:
                    await layer.group_discard(GROUP, channel)
            except (RedisError, OSError, DatabaseError):
                is_behind = True
                await asyncio.sleep(RETRY_S)

    async def _receive(self, layer: Any, channel: str) -> None:
        """Check what the changes name; a burst costs one query."""
        while True:
            changed: set[str] = set()
            try:
                event = await asyncio.wait_for(layer.receive(channel), CHECK_ANYWAY_S)
                self._note(event, changed)
                deadline = asyncio.get_running_loop().time() + GATHER_S
                while (left := deadline - asyncio.get_running_loop().time()) > 0:
                    self._note(await asyncio.wait_for(layer.receive(channel), left), changed)
            except TimeoutError:
                if not changed:
                    changed = set(self.waiting)
            await self.check(changed)

    def _note(self, event: dict[str, Any], changed: set[str]) -> None:
        kind, pk = event.get("kind"), str(event.get("pk"))
        if kind == "message":
            changed.add(pk)
        elif kind == "messages":
            changed.update(self.waiting)
        elif kind == "head":
            changed.update(self.landed)


def message_statuses(keys: list[str]) -> list[MessageStatus]:
    """Return the status of messages."""
    head = head_current()
    height = 0 if head is None else head.height
    return [message_status(row, head_height=height) for row in message_states(keys)]


def message_status(row: Message, *, head_height: int) -> MessageStatus:
    """Return the status of a message."""
    is_unsendable = row.attempts > 0 and row.wait in UNSENDABLE
    return MessageStatus(row.pk, row.state, row.height, is_unsendable, head_height)


def statuses_of_callers(requests: list[tuple[Principal, str]]) -> list[MessageStatus | DomainError]:
    """Return the status of each caller's message, all with one query; a stranger's is not found."""
    return [
        message_missing(found)
        if isinstance(found, DomainError)
        else message_status(found[0], head_height=found[1])
        for found in messages_seen(requests)
    ]


_STATUSES: RequestBatcher[str, MessageStatus] = RequestBatcher(statuses_of_callers)


message_waits: Final = PerLoop(MessageWaits)


async def message_wait(*, viewer: Principal, id: str, confidence: int) -> str:  # its name
    """Wait until a message is final with more than `confidence` heads above it, or was given up.

    Return its key.  Raises MessageNotFound at once for what the viewer cannot see, MessageIdAmbiguous.
    """
    return await message_waits().wait(id, confidence, viewer=viewer)


async def message_signed_wait(*, viewer: Principal, id: str) -> str:
    """Wait until a message has its nonce and signature, has failed, or cannot be sent now.

    Return its key.  Raises MessageNotFound at once for what the viewer cannot see, MessageIdAmbiguous.
    """
    return await message_waits().wait(id, None, viewer=viewer)
