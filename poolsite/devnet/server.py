"""The devnet's endpoint: JSON-RPC over HTTP POST and WebSocket as lotus serves it, as an ASGI application.

Source: go-jsonrpc server.go, websocket.go; lotus node/rpc.go; recorded frames of a lotus node.
"""

from __future__ import annotations

import asyncio
import ipaddress
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.rpc.dispatch import LOTUS, Callbacks, Dispatcher
from poolsite.devnet.rpc.methods import METHODS_V0, METHODS_V1
from poolsite.filecoin.jwt import BadToken
from poolsite.wire.jsonrpc.messages import RpcError, frame_read, frame_write, notification
from poolsite.wire.jsonrpc.server import Session, body_handle, request_handle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from poolsite.devnet.node import Devnet

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES: Final = 100 << 20
"""Largest request.  Source: filecoin-project/go-jsonrpc handler.go DEFAULT_MAX_REQUEST_SIZE."""
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

    def _dispatcher(self, scope: Scope) -> Dispatcher | None:
        """Return what the caller may do; None for a path without an interface.  Raises BadToken."""
        table = TABLES.get(scope["path"])
        if table is None:
            return None
        perms = self.node.access.perms_of(_token(scope), is_near=_is_near(scope))
        return Dispatcher(node=self.node, methods=table, perms=perms, executor=self.executor)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in ("/health/livez", "/health/readyz"):
            is_lagging = scope["path"] == "/health/readyz" and self.node.faults.settings.behind > 0
            await _respond(send, 200 if self.node.is_ready and not is_lagging else 503, "")
            return
        try:
            dispatcher = self._dispatcher(scope)
        except BadToken:
            await _respond(send, 401, "")
            return
        if dispatcher is None:
            await _respond(send, 404, "404 page not found\n", content_type="text/plain; charset=utf-8")
            return
        body = await _body(receive)
        if body is None:
            await _respond(send, 413, "")
            return
        if scope["method"] == "POST":
            status, text = await body_handle(body, dispatcher, LOTUS)
        else:
            reply, status = await request_handle({"method": ""}, dispatcher, LOTUS)
            text = frame_write(reply)
        await _respond(send, status, text)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            dispatcher = self._dispatcher(scope)
        except BadToken:
            dispatcher = None
        if dispatcher is None:
            await send({"type": "websocket.close", "code": 4401})
            return
        await send({"type": "websocket.accept"})
        connection = Connection(dispatcher, send)
        self.node.faults.connections.add(connection)
        try:
            await connection.serve(receive)
        finally:
            self.node.faults.connections.discard(connection)
            await connection.close()


class Connection:
    """One WebSocket: its running requests and its channels."""

    def __init__(self, dispatcher: Dispatcher, send: Send) -> None:
        self.loop = asyncio.get_running_loop()
        self.send = send
        self.frames: asyncio.Queue[str | None] = asyncio.Queue()
        self.closers: list[Callable[[], Any]] = []
        """What ends the subscriptions of this socket."""
        back = Callbacks(notify=self.notify, on_close=self.closers.append)
        self.session = Session(replace(dispatcher, callbacks=back), self.frames.put, LOTUS)

    async def serve(self, receive: Receive) -> None:
        """Answer frames until the client goes away; garbage and batches are ignored, as lotus does."""
        writer = asyncio.create_task(self._write())
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                try:
                    frame = frame_read(message.get("text") or message.get("bytes") or b"")
                except RpcError:
                    continue
                if isinstance(frame, dict):
                    await self.session.handle(frame)
        finally:
            writer.cancel()

    def notify(self, name: str, params: Any) -> None:
        """Send a notification; after the answer to the call in which it is sent."""
        if not self.loop.is_closed():
            text = frame_write(notification(name, params))
            self.loop.call_soon_threadsafe(self.frames.put_nowait, text)

    def drop(self) -> None:
        """Break the connection from our side, as a failing node does."""
        self.loop.call_soon_threadsafe(self.frames.put_nowait, None)

    async def close(self) -> None:
        """End all that the connection started."""
        await self.session.close()
        for end in self.closers:
            end()
        self.closers.clear()

    async def _write(self) -> None:
        while (text := await self.frames.get()) is not None:
            await self.send({"type": "websocket.send", "text": text})
        await self.send({"type": "websocket.close", "code": 1011})


def _token(scope: Scope) -> str | None:
    """Return the caller's token text, None without one.  Raises BadToken for a header without `Bearer `."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            text: str = value.decode("latin-1")
            if not text.startswith("Bearer "):
                raise BadToken("missing Bearer prefix in auth header")
            return text.removeprefix("Bearer ")
    query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
    return query["token"][0] if "token" in query else None


def _is_near(scope: Scope) -> bool:
    """Return whether a program of this machine calls: not one elsewhere, and no page in a browser here.

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
    """Return the request's body, None if it is too large."""
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
