"""Calls and sockets for a market, passed on with the caller's own token: the market asks us whose it is.

Who may not call here does not come through: the token must be good, and without limits that we could not hold
somebody else's methods against.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings
from websockets.exceptions import ConnectionClosed, WebSocketException

from apps.api.rpc.callers import revocation_watch
from apps.api.rpc.transport.socket_state import SocketState
from apps.chain.node.connections import AnswerTooLarge, Connections
from apps.chain.node.sockets import socket_open
from apps.gateway.hub.client import hub_database
from apps.gateway.selectors.reverse import reverse_of
from apps.users.selectors.rate_limits import RULES
from apps.users.services.rate_limit_buckets import rate_limit_count
from poolsite.wire.jsonrpc.messages import RpcError, frame_read, frame_write, reply_error
from poolsite.wire.jsonrpc.server import Closed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from websockets.asyncio.client import ClientConnection

    from apps.users.rules.principals import Principal
    from apps.users.rules.rate_limits import Usage
    from poolsite.wire.jsonrpc.messages import Json

    Receive = Callable[[], Awaitable[dict[str, Any]]]

log = structlog.get_logger(__name__)

NAMESPACE_HEADER: Final = "X-VENUS-API-NAMESPACE"
SERVICE: Final = "VENUS_MARKET"
"""As rates name it."""
CONNECT_S: Final = 2.0
MESSAGE_TOO_BIG: Final = 1009
"""Close code of RFC 6455."""
ANSWER_S: Final = 300.0
"""A market's own requests to storages take long."""
THREADS: Final = ThreadPoolExecutor(16, "market")
"""Of its own: a market that answers nobody holds up nothing else."""


async def refusal_of(principal: Principal, host_key: str) -> tuple[int, str, str]:
    """Return status, words and the market's address; status 0 lets the caller through."""
    if principal.is_limited:
        return 403, "this token lacks the scope of this service\n", ""
    url = await hub_database(reverse_of, host_key)
    if not url:
        return 400, f"host key({host_key}) : no reverse proxy registered", ""
    return 0, "", url


async def call_refusal(principal: Principal, data: str | bytes) -> tuple[Json, str]:
    """Count the calls of a body or frame; returns the number of the first that is too much, and Go's words.

    No words let it through: the market's answers to what it was asked, and what is no call, are not counted.
    """
    try:
        frame = frame_read(data)
    except RpcError:
        return None, ""  # the market itself answers invalid JSON, in its own words
    for one in frame if isinstance(frame, list) else [frame]:
        method = one.get("method") if isinstance(one, dict) else None
        if not isinstance(method, str) or method.startswith("xrpc."):
            continue
        reason = await rate_refusal(principal, method.rpartition(".")[2])
        if reason:
            return one.get("id"), reason
    return None, ""


async def rate_refusal(principal: Principal, api: str) -> str:
    """Count one call; returns the refusal's words, empty if there is room."""
    if principal.tenant_id is None or RULES.is_free(principal.tenant_id, SERVICE, api):
        return ""
    usage: Usage | None = await hub_database(rate_limit_count, principal, service=SERVICE, api=api)
    if usage is None or not usage.is_over:
        return ""
    return usage.refusal_text(user=principal.tenant_name, host=principal.source, method=api)


def headers_of(token: str, namespace: str) -> dict[str, str]:
    """Return what the market is told."""
    return {"Authorization": f"Bearer {token}", NAMESPACE_HEADER: namespace}


async def post_forward(url: str, *, version: str, body: bytes, token: str, namespace: str) -> tuple[int, str]:
    """Pass a POST on; returns status and body of the answer, 502 where there is none."""
    headers = {"Content-Type": "application/json", **headers_of(token, namespace)}
    market = Connections(f"{url}/rpc/{version}", headers, answer_max=settings.NODE_RESPONSE_MAX_BYTES)
    try:
        forward = partial(market.post, body, connect_s=CONNECT_S, answer_s=ANSWER_S)
        status, answer = await asyncio.get_running_loop().run_in_executor(THREADS, forward)
    except AnswerTooLarge as error:
        log.warning("market_answer_too_large", url=url, limit=error.limit)
        return 502, f"the market's response is larger than {error.limit} bytes\n"
    except (OSError, HTTPException) as error:
        log.warning("market_away", url=url, reason=str(error) or type(error).__name__)
        return 502, "the market does not respond\n"
    finally:
        market.close()
    return status, answer.decode(errors="replace")


async def market_open(url: str, *, version: str, token: str, namespace: str) -> ClientConnection | None:
    """Dial the market's socket; None if it is away or refuses."""
    try:
        return await socket_open(f"ws{url.removeprefix('http')}/rpc/{version}", headers_of(token, namespace))
    except (WebSocketException, OSError) as error:
        log.warning("market_away", url=url, reason=str(error) or type(error).__name__)
        return None


async def sockets_join(market: ClientConnection, state: SocketState, receive: Receive) -> None:
    """Pass frames both ways until either side ends; a revoked token ends both."""

    async def out() -> None:
        async for data in market:
            await state.send_text(data if isinstance(data, str) else data.decode(errors="replace"))

    async def back() -> None:
        while (event := await receive())["type"] != "websocket.disconnect":
            text = event.get("text")
            data = text if text is not None else event.get("bytes") or b""
            number, reason = await call_refusal(state.principal, data)
            if reason:
                await state.send_text(frame_write(reply_error(number, RpcError(reason))))
            else:
                await market.send(data)

    watch = revocation_watch()
    watch.add(state)
    tasks = [asyncio.create_task(out()), asyncio.create_task(back())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.remove(state)
        for task in tasks:
            task.cancel()
        reason = "the market disconnected"
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, ConnectionClosed) and ended.sent and ended.sent.code == MESSAGE_TOO_BIG:
                reason = f"the market's response is larger than {settings.NODE_RESPONSE_MAX_BYTES} bytes"
                log.warning("market_answer_too_large", limit=settings.NODE_RESPONSE_MAX_BYTES)
            if isinstance(ended, Exception) and not isinstance(ended, Closed | WebSocketException | OSError):
                log.warning("market_socket_failed", reason=repr(ended))
        await market.close()
        await state.close(1001, reason)
