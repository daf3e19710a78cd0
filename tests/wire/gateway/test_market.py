"""A market behind our address: calls and sockets whose header names it, with the caller's own token."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from apps.core.redis_clients import redis_client
from apps.gateway.models import ReverseAddress
from apps.users.models import AuditEntry, Token
from apps.users.selectors.rate_limits import RULES
from apps.users.services.grants import rate_limit_set
from apps.users.services.tokens import TokenLimits, token_revoke
from tests import people
from tests.wire.gateway.dialling import in_thread

NAMESPACE = {"X-VENUS-API-NAMESPACE": "v1.IMarket"}
CALL = {"jsonrpc": "2.0", "id": 7, "method": "VENUS_MARKET.MarketListDeals", "params": []}


@pytest.fixture
def market() -> Iterator[Any]:
    """A market that keeps what it was asked."""
    seen: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
            answer = json.dumps({"jsonrpc": "2.0", "id": 7, "result": ["a deal"]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.seen = seen  # type: ignore[attr-defined]
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def ask(web: Any, token: str, call: Any, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(headers={**people.bearer(token), **headers}, timeout=60) as client:
        return await client.post(web.url, json=call)


async def register(web: Any, token: str, key: str, place: str) -> Any:
    call = {"jsonrpc": "2.0", "id": 1, "method": "Gateway.RegisterReverse", "params": [key, place]}
    return (await ask(web, token, call)).json()


async def test_a_call_for_a_market_that_nobody_registered_says_so(web, transactional_db):
    token = await in_thread(people.token)("read")

    answer = await ask(web, token, CALL, **NAMESPACE)

    assert (answer.status_code, answer.text) == (400, "host key(DROPLET) : no reverse proxy registered")


async def test_market_call_carries_the_callers_token_and_returns_its_answer(web, market):
    token, operator = await in_thread(people.token)("read"), await in_thread(people.operator_token)()
    place = f"/ip4/127.0.0.1/tcp/{market.server_address[1]}"
    assert await register(web, operator, "DROPLET", place) == {"jsonrpc": "2.0", "id": 1}
    redis_client().flushdb()  # as after the loss of Redis

    answer = await ask(web, token, CALL, **NAMESPACE)

    assert (answer.status_code, answer.json()["result"]) == (200, ["a deal"])
    [(path, headers, body)] = market.seen
    assert (path, json.loads(body)) == ("/rpc/v1", CALL)
    assert headers["authorization"] == f"Bearer {token}"
    assert headers["x-venus-api-namespace"] == "v1.IMarket"
    line = await in_thread(AuditEntry.objects.get)(action="gateway.reverse")
    assert line.after == {"url": f"http://127.0.0.1:{market.server_address[1]}"}


async def test_only_the_operator_registers_and_only_what_is_not_ours(web, transactional_db):
    admin, operator = await in_thread(people.token)("admin"), await in_thread(people.operator_token)()

    assert "missing permission" in (await register(web, admin, "DROPLET", ""))["error"]["message"]
    for key, words in (("VENUS", "this site answers itself"), ("X", "unknown")):
        assert words in (await register(web, operator, key, "http://127.0.0.1:1"))["error"]["message"]
    assert (
        "is not a node address"
        in (await register(web, operator, "DROPLET", "file:///etc"))["error"]["message"]
    )
    assert not await in_thread(ReverseAddress.objects.exists)()


async def test_who_may_not_call_here_does_not_reach_the_market(web, market):
    operator = await in_thread(people.operator_token)()
    await register(web, operator, "DROPLET", f"http://127.0.0.1:{market.server_address[1]}")
    part = await in_thread(people.token)("admin", scopes=["signer"])
    narrow = await in_thread(people.token)("sign", limits=TokenLimits(miners=[1000]))

    statuses = [(await ask(web, one, CALL, **NAMESPACE)).status_code for one in ("x.y.z", part, narrow)]

    assert statuses == [401, 403, 403]
    assert market.seen == []


async def test_a_market_that_is_away_is_said(web, transactional_db):
    token, operator = await in_thread(people.token)("read"), await in_thread(people.operator_token)()
    await register(web, operator, "DROPLET", "http://127.0.0.1:1")

    assert (await ask(web, token, CALL, **NAMESPACE)).status_code == 502
    await register(web, operator, "DROPLET", "")
    assert (await ask(web, token, CALL, **NAMESPACE)).status_code == 400


async def test_a_markets_answer_that_is_too_large_is_not_passed_on(web, market, settings):
    settings.NODE_RESPONSE_MAX_BYTES = 20
    token, operator = await in_thread(people.token)("read"), await in_thread(people.operator_token)()
    await register(web, operator, "DROPLET", f"http://127.0.0.1:{market.server_address[1]}")

    answer = await ask(web, token, CALL, **NAMESPACE)

    assert (answer.status_code, answer.text) == (502, "the market's response is larger than 20 bytes\n")


@contextlib.asynccontextmanager
async def joined(web: Any, token: str) -> Any:
    """A caller's socket that ends at a market which echoes in capitals."""
    seen: dict[str, str] = {}

    async def echo(socket: Any) -> None:
        seen.update(dict(socket.request.headers.raw_items()), path=socket.request.path)
        async for text in socket:
            await socket.send(text.upper())

    operator = await in_thread(people.operator_token)()
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await register(web, operator, "DROPLET", f"http://127.0.0.1:{port}")
        headers = {**people.bearer(token), **NAMESPACE}
        async with connect(web.ws, additional_headers=headers, proxy=None) as socket:
            yield socket, seen, server


