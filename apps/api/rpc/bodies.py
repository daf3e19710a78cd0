"""Memory for large requests: what a web process holds of them at once, and for one tenant.

A single request has a limit of its own; many at once would still fill the machine.  What is small is never
refused, so that a caller with large requests holds up nobody's signatures.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.conf import settings

from apps.core.errors import NotReachable

if TYPE_CHECKING:
    from collections.abc import Iterator

FREE_BYTES: Final = 64 << 10
"""Of each request, not counted: all but batches of messages are smaller."""
ARRIVAL_S: Final = 60.0
"""Time for a body to arrive; a mebibyte takes a slow line some seconds."""
SOCKET_WAIT_S: Final = 10.0
"""How long a socket's large frame waits for others to be answered."""
LOOK_EVERY_S: Final = 0.05
SHARE: Final = 2
"""One tenant may have this part of the room: a half."""


class NoRoom(NotReachable):
    """The large requests under way fill the room that there is for them."""

    code = "no_room"


class Room:
    """Bytes that are held, in all and by tenant; belongs to one event loop."""

    def __init__(self, setting: str) -> None:
        self.setting = setting
        """Name of the setting with the most that is held."""
        self.held: Counter[str] = Counter()

    def take(self, owner: str, size: int) -> None:
        """Hold so many bytes more.  Raises NoRoom."""
        most: int = getattr(settings, self.setting)
        if self.held.total() + size > most or self.held[owner] + size > most // SHARE:
            raise NoRoom(f"large requests fill the {most} bytes that there are for them: ask again")
        self.held[owner] += size

    def give(self, owner: str, size: int) -> None:
        """Hold so many bytes less."""
        self.held[owner] -= size
        if not self.held[owner]:
            del self.held[owner]

    @contextmanager
    def part(self) -> Iterator[Part]:
        """One request, whose bytes are held until it is answered."""
        part = Part(self)
        try:
            yield part
        finally:
            part.end()


class Part:
    """What one request holds."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.owner = ""
        self.seen = self.counted = 0

    def grow(self, owner: str, size: int) -> None:
        """Count what arrived.  Raises NoRoom."""
        self.owner = owner
        more = max(self.seen + size - FREE_BYTES, 0) - self.counted
        if more:
            self.room.take(owner, more)
        self.seen += size
        self.counted += more

    async def grow_patiently(self, owner: str, size: int) -> None:
        """The same for a frame: it waits a while for room.  Raises NoRoom."""
        for _ in range(int(SOCKET_WAIT_S / LOOK_EVERY_S)):
            try:
                self.grow(owner, size)
            except NoRoom:
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                return
        self.grow(owner, size)

    def end(self) -> None:
        """Hold nothing any more."""
        if self.counted:
            self.room.give(self.owner, self.counted)
            self.counted = 0


ROOM: Final = Room("RPC_HELD_MAX_BYTES")
"""This process' room.  (Module state: every request of a web process shares the machine's memory.)"""
