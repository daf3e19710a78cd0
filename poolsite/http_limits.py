"""Time and size limits of HTTP requests that are not whole yet, which uvicorn does not have.

An application is called only after the head, so nobody else can end a connection that never sends its end.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apps.core.streams import is_streamed

log = structlog.get_logger(__name__)

HEAD_S: Final = 10.0
"""From a connection's begin, or from the first byte of a later request, to the end of the request's head."""
BODY_S: Final = 90.0
"""From there to the end of its body, or of one that is read as it comes to its next bytes; the application
gives up earlier, with an answer."""
HEAD_MAX_BYTES: Final = 64 << 10
HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class LimitedHttp(HttpToolsProtocol):
    """Closes connections whose request stays incomplete."""

    deadline: asyncio.TimerHandle | None = None
    awaits_head = True
    head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self.deadline_set(HEAD_S)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a request's head."""
        if self.deadline is None and (not self.cycle or self.cycle.response_complete):  # type: ignore[truthy-bool]
            self.deadline_set(HEAD_S)
        if self.awaits_head:
            self.head_bytes += len(data)
        super().data_received(data)
        if self.awaits_head and self.head_bytes > HEAD_MAX_BYTES and not self.transport.is_closing():
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Wait for the body instead."""
        self.awaits_head, self.head_bytes = False, 0
        self.deadline_set(BODY_S)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Wait for the next bytes of a body that is read as it comes."""
        if self.deadline is not None and is_streamed(self.scope["method"], self.scope["path"]):
            self.deadline_set(BODY_S)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for nothing: the request is whole."""
        self.awaits_head = True
        self.deadline_clear()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Pass the connection to the WebSocket's protocol."""
        self.deadline_clear()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self.deadline_clear()
        super().connection_lost(exc)

    def deadline_set(self, seconds: float) -> None:
        """Close the connection after so long."""
        self.deadline_clear()
        self.deadline = self.loop.call_later(seconds, self.abort_incomplete)

    def deadline_clear(self) -> None:
        """Keep the connection open."""
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def abort_incomplete(self) -> None:
        """Close a connection whose request did not become whole."""
        log.warning("request_incomplete", client=self.client and self.client[0], in_head=self.awaits_head)
        self.deadline = None
        self.transport.abort()
