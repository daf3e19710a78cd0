"""Web processes of the hub on free ports, and signers that dial them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub import WebProcess
from tests.keys import fixed_key
from workers.signer.default_policy import DEFAULT
from workers.signer.encryption import Cost
from workers.signer.gateway import GatewayLink
from workers.signer.signing import Signer

CHEAP = Cost(time=1, memory_kib=8, lanes=1)


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
        signer.store.add(fixed_key(key_type))
    return signer


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[Signer]:
    """A signer with a BLS and a secp256k1 key."""
    made = signer_make(tmp_path / "signer", "bls", "secp256k1")
    yield made
    made.close()


@contextlib.asynccontextmanager
async def connected(
    signer: Signer, web: WebProcess, token: str, **options: Any
) -> AsyncIterator[GatewayLink]:
    """A signer that the hub has taken."""
    link = GatewayLink(signer, url=web.ws, token=lambda: token, **options)
    running = asyncio.create_task(link.run())
    try:
        await asyncio.wait_for(link.is_connected.wait(), 60)
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
