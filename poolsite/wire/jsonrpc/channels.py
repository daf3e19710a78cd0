"""The caller's side of several channels on one socket: what comes down each, handled beside the reading.

Source: filecoin-project/go-jsonrpc websocket.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from poolsite.wire.jsonrpc.messages import CHANNEL_CLOSE, CHANNEL_VALUE, Json

Owner = TypeVar("Owner")

EARLY_MAX: Final = 31
"""Frames of channels that nobody follows yet; of more the oldest are dropped."""


class Channels(Generic[Owner]):
    """Channels that a server has opened on one socket, each for an owner, as a miner."""

    def __init__(self, handle: Callable[[Owner, dict[str, Json]], Awaitable[None]]) -> None:
        self.handle = handle
        """Handles one event, which is an object, of an owner's channel."""
        self._owners: dict[int, Owner] = {}
        self._closed: dict[int, asyncio.Event] = {}
        self._early: list[tuple[int, dict[str, Json] | None]] = []
        """Events, None for the end, that were read before the caller knew its channel's number."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self, channel: int, owner: Owner) -> None:
        """Receive what comes down a channel, and has come, for an owner until the server closes it."""
        closed = self._closed[channel] = asyncio.Event()
        self._owners[channel] = owner
        early = [event for number, event in self._early if number == channel]
        self._early = [one for one in self._early if one[0] != channel]
        for event in early:
            self._begin(channel, event)
        try:
            await closed.wait()
        finally:
            self._owners.pop(channel, None)
            self._closed.pop(channel, None)

    def receive(self, notification: tuple[str, list[Json]] | None) -> None:
        """Handle a notification of the socket; what concerns no channel is passed over."""
        if notification is None or not isinstance(notification[1][0], int):
            return
        method, params = notification
        if method == CHANNEL_CLOSE:
            self._begin(params[0], None)
        elif method == CHANNEL_VALUE and len(params) == 2 and isinstance(params[1], dict):
            self._begin(params[0], params[1])

    def _begin(self, channel: int, event: dict[str, Json] | None) -> None:
        if channel not in self._owners:
            self._early = [*self._early[1 - EARLY_MAX :], (channel, event)]
        elif event is None:
            self._closed[channel].set()
        else:
            task = asyncio.ensure_future(self.handle(self._owners[channel], event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Cancel what is being handled."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
