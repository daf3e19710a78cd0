"""JSON-RPC over POST in the event loop of a web process: no session, no template, no middleware of pages.

A lotus-miner asks thousands of small questions; Django's way to a view costs more than the node's answer.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import structlog
from django.db import InterfaceError, OperationalError

from apps.api.rpc.callers import caller_cache
from apps.api.rpc.limits import ARRIVAL_S, MEMORY, Overloaded
from apps.api.rpc.services.market import NAMESPACE_HEADER
from apps.api.rpc.transport.http import RpcRequest, RpcResponse, length_of, post_answer
from apps.core.health import RETRY_AFTER_S, database_unavailable_text
from apps.core.metrics import request_count
from apps.core.middleware import REQUEST_ID
from poolsite.wire.jsonrpc.messages import CODE_BUSY, RpcError, frame_write, reply_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)

PATH: Final = re.compile(r"/rpc/([^/]+)/?")
ROUTE: Final = "rpc"
"""The name of Django's route, under which requests are counted."""


class CallerLeft(Exception):
    """The caller left before its request was whole."""


class RpcPost:
    """Answers `/rpc/*` itself and hands every other request on."""

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if path is None:
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        header = headers.get("x-request-id", "")
        request_id = header if REQUEST_ID.fullmatch(header) else uuid.uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                answer = await answer_to(request_read(scope, headers, path[1], receive), receive)
            except CallerLeft:
                return
            elapsed_s = time.perf_counter() - began
            request_count(scope["method"], ROUTE, answer.status, seconds=elapsed_s)
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=answer.status,
                ms=round(elapsed_s * 1000, 1),
            )
        await answer_send(answer, request_id, send)


async def caller_left(receive: Receive) -> None:
    """Return when a caller whose request was read has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


def request_read(
    scope: dict[str, Any], headers: dict[str, str], version: str, receive: Receive
) -> RpcRequest:
    """Read what matters out of a request's head."""
    query = scope.get("query_string", b"")
    client = scope.get("client")
    return RpcRequest(
        version=version,
        method=scope["method"],
        authorization=headers.get("authorization", ""),
        query_token=parse_qs(query.decode("latin-1")).get("token", [""])[0] if query else "",
        namespace=headers.get(NAMESPACE_HEADER.lower(), ""),
        source=client[0] if client else "",
        length=length_of(headers.get("content-length", "")),
        left=partial(caller_left, receive),
    )


async def answer_to(request: RpcRequest, receive: Receive) -> RpcResponse:
    """Carry a request out.  Raises Gone."""
    with MEMORY.reservation() as reservation:

        async def body(owner: str) -> bytes:
            parts = []
            async with asyncio.timeout(ARRIVAL_S):
                while True:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise CallerLeft
                    reservation.grow(owner, len(event.get("body", b"")))
                    parts.append(event.get("body", b""))
                    if not event.get("more_body"):
                        return b"".join(parts)

        try:
            return await post_answer(request, body, caller_cache().principal)
        except Overloaded as error:
            log.warning("rpc_overloaded", path=f"/rpc/{request.version}", source=request.source)
            return protocol_refused(503, error.reason, {"Retry-After": "1"})
        except TimeoutError:
            reason = f"the body did not arrive within {ARRIVAL_S:.0f} s"
            return protocol_refused(408, reason, {"Connection": "close"})
        except (OperationalError, InterfaceError) as error:
            log.warning("database_away", path=f"/rpc/{request.version}")
            reason = database_unavailable_text(error)
            refusal = {"code": "unavailable", "message": reason, "field": ""}
            return RpcResponse(503, frame_write(refusal), headers={"Retry-After": str(RETRY_AFTER_S)})


def protocol_refused(status: int, reason: str, headers: dict[str, str]) -> RpcResponse:
    """Refuse a request that was not read whole: nobody knows its number."""
    refusal = RpcError(reason, code=CODE_BUSY)
    return RpcResponse(status, frame_write(reply_error(None, refusal)), headers=headers)


async def answer_send(answer: RpcResponse, request_id: str, send: Send) -> None:
    """Write the answer."""
    body = answer.body.encode()
    head = {
        "content-type": answer.content_type,
        "content-length": str(len(body)),
        "x-request-id": request_id,
        "x-content-type-options": "nosniff",
        **{name.lower(): value for name, value in answer.headers.items()},
    }
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
