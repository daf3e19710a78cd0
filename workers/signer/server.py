"""The signer's own HTTP server: the wallet JSON-RPC at /rpc/v0, over POST and WebSocket, and /healthcheck."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import structlog
import uvicorn

from poolsite.filecoin.jwt import BadToken
from poolsite.wire.jsonrpc.server import Closed, Session, body_handle
from workers.signer.callers import Caller
from workers.signer.errors import SignerError
from workers.signer.strategy import Strategy
from workers.signer.strategy_rules import set_name
from workers.signer.tokens import token_rights
from workers.signer.wallet_rpc import WalletDispatcher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from poolsite.wire.jsonrpc.messages import Json
    from workers.signer.gateway import GatewayLink
    from workers.signer.signing import Signer

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)

BODY_MAX_BYTES: Final = 4 * 1024 * 1024
"""The largest request to sign is a block header with its message list, far below this."""
CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, X-VENUS-API-NAMESPACE"),
)


class WalletApp:
    """The ASGI app."""

    def __init__(
        self, signer: Signer, *, secret: Callable[[], bytes], hubs: Sequence[GatewayLink] = ()
    ) -> None:
        self.signer = signer
        self.secret = secret
        """Read for each call: a new one ends every token, on open sockets, too."""
        self.hubs = hubs
        self.strategy = Strategy(signer.folder)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "websocket":
            await self.socket(scope, receive, send)
        elif scope["type"] == "http":
            await self.http(scope, receive, send)

    def caller(self, scope: dict[str, Any]) -> Caller:
        """Return who calls.  Raises BadToken."""
        headers = dict(scope["headers"])
        text = headers.get(b"authorization", b"").decode("latin-1")
        if not text:
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            text = query.get("token", [""])[0]
        client = scope.get("client")
        source = f"{client[0]}:{client[1]}" if client else ""
        secret = self.secret()
        rights = token_rights(text, secret)
        found = Caller(
            self.signer,
            secret,
            rights.perms,
            source,
            rights.rule_set,
            self.hubs,
            is_known=rights.is_known,
        )
        group = "" if "admin" in rights.perms or rights.rule_set else self.strategy.group_of(rights.strategy)
        if group:
            found.rule_set, found.addresses = set_name(group), self.strategy.addresses_of(group)
        return found

    async def http(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a POST to /rpc/v0, or /healthcheck."""
        if scope["path"] == "/healthcheck":
            await answer(send, 200, '{"status":"OK"}')
            return
        if scope["path"].rstrip("/") not in {"/rpc/v0", "/rpc/v1"}:
            await answer(send, 404, "404 page not found\n", kind=b"text/plain")
            return
        if scope["method"] == "OPTIONS":
            await answer(send, 200, "")
            return
        try:
            caller = self.caller(scope)
        except BadToken:
            await answer(send, 401, "")
            return
        body = bytearray()
        while True:
            event = await receive()
            if event["type"] != "http.request":
                return
            body += event.get("body", b"")
            if len(body) > BODY_MAX_BYTES:
                await answer(send, 413, "the request is too large\n", kind=b"text/plain")
                return
            if not event.get("more_body"):
                break
        status, text = await body_handle(bytes(body), WalletDispatcher(caller))
        await answer(send, status, text)

    async def socket(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve a WebSocket."""
        await receive()
        try:
            self.caller(scope)
        except BadToken:
            await send({"type": "websocket.close", "code": 4401})
            return
        await send({"type": "websocket.accept"})

        async def send_text(text: str) -> None:
            try:
                await send({"type": "websocket.send", "text": text})
            except (OSError, RuntimeError) as error:
                raise Closed from error

        async def invoke(method: str, params: list[Json], *, on_socket: bool) -> tuple[Json, bool]:
            # looked up for each call: a strategy token that was removed ends on open sockets, too
            return await WalletDispatcher(self.caller(scope))(method, params, on_socket=on_socket)

        session = Session(invoke, send_text)
        try:
            while (event := await receive())["type"] != "websocket.disconnect":
                data = event.get("text")
                await session.receive(data if data is not None else event.get("bytes") or b"")
        finally:
            await session.close()


async def answer(send: Send, status: int, text: str, *, kind: bytes = b"application/json") -> None:
    """Send a whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *CORS]})
    await send({"type": "http.response.body", "body": text.encode()})


class Server(uvicorn.Server):
    """uvicorn inside our loop: signals are the program's own business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Keep the signals as they are."""
        yield


def listen_socket(listen: str) -> socket.socket:
    """Bind `host:port`; port 0 takes a free one.  Raises SignerError that names a taken port."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named TCP: asyncio turns Nagle off only for such, else answers wait 40 ms for an acknowledgement
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]") or "127.0.0.1", int(port)))
    except (OSError, ValueError, OverflowError) as error:
        listener.close()
        raise SignerError(f"cannot listen on {listen}: {error}") from None
    return listener


async def serve(app: WalletApp, listener: socket.socket) -> None:
    """Serve until cancelled."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=BODY_MAX_BYTES,
        proxy_headers=False,  # rules name callers by their address: a header must not give another
        timeout_graceful_shutdown=2,
    )
    server = Server(config)
    host, port = listener.getsockname()[:2]
    log.info("listening", address=f"{host}:{port}")
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(running)
    finally:
        server.should_exit = True
        await running
