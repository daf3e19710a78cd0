"""Threads for plain handlers: one tenant's calls may hold half of them, the rest wait in the event loop.

Handlers that wait for nodes have threads of their own, so that a node that hangs holds up no other method.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakValueDictionary

from apps.api.rpc.limits import TENANT_SHARE
from apps.core.database_threads import DatabaseThreads
from apps.core.event_loops import PerLoop


class TenantSlots:
    """How many of a tenant's calls may be in progress at a time; later ones wait their turn."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._semaphores: PerLoop[WeakValueDictionary[str, asyncio.Semaphore]] = PerLoop(WeakValueDictionary)

    def of(self, tenant: str) -> asyncio.Semaphore:
        """Return a tenant's semaphore, which lives as long as a call holds it."""
        return self._semaphores().setdefault(tenant, asyncio.Semaphore(self._most))


class TenantThreads:
    """Threads of which each tenant has a share."""

    def __init__(self, name: str, workers: int, *, slots: int = 0) -> None:
        """`slots`: how many of them a tenant may hold; 0: its share."""
        self._threads = DatabaseThreads(name, workers)
        self._slots = TenantSlots(slots or workers // TENANT_SHARE)

    async def run(self, tenant: str, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what `work` returns.  Raises what it raises."""
        slots = self._slots.of(tenant)
        await slots.acquire()
        task = asyncio.create_task(self._threads(work, *args, **kwargs))

        def done(ended: asyncio.Task[Any]) -> None:
            slots.release()
            if not ended.cancelled():
                ended.exception()  # its caller may have left

        task.add_done_callback(done)
        # A thread is not cancelled with its caller: the slot is free when the thread is.
        return await asyncio.shield(task)


PLAIN_THREADS: Final = TenantThreads("rpc", 32)
"""For calls that share an event loop."""
NODE_THREADS: Final = TenantThreads("rpc-node", 64)
"""For those of them that a node or a signer answers."""
LONG_THREADS: Final = TenantThreads("rpc-long", 64)
"""For those of them that a node may take minutes for."""
COSTLY_THREADS: Final = TenantThreads("rpc-costly", 8, slots=1)
"""Threads for costly reads; a tenant may hold one."""
RATE_THREADS: Final = DatabaseThreads("rpc-rates", 32, keeps_connections=True)
"""For counting calls against rate limits, before their handlers run."""
