"""What one tenant's sockets may hold and ask for: their number, pace and room; others are answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from apps.api.rpc.limits import MEMORY
from apps.api.rpc.transport.websocket import sockets_close
from poolsite.websocket_limits import PARTIAL_FRAMES
from tests import people
from tests.wire.gateway.dialling import call, dial, in_thread


@pytest.fixture
def token(transactional_db: None) -> str:
    """A wallet's token."""
    return people.token("read", of="wallet")


async def test_a_tenant_holds_so_many_sockets_and_gets_its_place_back(web, token, monkeypatch, caplog):
    monkeypatch.setattr("apps.api.rpc.transport.websocket.SOCKETS_MAX", 2)

    async with dial(web, token) as first, dial(web, token):
        with pytest.raises(InvalidStatus) as refusal:
            await dial(web, token).__aenter__()
        await first.close()
        for _ in range(1200):
            try:
                async with dial(web, token) as third:
                    answer = await call(third, "Gateway.Version")
                break
            except InvalidStatus:
                await asyncio.sleep(0.05)

    assert (refusal.value.response.status_code, refusal.value.response.headers["Retry-After"]) == (429, "10")
    assert answer["result"]["APIVersion"] == 0
    assert [line.getMessage() for line in caplog.records if line.levelname == "ERROR"] == []


async def test_a_machine_without_redis_takes_no_socket_and_ends_those_it_has(web, token, monkeypatch):
    """A client that reconnects is sent to another machine by the proxy."""
    hub = SimpleNamespace(is_cut_off=False, cut_off=None)
    monkeypatch.setattr("apps.api.rpc.transport.websocket.hub_node", lambda: hub)

    async with dial(web, token) as socket:
        await call(socket, "Gateway.Version")
        hub.is_cut_off = True
        with pytest.raises(InvalidStatus) as refusal:
            await dial(web, token).__aenter__()
        await hub.cut_off()
        with pytest.raises(ConnectionClosed) as ended:
            await asyncio.wait_for(socket.recv(), 60)

    assert refusal.value.response.status_code == 503
    assert b"does not reach Redis" in refusal.value.response.body
    assert (rcvd := ended.value.rcvd) is not None
    assert rcvd.code == 1013


async def test_a_socket_that_is_dead_already_keeps_no_other_from_its_end():
    ended = []

    class Socket:
        def __init__(self, error=None):
            self.error = error

        async def close(self, code, _reason):
            if self.error:
                raise self.error
            ended.append(code)

    watch: Any = SimpleNamespace(sockets=[Socket(RuntimeError("closed")), Socket()])
    await sockets_close(watch)

    assert ended == [1013]


async def test_large_frames_wait_for_room_and_are_refused_when_none_comes(web, token, settings, monkeypatch):
    settings.RPC_INFLIGHT_MAX_BYTES = 1 << 20
    monkeypatch.setattr("apps.api.rpc.limits.SOCKET_WAIT_S", 0.2)
    large = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "Gateway.Version", "params": []})
    large += " " * 300_000

    async with dial(web, token) as socket:
        for _ in range(4):  # each has gone when the next one comes
            await socket.send(large)
            assert "result" in json.loads(await asyncio.wait_for(socket.recv(), 60))
        await socket.send(large + " " * 400_000)
        with pytest.raises(ConnectionClosed) as ended:
            await asyncio.wait_for(socket.recv(), 60)

    assert (rcvd := ended.value.rcvd) is not None
    assert (rcvd.code, bool(MEMORY.used)) == (1013, False)
    assert "for large requests are in use" in rcvd.reason


async def test_a_flood_of_frames_is_read_at_a_pace_and_others_are_answered(web, token, monkeypatch):
    monkeypatch.setattr("apps.api.rpc.limits.FRAMES_PER_S", 40)
    monkeypatch.setattr("apps.api.rpc.limits.FRAMES_AT_ONCE", 20)
    other = await in_thread(people.token)("read", of="other")
    nonsense = json.dumps({"jsonrpc": "2.0", "method": "xrpc.cancel", "params": [1]})

    async with dial(web, token) as socket, dial(web, other) as quiet:
        began = time.monotonic()
        for _ in range(119):
            await socket.send(nonsense)
        flood = asyncio.create_task(call(socket, "Gateway.Version"))
        answer = await call(quiet, "Gateway.Version")
        took_s = time.monotonic() - began
        await flood
        flood_s = time.monotonic() - began

    assert "result" in answer
    assert "result" in flood.result()
    assert took_s < flood_s
    assert flood_s > 2.3


def frame_part(size: int, of: int) -> bytes:
    """The beginning of one masked text frame."""
    return b"\x81\xff" + of.to_bytes(8, "big") + b"\0\0\0\0" + b" " * size


@pytest.mark.parametrize("in_fragments", [True, False])
async def test_messages_that_are_never_whole_have_a_room_and_the_oldest_goes(
    web, token, settings, in_fragments
):
    settings.RPC_INFLIGHT_MAX_BYTES = 2 << 20
    go, slow = asyncio.Event(), []

    async def fragments() -> AsyncIterator[str]:
        yield " " * 700_000
        await go.wait()

    async with dial(web, token) as first, dial(web, token) as second, dial(web, token) as third:
        for socket in (first, second, third):
            if in_fragments:
                slow.append(asyncio.create_task(socket.send(fragments())))
            else:
                socket.transport.write(frame_part(700_000, of=1_000_000))
            for _ in range(6000):
                if PARTIAL_FRAMES.total > 650_000 * (len(slow) or 1) or socket is third:
                    break
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(first.recv(), 60)
        assert len(PARTIAL_FRAMES.sockets) == 2
        async with dial(web, token) as small:
            assert "result" in await call(small, "Gateway.Version")
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        for socket in (second, third):
            socket.transport.abort()
    for _ in range(6000):
        if not PARTIAL_FRAMES.sockets:
            break
        await asyncio.sleep(0.01)
    assert (PARTIAL_FRAMES.total, PARTIAL_FRAMES.sockets) == (0, {})
