"""Who calls over JSON-RPC: known for a moment, and put out once the token is good no more.

A call costs no query while its caller is cached.  The cache is emptied when anybody's access changes, which
Redis reports; only while the process hears Redis is anything cached, and never for longer than CACHED_S, by
which an expiry may come late.  Sockets outlive the moment in which their token was checked: those whose token
was revoked are closed.  Source: filecoin-project/venus issue 4862, where a deleted token's connections go on
for ever.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from typing import Final

import structlog
from django.db import Error as DatabaseError

from apps.api.callers import principal_from_token
from apps.api.rpc.limits import SOCKET_RATES
from apps.api.rpc.services.gateway.miners import channels_end
from apps.api.rpc.transport.socket_state import SocketState
from apps.core import clock
from apps.core.database_threads import in_database, in_steady
from apps.core.event_loops import PerLoop
from apps.users.rules.principals import Principal
from apps.users.selectors.tokens import tokens_outdated
from apps.users.services.access import AccessChanges

log = structlog.get_logger(__name__)

CACHED_S: Final = 1.0
MOST: Final = 10_000
"""Callers that are remembered; with more all are forgotten."""
LISTEN_S: Final = 5.0
"""Longest wait for a change before the subscription is looked at again."""
REGULAR_S: Final = 15.0
"""How often all tokens are checked without a hint: expiry makes none, and Redis may be away."""
AGAIN_S: Final = 1.0
"""When they are checked again after the database was away."""
CLOSE_REVOKED: Final = 4401


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
            self._known[key] = (time.monotonic() + CACHED_S, principal)
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


class RevocationWatch:
    """The open sockets of one loop."""

    def __init__(self) -> None:
        self.sockets: set[SocketState] = set()
        self.by_tenant: Counter[str] = Counter()
        """Open sockets of each tenant."""
        self.task: asyncio.Task[None] | None = None

    def add(self, socket: SocketState) -> None:
        """Watch a socket from now on."""
        self.sockets.add(socket)
        self.by_tenant[socket.principal.tenant_name] += 1
        if self.task is None:
            self.task = asyncio.create_task(self.run())

    def remove(self, socket: SocketState) -> None:
        """Watch it no longer; without sockets there is nothing to do."""
        self.sockets.discard(socket)
        name = socket.principal.tenant_name
        self.by_tenant[name] -= 1
        if not self.by_tenant[name]:
            del self.by_tenant[name]
            SOCKET_RATES.forget(name)
        if not self.sockets and self.task is not None:
            self.task.cancel()
            self.task = None

    async def run(self) -> None:
        """Check for revocations until the last socket is gone."""
        changes, due_at = AccessChanges(), time.monotonic() + REGULAR_S
        try:
            while True:
                is_changed = await changes.wait(max(0.0, due_at - time.monotonic()))
                if is_changed or time.monotonic() >= due_at:
                    due_at = time.monotonic() + await self.check_or_retry()
        finally:
            await asyncio.shield(changes.close())

    async def check_or_retry(self) -> float:
        """Check all tokens; returns the seconds until the next check without a hint."""
        try:
            await self.check()
        except DatabaseError as error:
            log.warning("revocations_not_checked", reason=str(error))
            return AGAIN_S
        return REGULAR_S

    async def check(self) -> None:
        """Close the sockets whose token is not good or lost a miner, and end channels of others' miners."""
        tokens = {token_of(socket) for socket in self.sockets if socket.principal.token_id}
        bad = await in_steady(tokens_outdated, tokens, now=clock.now())
        for socket in [socket for socket in self.sockets if token_of(socket) in bad]:
            log.info("rpc_socket_revoked", actor=socket.principal.actor)
            await socket.close(CLOSE_REVOKED, "this token is no longer valid")
        await channels_end([socket for socket in self.sockets if socket.is_open])


def token_of(socket: SocketState) -> tuple[str, tuple[int, ...]]:
    """Return the token of a socket and the miners that it was limited to when the socket opened."""
    return socket.principal.token_id, socket.principal.miners


revocation_watch: Final = PerLoop(RevocationWatch)
