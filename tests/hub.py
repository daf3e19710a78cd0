"""A web process of the site on a free port, in a thread, with a loop of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import uvicorn

from apps.gateway.providers.hub_node import hub_node
from poolsite.asgi import application
from poolsite.http_limits import LimitedHttp
from poolsite.websocket_limits import LimitedWebSocket
from tests.certificate import Certificate


class WebProcess:
    """The site under uvicorn in a thread with a loop of its own, as a web process is."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        self.socket = socket.socket(proto=socket.IPPROTO_TCP)  # only so asyncio turns Nagle off
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        config = uvicorn.Config(
            application,
            log_config=None,
            lifespan="off",
            http=LimitedHttp,
            ws=LimitedWebSocket,
            ws_per_message_deflate=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
            ssl_certfile=None if certificate is None else certificate.both,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """Serve until asked to stop; end what the loop still does."""

        async def whole() -> None:
            await self.server.serve(sockets=[self.socket])
            await hub_node().stop()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        with asyncio.Runner(loop_factory=self.server.config.get_loop_factory()) as runner:
            runner.run(whole())

    def start(self) -> None:
        """Return once it takes connections."""
        self.thread.start()
        until = time.monotonic() + 60
        while not self.server.started and time.monotonic() < until:
            time.sleep(0.01)
        assert self.server.started

    def stop(self) -> None:
        """Stop it as SIGTERM does."""
        self.server.should_exit = True
        self.thread.join(60)

    @property
    def ws(self) -> str:
        """Where signers dial."""
        return f"ws://127.0.0.1:{self.port}/rpc/v1"

    @property
    def url(self) -> str:
        """Where programs post."""
        return f"http://127.0.0.1:{self.port}/rpc/v1"
