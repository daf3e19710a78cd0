"""The devnet's door: JSON-RPC over HTTP POST and WebSocket as lotus serves it, as an ASGI application.

Source: go-jsonrpc server.go, websocket.go; lotus node/rpc.go; recorded frames of a lotus node.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.rpc.dispatch import (
    Callbacks,
    Channel,
    Session,
    invalid_request,
    parse_error,
    request_answer,
)
from poolsite.devnet.rpc.methods import METHODS_V0, METHODS_V1
from poolsite.filecoin.jwt import BadToken
from poolsite.wire.jsonrpc.messages import CANCEL, CHANNEL_CLOSE, CHANNEL_VALUE, notification

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from poolsite.devnet.node import Devnet

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES: Final = 100 << 20
"""Largest request.  Source: lotus node/rpc.go, maxRequestSize of go-jsonrpc."""
SLOW_THREADS: Final = 4
"""Requests that may compute at the same time."""
FAR_HEADERS: Final = frozenset({b"origin", b"sec-fetch-site", b"x-forwarded-for", b"forwarded"})
"""Sent by browsers and by proxies."""
TABLES: Final = {"/rpc/v0": METHODS_V0, "/rpc/v1": METHODS_V1, "/rpc/v2": METHODS_V1}
"""Method table of each path."""


class Server:
    """The ASGI application of one devnet."""

    def __init__(self, node: Devnet) -> None:
        self.node = node
        self.executor = ThreadPoolExecutor(SLOW_THREADS, thread_name_prefix="devnet-rpc")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                self.executor.shutdown(wait=False, cancel_futures=True)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _session(self, scope: Scope) -> Session | None:
        """What the caller may do; None for a path without an interface.  Raises BadToken."""
        table = TABLES.get(scope["path"])
        if table is None:
            return None
        perms = self.node.access.perms_of(_token(scope), is_near=_is_near(scope))
        return Session(node=self.node, methods=table, perms=perms, executor=self.executor)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in ("/health/livez", "/health/readyz"):
            is_lagging = scope["path"] == "/health/readyz" and self.node.faults.settings.behind > 0
            await _respond(send, 200 if self.node.is_ready and not is_lagging else 503, "")
            return
        try:
            session = self._session(scope)
        except BadToken:
            await _respond(send, 401, "")
            return
        if session is None:
            await _respond(send, 404, "404 page not found\n", content_type="text/plain; charset=utf-8")
            return
        body = await _body(receive)
        if body is None:
            await _respond(send, 413, "")
            return
        status, text = await self._post(session, scope["method"], body)
        await _respond(send, status, text)

    async def _post(self, session: Session, method: str, body: bytes) -> tuple[int, str]:
        if method != "POST":
            answer = await request_answer(session, {"method": ""})
            return answer.status, answer.text()
        if not body.strip():
            answer = invalid_request()
            return answer.status, answer.text()
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            answer = parse_error()
            return answer.status, answer.text()
        if not isinstance(request, list):
            answer = await request_answer(session, request)
            return answer.status, answer.text()
        if not request:
            answer = invalid_request()
            return answer.status, answer.text()
        texts = [(await request_answer(session, item)).text() for item in request]
        return 200, "[" + ",".join(text for text in texts if text) + "]"

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            session = self._session(scope)
        except BadToken:
            session = None
        if session is None:
            await send({"type": "websocket.close", "code": 4401})
            return
        await send({"type": "websocket.accept"})
        connection = Connection(session, send)
        self.node.faults.connections.add(connection)
        try:
            await connection.serve(receive)
        finally:
            self.node.faults.connections.discard(connection)
            connection.close()


class Connection:
    """One WebSocket: its running requests and its channels."""

    def __init__(self, session: Session, send: Send) -> None:
        self.session = session
        self.loop = asyncio.get_running_loop()
        self.send = send
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.channels: dict[str, tuple[int, list[Callable[[], None]]]] = {}
        self.frames: asyncio.Queue[str | None] = asyncio.Queue()
        self.last_channel = 0
        self.anonymous = 0
        self.closers: list[Callable[[], Any]] = []
        """What ends the subscriptions of this socket."""

    async def serve(self, receive: Receive) -> None:
        """Answer frames until the client goes away; garbage and batches are ignored, as lotus does."""
        writer = asyncio.create_task(self._write())
        try:
            while True:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text") or (message.get("bytes") or b"").decode(errors="replace")
                self._take(text)
        finally:
            self.frames.put_nowait(None)
            writer.cancel()

    def drop(self) -> None:
        """Break the connection from our side, as a failing node does."""
        self.loop.call_soon_threadsafe(self.frames.put_nowait, None)

    def close(self) -> None:
        """End all that the connection started."""
        for task in self.tasks.values():
            task.cancel()
        for _, closers in self.channels.values():
            for closer in closers:
                closer()
        self.channels.clear()
        for end in self.closers:
            end()
        self.closers.clear()

    def _take(self, text: str) -> None:
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(request, dict):
            return
        if request.get("method") == CANCEL:
            self._cancel(request.get("params"))
            return
        name = json.dumps(request.get("id"))
        if request.get("id") is None:
            self.anonymous += 1
            name = f"notification {self.anonymous}"
        task = self.loop.create_task(self._answer(name, request))
        self.tasks[name] = task
        task.add_done_callback(lambda _: self.tasks.pop(name, None))

    def _cancel(self, params: Any) -> None:
        name = json.dumps(params[0]) if isinstance(params, list) and params else ""
        channel = self.channels.pop(name, None)
        if channel is not None:
            number, closers = channel
            for closer in closers:
                closer()
            self._frame(notification(CHANNEL_CLOSE, [number]))
        elif name in self.tasks:
            self.tasks[name].cancel()

    async def _answer(self, name: str, request: dict[str, Any]) -> None:
        method = self.session.methods.get(str(request.get("method")))
        if method is not None and method.callbacks:
            await self._answer_and_call_back(request)
            return
        if method is None or not method.channel:
            answer = await request_answer(self.session, request)
            if answer.body is not None:
                self._frame(answer.body)
            return
        number = self.last_channel + 1
        held: list[Any] = []
        is_open = False

        def deliver(value: Any) -> None:
            if is_open:
                self._frame(notification(CHANNEL_VALUE, [number, value]))
            else:
                held.append(value)

        closers: list[Callable[[], None]] = []
        channel = Channel(
            send=lambda value: _in_loop(self.loop, deliver, value),
            on_close=closers.append,
        )
        answer = await request_answer(self.session, request, channel)
        if answer.body is None or "error" in answer.body:
            if answer.body is not None:
                self._frame(answer.body)
            return
        self.last_channel = number
        self.channels[name] = (number, closers)
        self._frame({"jsonrpc": "2.0", "result": number, "id": request.get("id")})
        is_open = True
        for value in held:
            deliver(value)

    async def _answer_and_call_back(self, request: dict[str, Any]) -> None:
        """Answer first, then send what came meanwhile, then what comes."""
        held: list[dict[str, Any]] = []
        is_open = False

        def deliver(body: Any) -> None:
            if is_open:
                self._frame(body)
            else:
                held.append(body)

        def notify(name: str, params: Any) -> None:
            body = notification(name, params)
            _in_loop(self.loop, deliver, body)

        callbacks = Callbacks(notify=notify, on_close=self.closers.append)
        answer = await request_answer(self.session, request, callbacks=callbacks)
        if answer.body is not None:
            self._frame(answer.body)
        is_open = True
        for body in held:
            self._frame(body)

    def _frame(self, body: dict[str, Any]) -> None:
        self.frames.put_nowait(json.dumps(body, separators=(",", ":")))

    async def _write(self) -> None:
        while True:
            text = await self.frames.get()
            if text is None:
                await self.send({"type": "websocket.close", "code": 1011})
                return
            await self.send({"type": "websocket.send", "text": text})


def _in_loop(loop: asyncio.AbstractEventLoop, deliver: Callable[[Any], None], value: Any) -> None:
    """Deliver now when called in the loop's own thread, else as soon as the loop comes to it."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is loop:
        deliver(value)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(deliver, value)


def _token(scope: Scope) -> str | None:
    """The caller's token text, None without one.  Raises BadToken for a header without `Bearer `."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            text: str = value.decode("latin-1")
            if not text.startswith("Bearer "):
                raise BadToken("missing Bearer prefix in auth header")
            return text.removeprefix("Bearer ")
    query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
    return query["token"][0] if "token" in query else None


def _is_near(scope: Scope) -> bool:
    """Whether a program of this machine calls: not one elsewhere, and no page in a browser here.

    Browsers name the page's site with every call that is not a plain link; a page of any host could call.
    """
    if any(name in FAR_HEADERS for name, _ in scope["headers"]):
        return False
    client = scope.get("client")
    try:
        return client is None or ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


async def _body(receive: Receive) -> bytes | None:
    """The request's body, None if it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _respond(send: Send, status: int, text: str, *, content_type: str = "application/json") -> None:
    body = text.encode()
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
