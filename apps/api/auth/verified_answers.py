"""Answers that let a token pass, kept as long as both tokens in them stand."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from django.db import Error as DatabaseError

from apps.core import clock
from apps.core.database_threads import in_database
from apps.core.event_loops import PerLoop
from apps.users.selectors.tokens import tokens_refused
from apps.users.services.access import AccessChanges

if TYPE_CHECKING:
    from collections.abc import Iterator

    Key = tuple[bytes, bytes]

log = structlog.get_logger(__name__)

CONFIRM_S: Final = 0.4
"""How often all known answers are confirmed."""
GOOD_S: Final = 0.9
"""How long a confirmation holds: nothing that was revoked is answered later, whatever is away."""
CACHED_S: Final = 60.0
"""After so long Django's route is asked again, which also notes the token's use."""
WAIT_S: Final = 2.0
"""How long a question waits for another's answer, or for a confirmation, before it goes to Django itself."""
IDLE_S: Final = 120.0
"""Without a question for so long nothing is confirmed any more."""
MOST: Final = 10_000
"""Answers that are kept; with more all are forgotten."""


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer that may be given again."""

    tokens: tuple[str, ...]
    """Ids of the caller's and of the verified token."""
    until: float
    head: list[tuple[bytes, bytes]]
    body: bytes


class Answers:
    """What one event loop knows."""

    def __init__(self) -> None:
        self.cached: dict[Key, CachedAnswer] = {}
        self.good_until = 0.0
        self.used_at = 0.0
        self.changes = 0
        """Counts what was heard: what was read before a change is not cached after it."""
        self.confirming: asyncio.Task[None] | None = None
        self.in_progress: dict[Key, asyncio.Future[None]] = {}
        """Questions that are before Django now."""
        self.checked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done at the end of the look that comes next."""

    async def find(self, key: Key) -> CachedAnswer | None:
        """Return a known answer; waits where it is being asked for or confirmed: one query serves all."""
        self.used_at = time.monotonic()
        if (running := self.in_progress.get(key)) is not None:
            await asyncio.wait([running], timeout=WAIT_S)
        if key in self.cached and not self.is_good:
            await asyncio.wait([self.checked], timeout=WAIT_S)
        found = self.cached.get(key)
        return found if found is not None and self.is_good and time.monotonic() < found.until else None

    @property
    def is_good(self) -> bool:
        """Return whether what is kept was confirmed lately."""
        return time.monotonic() < self.good_until

    @contextlib.contextmanager
    def first(self, key: Key | None) -> Iterator[None]:
        """Share one answer among requests for the same token."""
        if key is None or key in self.in_progress:
            yield
            return
        done = self.in_progress[key] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            del self.in_progress[key]
            done.set_result(None)

    def store(self, key: Key, answer: CachedAnswer, *, heard: int) -> None:
        """Store an answer that was read when `heard` changes were known."""
        if self.confirming is None or self.confirming.done():
            self.confirming = asyncio.create_task(self.confirm())
        if heard != self.changes:
            return
        if len(self.cached) >= MOST:
            self.cached.clear()
        self.cached[key] = answer

    async def confirm(self) -> None:
        """Check all tokens regularly, and at once when somebody's access changed."""
        changes = AccessChanges()
        try:
            while time.monotonic() - self.used_at < IDLE_S:
                await self.check()
                if await changes.wait(CONFIRM_S):
                    self.changes += 1
                    self.good_until = 0.0
        finally:
            self.cached.clear()
            self.good_until = 0.0
            await asyncio.shield(changes.close())

    async def check(self) -> None:
        """Forget the answers that hold no longer."""
        started, heard = time.monotonic(), self.changes
        ids = {token for answer in self.cached.values() for token in answer.tokens}
        try:
            refused = await in_database(tokens_refused, ids, now=clock.now())
        except DatabaseError as error:
            log.warning("verified_tokens_not_confirmed", reason=str(error))
            return
        finally:
            self.checked.set_result(None)
            self.checked = asyncio.get_running_loop().create_future()
        over = [
            key
            for key, answer in self.cached.items()
            if answer.until < started or not refused.isdisjoint(answer.tokens)
        ]
        for key in over:
            del self.cached[key]
        if heard == self.changes:
            self.good_until = started + GOOD_S


answers_of_loop: Final = PerLoop(Answers)
