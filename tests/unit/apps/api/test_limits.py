from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from apps.api.limits import CLIENT_STREAMS_MAX, MEMORY, MIB, BodyLimit, body_limit


class Server:
    """Drives an ASGI app with a body in pieces."""

    def __init__(self, *pieces: bytes, path: str = "/api/v1/miners", length: int | None = None) -> None:
        self.pieces = list(pieces)
        self.sent: list[dict[str, Any]] = []
        self.taken = 0
        self.taken_before = 0
        """Pieces that were read before anything was answered."""
        headers = [] if length is None else [(b"Content-Length", str(length).encode())]
        self.scope = {"type": "http", "path": path, "headers": headers}

    async def receive(self) -> dict[str, Any]:
        self.taken += 1
        self.taken_before = self.taken if not self.sent else self.taken_before
        return {"type": "http.request", "body": self.pieces.pop(0), "more_body": bool(self.pieces)}

    async def send(self, event: dict[str, Any]) -> None:
        self.sent.append(event)

    async def run(self) -> tuple[int, Any]:
        await BodyLimit(echo, owner_of=tenant)(self.scope, self.receive, self.send)
        return self.sent[0]["status"], json.loads(self.sent[1]["body"])


async def tenant(_scope: Any) -> str:
    return "alice"


async def stranger(_scope: Any) -> str:
    return ""


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        size += len(event["body"])
        if not event["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(size).encode()})


LIMIT = body_limit("/api/v1/miners")


async def test_a_body_within_the_limit_passes():
    assert await Server(b"x" * LIMIT).run() == (200, LIMIT)


async def test_a_declared_large_body_is_refused_unread():
    server = Server(b"x", length=10_000_000)

    status, body = await server.run()

    assert (status, body["code"], body["field"]) == (413, "body_too_large", "")
    assert (server.taken_before, server.taken) == (0, 1)


@pytest.mark.parametrize("length", [None, 10])
async def test_a_large_body_is_refused_as_it_comes(length):
    server = Server(*[b"x" * MIB] * 50, length=length)

    status, _ = await server.run()

    assert status == 413
    assert server.taken_before <= LIMIT // MIB + 1
    assert server.taken == 50  # the rest goes to nowhere, so that the client reads the answer


async def test_json_rpc_gets_gos_words():
    server = Server(b"", path="/rpc/v0", length=200 * MIB)

    status, body = await server.run()

    assert status == 500
    assert body["error"] == {"code": -32700, "message": "request bigger than maximum 16777216 allowed"}


@pytest.mark.parametrize(("path", "limit"), [("/rpc/v1", 16 * MIB), ("/api/v1/jobs:claim", 64 * MIB)])
def test_reports_and_proofs_have_more_room(path, limit):
    assert body_limit(path) == limit


def test_the_limit_is_a_setting(settings):
    settings.RPC_REQUEST_MAX_BYTES = 7

    assert body_limit("/rpc/v1") == 7


async def test_sockets_pass_untouched():
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    scope = {"type": "websocket"}
    await BodyLimit(app)(scope, 1, 2)  # type: ignore[arg-type]

    assert seen == [(scope, 1, 2)]


@pytest.mark.parametrize("length", [None, 100_000])
async def test_a_strangers_large_body_is_refused(length):
    server = Server(b"x" * 60_000, b"x" * 40_000, path="/login/", length=length)

    await BodyLimit(echo, owner_of=stranger)(server.scope, server.receive, server.send)

    assert server.sent[0]["status"] == 413
    assert "without a valid token or session" in json.loads(server.sent[1]["body"])["message"]


async def test_large_bodies_share_a_limit_and_half_of_it_is_one_tenants(settings):
    settings.REST_INFLIGHT_MAX_BYTES = 4 * MIB

    status, body = await Server(*[b"x" * MIB] * 3).run()

    assert (status, body["code"]) == (503, "overloaded")
    assert not MEMORY.used
    assert (await Server(*[b"x" * MIB] * 2).run())[0] == 200


async def test_clients_of_deals_leave_half_of_the_uploads_to_others():
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await echo(scope, receive, send)

    def server(path: str) -> Server:
        found = Server(b"x", path=path)
        found.scope["method"] = "PUT"
        return found

    limit = BodyLimit(slow, owner_of=tenant)
    clients = [server(f"/market/mk20/uploads/01J/{number}") for number in range(1, CLIENT_STREAMS_MAX + 2)]
    host = server("/api/v1/jobs/1/data")
    all_ = [asyncio.create_task(limit(one.scope, one.receive, one.send)) for one in (*clients, host)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*all_)

    assert [one.sent[0]["status"] for one in clients] == [200] * CLIENT_STREAMS_MAX + [503]
    assert host.sent[0]["status"] == 200
    assert not limit.client_streams
