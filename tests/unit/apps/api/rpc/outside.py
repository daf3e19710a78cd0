"""Programs outside the pool that call its node interface, without HTTP: a call is its handler's."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from channels.db import database_sync_to_async

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.messager import waits
from apps.api.rpc.services.node import own_messages, proxy, pushes
from apps.api.rpc.services.node.proxy import PREFIX
from apps.api.rpc.services.node.table import NODE
from apps.messages.models import Message
from tests.messaging import RECEIVER, Pool, pool_world
from tests.people import principal

ZERO = {"Version": 0, "Nonce": 0, "GasLimit": 0, "GasFeeCap": "0", "GasPremium": "0", "Params": None}
ENOUGH_S = 30


@contextmanager
def outside_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Return a pool in which a selection runs as soon as it is asked for."""
    monkeypatch.setattr(waits, "CHECK_ANYWAY_S", 0.05)
    monkeypatch.setattr(own_messages, "OPEN_CHECK_S", 0.05)
    proxy.NODES.clear()
    proxy.OBJECT_CACHE.clear()
    with pool_world(monkeypatch) as pool:
        monkeypatch.setattr(pushes, "selection_enqueue", lambda _address: pool.choose())
        yield pool
    proxy.NODES.clear()


def in_thread(work: Any) -> Any:
    return database_sync_to_async(work, thread_sensitive=False)


def caller(name: str = "alice", **row: Any) -> Call:
    return Call(principal(name, **row), "v1", on_socket=True)


async def ask(method: str, *params: Any, of: Call | None = None) -> Any:
    handler = NODE.methods[f"{PREFIX}{method}"].handler
    call = of or await in_thread(caller)()
    answer = (
        handler(call, *params) if asyncio.iscoroutinefunction(handler) else in_thread(handler)(call, *params)
    )
    return await asyncio.wait_for(answer, ENOUGH_S)


async def ask_and_leave(method: str, *params: Any) -> None:
    """Ask as a caller that is cut off once its message is written."""
    asked = asyncio.create_task(ask(method, *params))
    async with asyncio.timeout(ENOUGH_S):
        while not await in_thread(Message.objects.exists)():
            await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


def unsigned(address: str, **fields: Any) -> dict[str, Any]:
    return {**ZERO, "To": RECEIVER, "From": address, "Value": "5", "Method": 0, **fields}


def spec() -> dict[str, Any]:
    return {"MsgUuid": str(uuid.uuid4()), "MaxFee": "0"}


async def landed(pool: Pool, address: str, *, heads: int = 2, **fields: Any) -> dict[str, Any]:
    """Push a message and mine until it is on chain; returns its CID."""
    signed = await ask("MpoolPushMessage", unsigned(address, **fields), spec())
    for _ in range(heads):
        await in_thread(pool.step)()
    cid: dict[str, Any] = signed["CID"]
    return cid
