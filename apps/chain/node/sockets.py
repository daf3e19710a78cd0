"""The WebSocket of a node or a market: opened here, from event loops and from threads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection as ThreadConnection
from websockets.sync.client import connect as connect_in_thread

from apps.chain.errors import NodeUnavailable
from apps.chain.node.addresses import NodeAddress
from poolsite.wire.jsonrpc.client import request_write, result_read
from poolsite.wire.jsonrpc.messages import RpcError, frame_read

OPEN_TIMEOUT_S: Final = 3.0
CLOSE_TIMEOUT_S: Final = 0.5
"""A node that hangs does not say good-bye either."""
FAILURES: Final = (WebSocketException, OSError, ValueError)
"""What a socket raises when its node is away, or what it sent cannot be read."""


class NodeSocket:
    """An open socket to a node, for one call and the frames that follow its answer."""

    def __init__(self, socket: ClientConnection, url: str) -> None:
        self.socket = socket
        self.url = url

    async def send(self, method: str, params: Sequence[Any]) -> None:
        """Send the first call, whose number is 1.  Raises FAILURES."""
        await self.socket.send(json.dumps(request_write(1, f"Filecoin.{method}", params)))

    async def call(self, method: str, params: Sequence[Any]) -> Any:
        """Return the result of the first call.  Raises RpcError, and FAILURES."""
        await self.send(method, params)
        return result_read(await self.frame())

    async def frame(self) -> Any:
        """Return the next frame.  Raises FAILURES."""
        try:
            frame = frame_read(await self.socket.recv())
        except RpcError:
            frame = None
        if not isinstance(frame, dict):
            raise ValueError("the node sent what is not a JSON object")
        return frame

    async def close(self) -> None:
        """Close the socket."""
        await self.socket.close()


async def socket_open(url: str, headers: dict[str, str]) -> ClientConnection:
    """Open a socket whose frames are passed on as they come.  Raises WebSocketException, OSError."""
    return await connect(url, **_options(headers))


async def node_socket_open(address: NodeAddress) -> NodeSocket:
    """Open a node's socket.  Raises NodeUnavailable."""
    try:
        return NodeSocket(await socket_open(address.ws_url, _headers(address)), address.http_url)
    except FAILURES as error:
        raise NodeUnavailable(f"{address.http_url}: {error}"[:300]) from error


def node_socket_open_in_thread(address: NodeAddress) -> ThreadConnection:
    """Open a node's socket for a thread.  Raises WebSocketException, OSError."""
    socket: ThreadConnection = connect_in_thread(
        address.ws_url, close_timeout=CLOSE_TIMEOUT_S, **_options(_headers(address))
    )
    return socket


def _headers(address: NodeAddress) -> dict[str, str]:
    return {"Authorization": f"Bearer {address.token}"} if address.token else {}


def _options(headers: dict[str, str]) -> dict[str, Any]:
    return {
        "additional_headers": headers,
        "open_timeout": OPEN_TIMEOUT_S,
        "max_size": settings.NODE_RESPONSE_MAX_BYTES,
        "proxy": None,
    }
