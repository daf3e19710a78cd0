"""Callers that this process knows for a moment, so that a call costs no query.

What is remembered is forgotten at once when anybody's access changes: Redis tells it.  Only while that is
heard anything is remembered, and never for longer than KEPT_S, by which an expiry may come late.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Final

from apps.api.callers import principal_from_token
from apps.core.database_threads import in_database
from apps.core.event_loops import PerLoop
from apps.users.access import AccessChanges

if TYPE_CHECKING:
    from apps.users.principals import Principal

KEPT_S: Final = 1.0
MOST: Final = 10_000
"""Callers that are remembered; with more all are forgotten."""
LISTEN_S: Final = 5.0
"""Longest wait for a change before the subscription is looked at again."""


class CallerCache:
    """The callers that one event loop remembers."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, str], tuple[float, Principal]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._hears = False
        self._changes = 0
        """Counts what was heard: who was looked up before a change is not remembered after it."""

    async def principal(self, text: str, source: str) -> Principal:
        """Return who holds a token.  Raises TokenRefused."""
        if self._listening is None or self._listening.done():
            self._hears = False
            self._listening = asyncio.create_task(self._listen())
        key = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), source)
        until, found = self._known.get(key, (0.0, None))
        if found is not None and time.monotonic() < until:
            return found
        heard = self._changes
        principal = await in_database(principal_from_token, text, source=source)
        if self._hears and heard == self._changes:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = (time.monotonic() + KEPT_S, principal)
        return principal

    async def _listen(self) -> None:
        """Forget everybody whenever access changes, or may have changed unheard."""
        changes = AccessChanges()
        try:
            while True:
                if await changes.wait(LISTEN_S):
                    self._changes += 1
                    self._known.clear()
                    self._hears = True
                elif changes.subscription is None:
                    self._hears = False
                    self._known.clear()
        finally:
            self._hears = False
            self._known.clear()
            await asyncio.shield(changes.close())


caller_cache: Final = PerLoop(CallerCache)
