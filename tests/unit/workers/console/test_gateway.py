"""A gateway that reads nothing holds nobody for ever; one that refuses a token is told another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tests.waiting import until_async
from workers.config_mistakes import BadConfig
from workers.console import gateway
from workers.console.gateway import GatewaySocket, dial_forever

PING_S, PATIENCE_S = 0.1, 0.5
ENOUGH = "x" * 16 * 1024 * 1024
"""More than the kernel's buffers of both ends take."""


class Deaf:
    """A gateway that takes a socket and never reads from it."""

    def __init__(self) -> None:
        self.dialled = 0
        self.ends = asyncio.Event()

    async def serve(self, socket: ServerConnection) -> None:
        self.dialled += 1
        socket.transport.pause_reading()
        await self.ends.wait()
        socket.transport.abort()


@contextlib.asynccontextmanager
async def deaf() -> AsyncIterator[tuple[Deaf, str]]:
    found = Deaf()
    async with serve(found.serve, "127.0.0.1", 0, ping_interval=None) as server:
        yield found, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found.ends.set()


def unauthorized(connection, _request):
    return connection.respond(401, "no such token")


async def unserved(_socket):
    raise AssertionError("it was let in")


async def write(socket: ClientConnection) -> None:
    await GatewaySocket(socket, url="", refused=OSError, call_s=60.0).post("Gateway.Answer", ENOUGH)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "PING_EVERY_S", PING_S)
    monkeypatch.setattr(gateway, "CLOSE_S", PATIENCE_S)


async def test_a_program_ends_while_its_writing_waits():
    async with deaf() as (found, url):
        line = asyncio.create_task(dial_forever(url, token=lambda: "x", serve=write))
        await until_async(lambda: found.dialled)
        await asyncio.sleep(5 * PING_S)  # until a ping waits behind what was written
        line.cancel()
        done, _ = await asyncio.wait({line}, timeout=60)

    assert done, "to hang up waits for a gateway that reads nothing"


async def test_a_gateway_that_reads_nothing_is_dialled_again(monkeypatch):
    monkeypatch.setattr(gateway, "WRITE_S", PATIENCE_S)
    async with deaf() as (found, url):
        line = asyncio.create_task(dial_forever(url, token=lambda: "x", serve=write))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                await until_async(lambda: found.dialled >= 2)
        line.cancel()
        await asyncio.wait({line}, timeout=60)

        assert found.dialled >= 2


async def dialled_until(url, token, *, lines):
    with capture_logs() as logs:
        line = asyncio.create_task(dial_forever(url, token=token, serve=write))
        async with asyncio.timeout(60):
            while len(logs) < lines and not line.done():
                await asyncio.sleep(0.02)
        line.cancel()
        await asyncio.wait({line}, timeout=60)
    return [log["reason"] for log in logs]


async def test_a_token_that_is_not_accepted_is_named_as_the_reason():
    async with serve(ServerConnection.wait_closed, "127.0.0.1", 0, process_request=unauthorized) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"

        reasons = await dialled_until(url, lambda: "secret", lines=1)

    assert reasons == ["the gateway does not accept this token (401): create another one"]


async def test_a_token_file_is_read_at_each_dial_and_a_reason_logged_once():
    said = iter(["empty", "empty", "empty", "gone", "gone", "gone"])

    def token():
        raise BadConfig(f"the token file is {next(said, 'gone')}")

    reasons = await dialled_until("ws://127.0.0.1:9", token, lines=2)

    assert reasons == ["the token file is empty", "the token file is gone"]


async def test_refused_token_is_logged_once_until_another_is_taken() -> None:
    tokens = iter(["old", "old", "new", "old", "old", "new"])
    served = asyncio.Semaphore(0)

    def check(socket: ServerConnection, request: Request) -> Response | None:
        is_known = request.headers["Authorization"] == "Bearer new"
        return None if is_known else socket.respond(HTTPStatus.UNAUTHORIZED, "")

    async def served_note(_socket: ClientConnection) -> None:
        served.release()

    async with serve(ServerConnection.wait_closed, "127.0.0.1", 0, process_request=check) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with capture_logs() as lines:
            line = asyncio.create_task(dial_forever(url, token=lambda: next(tokens), serve=served_note))
            async with asyncio.timeout(60):
                await served.acquire()
                await served.acquire()
            line.cancel()

    assert [one["event"] for one in lines] == ["token_refused", "gateway_dialled"] * 2
