"""What callers may use of a web process: memory for large requests, and frames that a socket sends.

A single request has a limit of its own; many at once would still fill the machine.  Small requests are never
refused, so a caller with large ones holds up nobody's signatures.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog
from django.conf import settings

from apps.core.errors import NotReachable
from poolsite.wire.leaky_bucket import LeakyBucket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Receive = Callable[[], Awaitable[dict[str, object]]]

log = structlog.get_logger(__name__)

FREE_BYTES: Final = 64 << 10
"""Of each request, not counted: all but batches of messages are smaller."""
ARRIVAL_S: Final = 60.0
"""Time for a body to arrive; a mebibyte takes a slow line some seconds."""
SOCKET_WAIT_S: Final = 10.0
"""How long a socket's large frame waits for others to be answered."""
RETRY_EVERY_S: Final = 0.05
TENANT_SHARE: Final = 2
"""One tenant may use this fraction of a budget: a half."""

FRAMES_PER_S: Final = 2_000
"""Of one socket: four times what all signers of a process answer together, and a tenth of its core."""
FRAMES_AT_ONCE: Final = 4_000
"""After a pause: one selection asks one signer for a thousand signatures."""
TENANT_TIMES: Final = 5
"""All sockets of a tenant together may send this many times as much as one."""
LOG_EVERY_S: Final = 60.0
"""How often the log says that a socket is throttled."""


class Overloaded(NotReachable):
    """The large requests in progress use up their memory budget."""

    code = "overloaded"


class MemoryBudget:
    """Bytes of requests in progress, in all and by tenant; belongs to one event loop."""

    def __init__(self, setting: str) -> None:
        self.setting = setting
        """Name of the setting with the size of the budget."""
        self.used: Counter[str] = Counter()

    def add(self, owner: str, size: int) -> None:
        """Count more bytes.  Raises Overloaded."""
        most: int = getattr(settings, self.setting)
        if self.used.total() + size > most or self.used[owner] + size > most // TENANT_SHARE:
            raise Overloaded(f"the {most} bytes available for large requests are in use: try again")
        self.used[owner] += size

    def release(self, owner: str, size: int) -> None:
        """Count fewer bytes."""
        self.used[owner] -= size
        if not self.used[owner]:
            del self.used[owner]

    @contextmanager
    def reservation(self) -> Iterator[Reservation]:
        """Return the reservation of one request, released when that is answered."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            reservation.release()


class Reservation:
    """The bytes that one request takes of a budget."""

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget = budget
        self.owner = ""
        self.seen = self.counted = 0

    def grow(self, owner: str, size: int) -> None:
        """Count what arrived.  Raises Overloaded."""
        self.owner = owner
        more = max(self.seen + size - FREE_BYTES, 0) - self.counted
        if more:
            self.budget.add(owner, more)
        self.seen += size
        self.counted += more

    async def grow_or_wait(self, owner: str, size: int) -> None:
        """Count a frame; wait up to SOCKET_WAIT_S for others to be answered.  Raises Overloaded."""
        for _ in range(int(SOCKET_WAIT_S / RETRY_EVERY_S)):
            try:
                self.grow(owner, size)
            except Overloaded:
                await asyncio.sleep(RETRY_EVERY_S)
            else:
                return
        self.grow(owner, size)

    def release(self) -> None:
        """Return all bytes to the budget."""
        if self.counted:
            self.budget.release(self.owner, self.counted)
            self.counted = 0


MEMORY: Final = MemoryBudget("RPC_INFLIGHT_MAX_BYTES")
"""This process' budget.  (Module state: every request of a web process shares the machine's memory.)"""


class SocketRates:
    """How many frames sockets may send in a second: what is more waits in the network, and nothing is lost.

    Rates of users count calls; a frame that is none (an answer, a cancellation, nonsense) costs time too.
    """

    def __init__(self) -> None:
        self.of_tenants: dict[str, LeakyBucket] = {}
        """Shared by all sockets of a tenant."""
        self.logged_at = -LOG_EVERY_S

    def throttled(self, receive: Receive, *, tenant: str) -> Receive:
        """Return a socket's `receive` that waits before it reads on, once too much has come."""
        own = LeakyBucket(FRAMES_PER_S, FRAMES_AT_ONCE)
        others = LeakyBucket(TENANT_TIMES * FRAMES_PER_S, TENANT_TIMES * FRAMES_AT_ONCE)
        shared = self.of_tenants.setdefault(tenant, others)

        async def throttled_receive() -> dict[str, object]:
            event = await receive()
            now = time.monotonic()
            wait_s = max(own.wait_s(now), shared.wait_s(now))
            if wait_s:
                if now - self.logged_at > LOG_EVERY_S:
                    self.logged_at = now
                    log.warning("rpc_socket_throttled", tenant=tenant)
                await asyncio.sleep(wait_s)
            return event

        return throttled_receive

    def forget(self, tenant: str) -> None:
        """Drop a tenant's bucket when its last socket closes."""
        self.of_tenants.pop(tenant, None)


SOCKET_RATES: Final = SocketRates()
"""This process' rates.  (Module state: a tenant's sockets share a bucket.)"""
