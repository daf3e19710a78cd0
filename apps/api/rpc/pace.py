"""How many frames a socket may send in a second: what is more waits in the network, and nothing is lost.

Rates count calls; a frame that is none (an answer, a cancellation, nonsense) costs a process its time too.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.wire.leaky_bucket import LeakyBucket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[], Awaitable[dict[str, object]]]

log = structlog.get_logger(__name__)

FRAMES_PER_S: Final = 2_000
"""Of one socket: four times what all signers of a process answer together, and a tenth of its core."""
FRAMES_AT_ONCE: Final = 4_000
"""After a pause: a round asks one signer for a thousand signatures."""
TENANT_TIMES: Final = 5
"""All sockets of a tenant together may send so many times as much as one."""
SAID_EVERY_S: Final = 60.0
"""How often the log says that a socket is held back."""


class SocketRates:
    """The paces of a loop's sockets, and those that each tenant's sockets share."""

    def __init__(self) -> None:
        self.of_tenants: dict[str, LeakyBucket] = {}
        self.said_at = -SAID_EVERY_S

    def held_back(self, receive: Receive, *, tenant: str) -> Receive:
        """Give a socket's `receive` that waits before it reads on, once too much has come."""
        own = LeakyBucket(FRAMES_PER_S, FRAMES_AT_ONCE)
        others = LeakyBucket(TENANT_TIMES * FRAMES_PER_S, TENANT_TIMES * FRAMES_AT_ONCE)
        shared = self.of_tenants.setdefault(tenant, others)

        async def paced() -> dict[str, object]:
            event = await receive()
            now = time.monotonic()
            wait_s = max(own.wait_s(now), shared.wait_s(now))
            if wait_s:
                if now - self.said_at > SAID_EVERY_S:
                    self.said_at = now
                    log.warning("rpc_socket_held_back", tenant=tenant)
                await asyncio.sleep(wait_s)
            return event

        return paced

    def forget(self, tenant: str) -> None:
        """A tenant's last socket is gone."""
        self.of_tenants.pop(tenant, None)


SOCKET_RATES: Final = SocketRates()
"""This process' paces.  (Module state: a tenant's sockets share one.)"""