async def test_a_socket_is_joined_with_the_markets(web, transactional_db):
    token = await in_thread(people.token)("read")

    async with joined(web, token) as (socket, seen, _):
        await socket.send("hello")
        answer = await asyncio.wait_for(socket.recv(), 60)

    assert answer == "HELLO"
    assert (seen["path"], seen["Authorization"]) == ("/rpc/v1", f"Bearer {token}")


async def test_oversized_market_frame_closes_the_socket_with_a_reason(web, transactional_db, settings):
    settings.NODE_RESPONSE_MAX_BYTES = 20
    token = await in_thread(people.token)("read")

    async with joined(web, token) as (socket, _, _):
        await socket.send("x" * 21)
        with pytest.raises(ConnectionClosed) as ended:
            await asyncio.wait_for(socket.recv(), 60)

    assert (rcvd := ended.value.rcvd) is not None
    assert (rcvd.code, rcvd.reason) == (1001, "the market's response is larger than 20 bytes")


def limited(**limit: Any) -> str:
    """A tenant's token, and the rate of its calls to a market."""
    RULES.clear()
    rate_limit_set(tenant=people.tenant("alice"), reset_ns=3600 * 10**9, service="VENUS_MARKET", **limit)
    return people.token("read")


async def test_calls_on_a_joined_socket_are_counted_and_other_frames_are_not(web, transactional_db):
    token = await in_thread(limited)(capacity=3)
    told = {"jsonrpc": "2.0", "method": "xrpc.cancel", "params": [1]}

    async with joined(web, token) as (socket, _, _):  # one call: the socket itself
        answers = []
        for frame in (CALL, told, told, told, {"jsonrpc": "2.0", "id": 3, "result": 1}, CALL, CALL, told):
            await socket.send(json.dumps(frame))
            answers.append(json.loads(await asyncio.wait_for(socket.recv(), 60)))

    refused = answers[6]
    assert refused["id"] == 7
    assert refused["error"]["message"].startswith("rate-limit,user:alice")
    assert "method:MarketListDeals is limited, cap=3" in refused["error"]["message"]
    assert [answer for answer in answers if "error" in answer] == [refused]


async def test_posted_calls_are_counted_by_their_method(web, market):
    token, operator = (
        await in_thread(limited)(capacity=2, api="MarketListDeals"),
        await in_thread(people.operator_token)(),
    )
    await register(web, operator, "DROPLET", f"http://127.0.0.1:{market.server_address[1]}")
    other = {**CALL, "method": "VENUS_MARKET.PiecesListPieces"}

    statuses = [(await ask(web, token, one, **NAMESPACE)).status_code for one in ([CALL, CALL], other, CALL)]

    assert statuses == [200, 200, 429]
    assert len(market.seen) == 2


async def test_a_revoked_token_ends_a_joined_socket(web, transactional_db):
    token = await in_thread(people.token)("read")

    async with joined(web, token) as (socket, _, _):
        await in_thread(lambda: token_revoke(Token.objects.get(perm="read")))()
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 60)


async def test_a_socket_for_a_market_that_is_not_there_is_refused(web, transactional_db):
    token = await in_thread(people.token)("read")

    with pytest.raises(InvalidStatus) as refusal:
        await connect(web.ws, additional_headers={**people.bearer(token), **NAMESPACE}, proxy=None)

    assert refusal.value.response.status_code == 400
