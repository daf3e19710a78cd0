"""A web process that ends tells each socket why (1012, service restart), so that its client dials again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests import people
from tests.wire.gateway.dialling import call, dial, in_thread
from workers.console import gateway


async def closing_code(socket: ClientConnection) -> int | None:
    """Return with which code the server closes a socket; what it sends before is read."""
    with contextlib.suppress(ConnectionClosed):
        async for _frame in socket:
            pass
    return socket.close_code


async def test_sockets_of_wallets_and_of_nodes_clients_are_closed_with_1012(web: Any) -> None:
    wallet = await in_thread(people.token)("read", of="wallet")
    client = await in_thread(people.token)("read", of="client")
    node = web.ws.replace("/rpc/v1", "/rpc/v0")

    async with (
        dial(web, wallet) as hub,
        connect(node, additional_headers=people.bearer(client), proxy=None) as rpc,
    ):
        assert "result" in await call(hub, "Gateway.Version")
        stopping = asyncio.create_task(asyncio.to_thread(web.stop))
        codes = list(await asyncio.gather(closing_code(hub), closing_code(rpc)))
        await stopping

    assert codes == [1012, 1012]


async def test_signers_and_provers_dial_again_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 40:
            raise asyncio.CancelledError

    async def serve(_socket: ClientConnection) -> None:
        pytest.fail("nobody listens there")

    monkeypatch.setattr("workers.console.gateway.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await gateway.dial_forever("ws://127.0.0.1:1", token=lambda: "t", serve=serve)

    assert len(set(pauses)) > 30
    assert min(pauses[20:]) >= gateway.LAST_PAUSE_S / 2
    assert max(pauses) <= gateway.LAST_PAUSE_S
