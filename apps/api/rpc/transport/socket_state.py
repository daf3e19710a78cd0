"""What the methods of one socket share: who calls, whether it is open, and its one writer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from poolsite.wire.jsonrpc.server import Closed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apps.users.rules.principals import Principal

    Send = Callable[[dict[str, Any]], Awaitable[None]]


class SocketState:
    """What the methods of one socket share; lives as long as it."""

    def __init__(self, principal: Principal, send: Send) -> None:
        self.principal = principal
        self.is_open = True
        self.attachments: dict[str, Any] = {}
        """What services keep with this socket, by their own key."""
        self._send = send
        self._lock = asyncio.Lock()

    async def send_text(self, text: str) -> None:
        """Write one frame.  Raises Closed once the other side is gone."""
        if not self.is_open:
            raise Closed
        async with self._lock:
            try:
                await self._send({"type": "websocket.send", "text": text})
            except (OSError, RuntimeError) as error:  # uvicorn raises either for a dead socket
                self.is_open = False
                raise Closed from error

    async def close(self, code: int, reason: str) -> None:
        """End the socket from our side."""
        if self.is_open:
            self.is_open = False
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
