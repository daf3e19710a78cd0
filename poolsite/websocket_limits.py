"""Limits of WebSocket messages that are not whole yet: above their budget the oldest is closed.

The server reads a message to its end before anybody sees it.  Without this, each of some thousand sockets of
one token could make it hold as much as the largest message has.
"""

from __future__ import annotations

import time
from typing import Final

import structlog
from django.conf import settings
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

log = structlog.get_logger(__name__)

FREE_BYTES: Final = 64 << 10
"""Of each socket, not counted."""
FRAGMENT_BYTES: Final = 100
"""What a fragment costs beside its bytes."""


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """Counts the bytes of a message that is not whole yet."""

    partial_bytes: int = 0
    partial_since: float = 0.0

    def data_received(self, data: bytes) -> None:
        """Count what was received."""
        super().data_received(data)
        unread = len(self.conn.reader.buffer)
        if self.frames:
            unread += sum(map(len, self.frames)) + FRAGMENT_BYTES * len(self.frames)
        if unread > FREE_BYTES or self.partial_bytes:
            PARTIAL_FRAMES.note(self, unread if unread > FREE_BYTES else 0)

    async def send(self, message: ASGISendEvent) -> None:
        """Send it.  A handshake that was refused is complete: uvicorn would log each as an error."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what it held."""
        PARTIAL_FRAMES.note(self, 0)
        super().connection_lost(exc)

    def drop(self) -> None:
        """Close a socket whose message takes too long."""
        log.warning(
            "partial_frame_dropped",
            bytes=self.partial_bytes,
            seconds=round(time.monotonic() - self.partial_since, 1),
        )
        PARTIAL_FRAMES.note(self, 0)
        self.frames = []
        self.conn.reader.buffer.clear()
        self.transport.abort()


class PartialFrames:
    """All sockets of a process with part of a large message, the oldest first."""

    def __init__(self) -> None:
        self.sockets: dict[LimitedWebSocket, int] = {}
        self.total = 0

    def note(self, socket: LimitedWebSocket, size: int) -> None:
        """Note how much a socket holds now; 0 for no message that has begun."""
        self.total += size - socket.partial_bytes
        if size and not socket.partial_bytes:
            socket.partial_since = time.monotonic()
        socket.partial_bytes = size
        if size:
            self.sockets[socket] = size  # a socket that is there keeps its place
        else:
            self.sockets.pop(socket, None)
        while self.total > settings.RPC_INFLIGHT_MAX_BYTES and self.sockets:
            next(iter(self.sockets)).drop()


PARTIAL_FRAMES: Final = PartialFrames()
"""This process' messages.  (Module state: all sockets of a process share its memory.)"""
