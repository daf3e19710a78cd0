"""JSON-RPC over WebSocket: calls in any order, channels; signers and provers hold such a socket.

A plain ASGI app: Channels' consumers would subscribe each socket to a channel layer that it does not need.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import structlog

from apps.api.callers import principal_from_token, token_text
from apps.api.rpc.callers import revocation_watch
from apps.api.rpc.dispatcher import Dispatcher
from apps.api.rpc.limits import FREE_BYTES, MEMORY, SOCKET_RATES, Overloaded, Reservation
from apps.api.rpc.services.market import market_open, rate_refusal, refusal_of, sockets_join
from apps.api.rpc.services.registry import NAMESPACES, SERVICES
from apps.api.rpc.transport.socket_state import SocketState
from apps.gateway.hub.client import hub_database
from apps.gateway.providers.hub_node import hub_node
from apps.gateway.selectors.reverse import HOST_KEYS
from apps.users.errors import TokenRefused
from poolsite.wire.jsonrpc.server import Closed, Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apps.api.rpc.callers import RevocationWatch
    from apps.users.rules.principals import Principal

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)

CLOSE_REFUSED: Final = 4401
"""Close code for a token that is not good."""
CLOSE_BUSY: Final = 1013
"""Try again later."""
CUT_OFF: Final = "this console does not reach Redis: another machine serves you"
MORE_HEADERS: Final = {401: (b"www-authenticate", b"Bearer"), 429: (b"retry-after", b"10")}
SOCKETS_MAX: Final = 5_000
"""Sockets that one tenant may hold open in a web process."""


async def rpc_socket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve one socket from handshake to end."""
    await receive()  # websocket.connect
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    source = socket_source(scope)
    try:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        text = token_text(headers.get("authorization", ""), query.get("token", [""])[0])
        principal = await hub_database(principal_from_token, text, source=source)
    except TokenRefused as error:
        log.info("rpc_socket_refused", source=source, reason=error.reason)
        await handshake_refuse(scope, send, error.reason)
        return
    if hub_node().is_cut_off:
        await handshake_refuse(scope, send, CUT_OFF, status=503)
        return
    if revocation_watch().by_tenant[principal.tenant_name] >= SOCKETS_MAX:
        reason = f"user {principal.tenant_name} already has {SOCKETS_MAX} sockets, the maximum"
        log.warning("rpc_socket_refused", source=source, reason=reason)
        await handshake_refuse(scope, send, reason, status=429)
        return
    receive = SOCKET_RATES.throttled(receive, tenant=principal.tenant_name)
    subprotocol = next(iter(scope.get("subprotocols") or []), None)
    version = scope["url_route"]["kwargs"]["version"]
    namespace = headers.get("x-venus-api-namespace", "")
    if namespace in HOST_KEYS:
        await market_run(
            scope, receive, send, principal=principal, version=version, namespace=namespace, token=text
        )
        return
    await send({"type": "websocket.accept", "subprotocol": subprotocol})
    await session_run(principal, version, NAMESPACES.get(namespace, ""), receive, send)


async def market_run(
    scope: dict[str, Any],
    receive: Receive,
    send: Send,
    *,
    principal: Principal,
    version: str,
    namespace: str,
    token: str,
) -> None:
    """Join the socket with a market's."""
    status, refusal, url = await refusal_of(principal, HOST_KEYS[namespace])
    if not status and (over_limit := await rate_refusal(principal, "")):
        status, refusal = 429, over_limit
    if status:
        await handshake_refuse(scope, send, refusal, status=status)
        return
    market = await market_open(url, version=version, token=token, namespace=namespace)
    if market is None:
        await handshake_refuse(scope, send, "the market does not respond", status=502)
        return
    await send({"type": "websocket.accept"})
    await sockets_join(market, SocketState(principal, send), receive)


async def session_run(
    principal: Principal, version: str, namespace: str, receive: Receive, send: Send
) -> None:
    """Pass frames between the socket and its session until the socket ends."""
    connection = SocketState(principal, send)
    door = Dispatcher(SERVICES, principal, version, namespace=namespace, connection=connection)
    session = Session(door, connection.send_text)
    watch = revocation_watch()
    watch.add(connection)
    hub_node().cut_off = partial(sockets_close, watch)
    try:
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                break
            data = event.get("text")
            await frame_receive(session, data if data is not None else event.get("bytes") or b"", principal)
    except Overloaded as error:
        log.warning("rpc_overloaded", tenant=principal.tenant_name, source=principal.source)
        await connection.close(CLOSE_BUSY, error.reason)
    except Closed:
        pass
    finally:
        watch.remove(connection)
        connection.is_open = False
        await session.close()


async def sockets_close(watch: RevocationWatch) -> None:
    """Close all sockets of this loop: their other ends dial again, by the proxy to another machine."""
    closes = [connection.close(CLOSE_BUSY, CUT_OFF) for connection in watch.sockets]
    await asyncio.gather(*closes, return_exceptions=True)  # one that is dead already keeps no other


async def frame_receive(session: Session, data: str | bytes, principal: Principal) -> None:
    """Pass a frame to its session; a large one is counted until its call is answered.  Raises Overloaded."""
    if len(data) <= FREE_BYTES:
        await session.receive(data)
        return
    reservation = Reservation(MEMORY)
    await reservation.grow_or_wait(principal.tenant_name, len(data))
    try:
        task = await session.receive(data)
    except BaseException:
        reservation.release()
        raise
    if task is None:
        reservation.release()
    else:
        task.add_done_callback(lambda _done: reservation.release())


async def handshake_refuse(scope: dict[str, Any], send: Send, reason: str, *, status: int = 401) -> None:
    """Answer the handshake with a status where the server can, else refuse it (403)."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": CLOSE_REFUSED, "reason": reason})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    headers += [MORE_HEADERS[status]] if status in MORE_HEADERS else []
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": reason.encode()})


def socket_source(scope: dict[str, Any]) -> str:
    """Return `host:port` of the other side."""
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else ""
