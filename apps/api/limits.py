"""How large a request body may be, enforced while it arrives: Django would first write all of it to disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

MIB: Final = 1024 * 1024

DRAINED_MAX: Final = 128 * MIB
DRAIN_S: Final = 10.0
RPC: Final = "/rpc/"
LIMITS: Final[tuple[tuple[str, int], ...]] = (
    ("/api/v1/jobs", 64 * MIB),
    ("/api/v1/workers", 64 * MIB),
)
"""Path prefix → bytes; reports of sealing hosts carry proofs.  Other paths have the settings' limits."""


def body_limit(path: str) -> int:
    """Give the limit of a path."""
    if path.startswith(RPC):
        return int(settings.RPC_REQUEST_MAX_BYTES)
    default: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 4 * MIB
    return next((limit for prefix, limit in LIMITS if path.startswith(prefix)), default)


class TooLarge(Exception):
    """The body passed its limit while it arrived."""


class BodyLimit:
    """Wraps an ASGI app: a body above the limit of its path is answered with 413 and not read on."""

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, counting its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit, seen = body_limit(scope["path"]), 0
        if declared_length(scope) > limit:
            await refuse(scope["path"], limit, receive, send)
            return

        async def counted() -> dict[str, Any]:
            nonlocal seen
            event = await receive()
            seen += len(event.get("body", b""))
            if seen > limit:
                raise TooLarge
            return event

        try:
            await self.app(scope, counted, send)
        except TooLarge:
            await refuse(scope["path"], limit, receive, send)


def declared_length(scope: dict[str, Any]) -> int:
    """Give Content-Length; 0 where it is missing (the body is counted as it comes)."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


async def refuse(path: str, limit: int, receive: Receive, send: Send) -> None:
    """Answer 413; JSON-RPC clients read no other status than 500 for errors of the protocol.

    The answer goes at once, and the rest of the body to nowhere: many clients read only once they have sent
    all, and a connection that is closed before takes the answer with it.
    """
    if path.startswith(RPC):
        error = {"code": -32700, "message": f"request bigger than maximum {limit} allowed"}
        status, body = 500, {"jsonrpc": "2.0", "id": None, "error": error}
    else:
        text = f"the body may have at most {limit} bytes"
        status, body = 413, {"code": "body_too_large", "message": text, "field": ""}
    text_bytes = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(text_bytes)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text_bytes, "more_body": True})
    await drain(receive)
    await send({"type": "http.response.body", "body": b""})


async def drain(receive: Receive) -> None:
    """Take the rest of a body and drop it, up to `DRAINED_MAX` bytes and for `DRAIN_S` seconds."""
    taken = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while taken < DRAINED_MAX:
                event = await receive()
                taken += len(event.get("body", b""))
                if event["type"] != "http.request" or not event.get("more_body"):
                    return
