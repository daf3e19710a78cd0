"""A program's end of a gateway: a socket that is dialled for ever, calls on it, and what comes down channels.

Source: filecoin-project/go-jsonrpc websocket.go.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from poolsite.wire.jsonrpc.client import ClientSession
from poolsite.wire.jsonrpc.messages import RpcError
from workers.config_mistakes import BadConfig
from workers.console.repeats import Repeats

log = structlog.get_logger(__name__)

FIRST_PAUSE_S, PAUSE_GROWTH, LAST_PAUSE_S = 0.1, 1.5, 5.0
"""go-jsonrpc's back-off between two dials."""
LISTEN_PAUSE_S: Final = 1.0
"""Before listening again on a socket whose channel was closed."""
CLOSE_S: Final = 2.0
"""Time for a gateway's close frame: it comes after a flood that is no longer read."""
PING_EVERY_S: Final = 5.0
PONG_S: Final = 30.0
WRITE_S: Final = 30.0
"""A gateway that has read nothing for so long is left: a ping waits behind what it does not read, and tells
nothing then."""
FRAME_MAX_BYTES: Final = 100 * 1024 * 1024

Json = Any


async def dial_forever(
    url: str,
    *,
    token: Callable[[], str],
    serve: Callable[[ClientConnection], Awaitable[None]],
    lost: Callable[[], None] = lambda: None,
) -> None:
    """Keep a socket open until cancelled; the token is read at each dial.  Raises InvalidURI."""
    pause_s, repeats = FIRST_PAUSE_S, Repeats()
    while True:
        try:
            headers = {"Authorization": f"Bearer {token()}", "X-VENUS-API-NAMESPACE": "gateway.IGateway"}
            async with socket_open(url, headers) as socket:
                pause_s = FIRST_PAUSE_S
                repeats.end(url)
                log.info("gateway_dialled", url=url)
                await serve(socket)
        except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake, BadConfig) as error:
            refusal = refusal_text(error)
            reason = refusal or str(error)[:200]
            if not repeats.is_news(url, reason):
                pass
            elif refusal:
                advice = "its file is read again at each dial, without a restart"
                log.error("token_refused", url=url, reason=reason, advice=advice)
            else:
                log.warning("gateway_lost", url=url, reason=reason)
        finally:
            lost()
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  # spreads dials, no secret
        pause_s = min(pause_s * PAUSE_GROWTH, LAST_PAUSE_S)


def refusal_text(error: Exception) -> str:
    """Return that a gateway does not take the token; empty for another reason."""
    if isinstance(error, InvalidStatus) and error.response.status_code in (401, 403):
        return f"the gateway does not accept this token ({error.response.status_code}): create another one"
    return ""


@contextlib.asynccontextmanager
async def socket_open(url: str, headers: dict[str, str]) -> AsyncIterator[ClientConnection]:
    """Open a socket; it ends within CLOSE_S, whether the gateway reads or not.

    The library's own closing first waits until all that was written has been read: for ever, where the
    gateway waits in turn until we read what it wrote.
    """
    socket = await connect(
        url,
        additional_headers=headers,
        max_size=FRAME_MAX_BYTES,
        compression=None,
        ping_interval=PING_EVERY_S,
        ping_timeout=PONG_S,
        open_timeout=10,
        close_timeout=CLOSE_S,
        proxy=None,
    )
    try:
        yield socket
    finally:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await socket.close()
        finally:
            socket.transport.abort()


class GatewaySocket(ClientSession):
    """Calls over one socket of a gateway."""

    def __init__(
        self, socket: ClientConnection, *, url: str, refused: type[Exception], call_s: float
    ) -> None:
        super().__init__(self.write)
        self.socket = socket
        self.url = url
        self.refused = refused
        """Raised with the RpcError when the gateway answers a call with one."""
        self.call_s = call_s

    async def call(
        self, method: str, *params: Json, timeout_s: float = 0.0, number: int | None = None
    ) -> Json:
        """Call the gateway.  Raises `refused`, TimeoutError."""
        try:
            return await super().call(method, *params, timeout_s=timeout_s or self.call_s, number=number)
        except RpcError as error:
            raise self.refused(error) from None

    async def write(self, frame: str) -> None:
        """Write one frame.  Raises TimeoutError and ends the socket if the gateway reads nothing."""
        try:
            async with asyncio.timeout(WRITE_S):
                await self.socket.send(frame)
        except TimeoutError:
            self.socket.transport.abort()
            raise

    def receive(self, data: str | bytes) -> tuple[str, list[Json]] | None:
        """Deliver an answer, or return a notification; what is no frame is logged."""
        try:
            return super().receive(data)
        except ValueError:
            log.warning("gateway_frame_unread", url=self.url)
            return None


def pack(value: Json) -> str:
    """Write a payload."""
    return base64.b64encode(json.dumps(value).encode()).decode()


def unpack(text: Json) -> Json:
    """Read a payload; None for nothing.  Raises ValueError for what is none."""
    if not text:
        return None
    try:
        return json.loads(base64.b64decode(text, validate=True))
    except (ValueError, TypeError, RecursionError):
        raise ValueError("the request is not base64 of JSON") from None
