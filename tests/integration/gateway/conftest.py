"""A web process of the hub on a free port, and signers that dial it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from apps.gateway.switch import switch_here
from poolsite.asgi import application
from tests import people
from workers.signer.hub import HubLink
from workers.signer.policy import DEFAULT
from workers.signer.sealing import Cost
from workers.signer.signing import Signer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

CHEAP = Cost(time=1, memory_kib=8, lanes=1)


class WebProcess:
    """The site under uvicorn in a thread with a loop of its own, as a web process is."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        config = uvicorn.Config(
            application,
            log_config=None,
            lifespan="off",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """Serve until asked to stop; end what the loop still does."""

        async def whole() -> None:
            await self.server.serve(sockets=[self.socket])
            await switch_here().stop()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run(whole())

    def start(self) -> None:
        """Return once it takes connections."""
        self.thread.start()
        until = time.monotonic() + 10
        while not self.server.started and time.monotonic() < until:
            time.sleep(0.01)
        assert self.server.started

    def stop(self) -> None:
        """Stop it as SIGTERM does."""
        self.server.should_exit = True
        self.thread.join(10)

    @property
    def ws(self) -> str:
        """Where signers dial."""
        return f"ws://127.0.0.1:{self.port}/rpc/v1"

    @property
    def url(self) -> str:
        """Where programs post."""
        return f"http://127.0.0.1:{self.port}/rpc/v1"


@pytest.fixture
def web_start(transactional_db: None, pool_redis: str) -> Iterator[Callable[[], WebProcess]]:
    """Start web processes."""
    started: list[WebProcess] = []

    def start() -> WebProcess:
        process = WebProcess()
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def web(web_start: Callable[[], WebProcess]) -> WebProcess:
    """One web process."""
    return web_start()


def signer_make(folder: Path, *types: str) -> Signer:
    """An unlocked signer with a key of each type."""
    folder.mkdir(exist_ok=True)
    (folder / "policy.toml").write_text(DEFAULT)
    signer = Signer(folder, cost=CHEAP)
    signer.store.password_set("password")
    for key_type in types:
        signer.store.add(people.key(key_type))
    return signer


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[Signer]:
    """A signer with a BLS and a secp256k1 key."""
    made = signer_make(tmp_path / "signer", "bls", "secp256k1")
    yield made
    made.close()


@contextlib.asynccontextmanager
async def connected(signer: Signer, web: WebProcess, token: str, **options: Any) -> AsyncIterator[HubLink]:
    """A signer that the hub has taken."""
    link = HubLink(signer, url=web.ws, token=lambda: token, **options)
    running = asyncio.create_task(link.run())
    try:
        await asyncio.wait_for(link.is_connected.wait(), 15)
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
