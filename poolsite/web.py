"""One web process: the ASGI app on sockets that the supervisor has bound (one, or one per old port).

Several of these share the same sockets, so a second process is a second child, not `--workers`.
Run: python -m poolsite.web FD [FD ...]
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
from types import FrameType
from typing import Final

import uvicorn
from django.conf import settings
from django.urls import get_resolver

from apps.core.liveness import HEARTBEAT_EVERY_S, heartbeat_send, notify_ready
from apps.core.process_leases import lease_keep
from apps.core.processes import ProcessWatch
from poolsite.asgi import application, console_keep, job_wait, wallets_serve
from poolsite.http_limits import LimitedHttp
from poolsite.tracing import tracing_start
from poolsite.tracing.tasks import tasks_trace
from poolsite.websocket_limits import LimitedWebSocket

COLLECT: Final = (5_000, 20, 50)
"""Thresholds of the three generations: the youngest takes a millisecond, the oldest comes rarely."""
FIRST: Final = "web-1"
"""The web process that watches the others, keeps its machine's row and is connected to remote wallets."""

WATCH_EVERY_S: Final = 0.5
"""A page shows a restart within a second."""
KEPT_S: Final = 30
"""How long an idle connection stays: longer than a host's from one heartbeat to the next."""
TICK_S: Final = 1.0
UVICORN_TICKS: Final = 10
"""Of uvicorn's ticks, which are a tenth of a second apart; with each tenth it renews the date header."""


class WebServer(uvicorn.Server):
    """Reports that it is ready once it accepts, and sends heartbeats from its event loop."""

    loop: asyncio.AbstractEventLoop | None = None
    woken: asyncio.Event

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, then tell the supervisor."""
        await super().startup(sockets=sockets)
        self.lease_end = lease_keep()
        self.living = [asyncio.create_task(self.live())]
        if settings.PROCESS_NAME == FIRST:
            self.living.append(asyncio.create_task(self.watch()))
            self.living.append(asyncio.create_task(console_keep()))
            self.living.append(asyncio.create_task(wallets_serve()))
        notify_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what runs, then give the lease back: uvicorn ends by the signal that it got."""
        await super().shutdown(sockets=sockets)
        await asyncio.to_thread(self.lease_end)

    async def main_loop(self) -> None:
        """Tick once a second, and at once after a signal: uvicorn's own loop ticks ten times a second."""
        self.loop, self.woken, counter = asyncio.get_running_loop(), asyncio.Event(), 0
        while not await self.on_tick(counter):
            counter = (counter + UVICORN_TICKS) % 864_000
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self.woken.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal and end the wait."""
        super().handle_exit(sig, frame)
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.woken.set)
            self.loop.call_soon_threadsafe(job_wait.end)

    async def live(self) -> None:
        """Send a heartbeat every few seconds: a loop that hangs sends none."""
        while not self.should_exit:
            await asyncio.to_thread(heartbeat_send)
            await asyncio.sleep(HEARTBEAT_EVERY_S)

    async def watch(self) -> None:
        """Publish which processes ended or came back; one web process does it for all."""
        watch = ProcessWatch()
        while not self.should_exit:
            await asyncio.to_thread(watch.changes_publish)
            await asyncio.sleep(WATCH_EVERY_S)


def memory_settle() -> None:
    """Exempt what was loaded at the start from garbage collection, and collect less often.

    A full collection walks every object: 57 ms of a loaded site, in which nobody is answered; at 80 % load
    the queue behind it lasts five times as long.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


def main(descriptors: list[int]) -> None:
    """Serve until SIGTERM: sockets are closed with 1012 (service restart), requests get 3 s to end."""
    config = uvicorn.Config(
        application,
        lifespan="off",  # Channels' router refuses that scope
        http=LimitedHttp,
        ws=LimitedWebSocket,
        ws_max_size=settings.RPC_REQUEST_MAX_BYTES,
        ws_per_message_deflate=False,  # compressing per socket triples the cost of a pushed frame
        timeout_keep_alive=KEPT_S,
        timeout_graceful_shutdown=3,
        log_config=None,  # structlog owns the root logger
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the app reads them itself, behind what goes by the connection's own address
    )
    tracing_start(settings.PROCESS_NAME)
    tasks_trace()
    get_resolver().url_patterns  # noqa: B018  # loads every view now instead of under the first request
    memory_settle()
    WebServer(config).run(sockets=[socket.socket(fileno=number) for number in descriptors])


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
