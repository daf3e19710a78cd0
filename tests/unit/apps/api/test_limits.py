from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from apps.api.limits import CLIENT_STREAMS_MAX, MEMORY, STREAMS_PER_CLIENT, BodyLimit, Pace, body_limit
from apps.pieces.data.sources import SLOW_RATE
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.sizes import MIB


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


GREEDY, OTHER = "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za", "f17uoq6tp427uzv7fztkbsnn64iwotfrristwpryy"


def authorization(name: str) -> tuple[bytes, bytes]:
    key = base64.b64encode(bytes(address_parse(name))).decode()
    return b"authorization", f"CurioAuth secp256k1:{key}:c2ln".encode()


async def client_bodies(limit: BodyLimit, names: list[str], *, go_on: asyncio.Event) -> list[int]:
    """Send a large body for each of some clients at once; return the statuses of their answers."""

    def server(number: int, name: str) -> Server:
        found = Server(b"x" * 100_000, path=f"/market/mk20/uploads/01J/{number}")
        found.scope["method"] = "PUT"
        found.scope["headers"] = [authorization(name), (b"content-length", b"100000")]
        return found

    servers = [server(number, name) for number, name in enumerate(names, 1)]
    tasks = [asyncio.create_task(limit(one.scope, one.receive, one.send)) for one in servers]
    await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(*tasks)
    return [one.sent[0]["status"] for one in servers]


async def test_one_client_has_four_uploads_at_a_time():
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await echo(scope, receive, send)

    limit = BodyLimit(slow, owner_of=tenant)

    statuses = await client_bodies(limit, [GREEDY] * (STREAMS_PER_CLIENT + 2) + [OTHER], go_on=go_on)

    assert statuses == [200] * STREAMS_PER_CLIENT + [503, 503, 200]
    assert not limit.clients
    assert await client_bodies(limit, [GREEDY], go_on=go_on) == [200]


class Dripping(Server):
    """Sends a body with pauses between its pieces."""

    def __init__(self, *pieces: bytes, path: str, pause_s: float) -> None:
        super().__init__(*pieces, path=path)
        self.scope |= {"method": "PUT", "headers": [authorization(OTHER)]}
        self.pause_s = pause_s

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(self.pause_s)
        return await super().receive()


CLIENTS = "/market/mk20/upload/01J"
HOSTS = "/api/v1/jobs/1/data"


@pytest.mark.parametrize(
    ("path", "pause_s", "size", "status"),
    [
        (CLIENTS, 0.1, 1_000, 408),
        (CLIENTS, 0.1, 50_000, 200),
        (HOSTS, 0.1, 1_000, 200),
        (CLIENTS, 0.7, 9, 408),
    ],
    ids=["too slow", "fast enough", "of a sealing host", "stalled"],
)
async def test_a_clients_upload_comes_at_a_least_rate(monkeypatch, path, pause_s, size, status):
    monkeypatch.setattr("apps.api.limits.SLOW_S", 0.5)
    server = Dripping(*[b"x" * size] * 10, path=path, pause_s=pause_s)

    await BodyLimit(echo, owner_of=tenant)(server.scope, server.receive, server.send)

    assert server.sent[0]["status"] == status
    if status == 408:
        assert json.loads(server.sent[1]["body"])["code"] == "body_too_slow"


def test_a_stall_is_made_up_for_by_what_comes_then():
    pace = Pace()
    for _ in range(20):
        pace.note(waited_s=50.0, count=0)
        pace.note(waited_s=1.0, count=60 * SLOW_RATE)
        assert pace.left_s > 50

    for _ in range(3):
        pace.note(waited_s=20.0, count=100 << 10)
    assert pace.left_s < 2
