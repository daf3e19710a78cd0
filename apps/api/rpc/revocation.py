"""Sockets outlive the moment in which their token was checked: this closes those whose token went bad.

Source: filecoin-project/venus issue 4862, where a deleted token's connections go on for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import structlog
from django.db import Error as DatabaseError

from apps.api.rpc.limits import SOCKET_RATES
from apps.api.rpc.services.gateway.miners import channels_end
from apps.core import clock
from apps.core.database_threads import in_database
from apps.core.event_loops import PerLoop
from apps.users.access import AccessChanges
from apps.users.selectors import tokens_outdated

if TYPE_CHECKING:
    from apps.api.rpc.transport.socket_state import SocketState

log = structlog.get_logger(__name__)

REGULAR_S: Final = 15.0
"""How often all tokens are checked without a hint: expiry makes none, and Redis may be away."""
AGAIN_S: Final = 1.0
"""When they are checked again after the database was away."""
CLOSE_REVOKED: Final = 4401


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
        bad = await in_database(tokens_outdated, tokens, now=clock.now())
        for socket in [socket for socket in self.sockets if token_of(socket) in bad]:
            log.info("rpc_socket_revoked", actor=socket.principal.actor)
            await socket.close(CLOSE_REVOKED, "this token is no longer good")
        await channels_end([socket for socket in self.sockets if socket.is_open])


def token_of(socket: SocketState) -> tuple[str, tuple[int, ...]]:
    """Return the token of a socket and the miners that it was limited to when the socket opened."""
    return socket.principal.token_id, socket.principal.miners


revocation_watch: Final = PerLoop(RevocationWatch)
