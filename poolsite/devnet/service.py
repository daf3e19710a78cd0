"""A devnet at work: one thread mines by the clock, another answers JSON-RPC.

with Service(node, port=0) as service:   # in-process, for tests; mining="paused" leaves time to the test
    httpx.post(service.url, json=...)
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final

import uvicorn

from poolsite.devnet.server import Server

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet

BACKLOG: Final = 512
START_TIMEOUT_S: Final = 10
STOP_TIMEOUT_S: Final = 5


class Service:
    """Runs a node until it is closed; the node itself stays open."""

    def __init__(self, node: Devnet, *, host: str = "127.0.0.1", port: int = 0, mining: str = "auto") -> None:
        """Bind the address now.  Raises OSError if it is taken."""
        self.node = node
        node.faults.mining = mining
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind((host, port))
            self.socket.listen(BACKLOG)  # two may bind one address, only one may listen there
        except OSError:
            self.socket.close()
            raise
        config = uvicorn.Config(
            Server(node),
            log_level="warning",
            access_log=False,
            lifespan="on",
            ws_max_size=64 << 20,
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)
        self._threads = (
            threading.Thread(target=self._serve, name="devnet-rpc", daemon=True),
            threading.Thread(target=node.run, name="devnet-mining", daemon=True),
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self.socket.getsockname()[:2]
        return host, port

    @property
    def url(self) -> str:
        """The node's JSON-RPC address for HTTP; replace http by ws for WebSocket."""
        host, port = self.address
        return f"http://{host}:{port}/rpc/v1"

    def start(self) -> Service:
        """Begin to answer and to mine; returns when the first request would be answered."""
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """Stop both and wait for them."""
        self.node.stop()
        self.server.should_exit = True
        for thread in self._threads:
            if thread.is_alive():
                thread.join(STOP_TIMEOUT_S)
        self.socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(SystemExit):
            self.server.run(sockets=[self.socket])

    def __enter__(self) -> Service:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
