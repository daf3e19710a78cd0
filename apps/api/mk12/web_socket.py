"""libp2p over WebSockets: what a client sends goes to a miner's door on this machine, unread, and back.

go-libp2p names no path and no peer before it has a secured connection: where there are several doors, the
first label of the host's name says which is meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from django.db import Error as DatabaseError

from apps.api.mk12.peer_keys import door_socket_path
from apps.core.database_threads import in_database
from apps.market.selectors.deals import doors_switched_on

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CONNECT_S: Final = 3.0
PART_BYTES: Final = 64 << 10
"""That go back at a time."""
REFUSED: Final = {"type": "websocket.close", "code": 1013}
"""Before the handshake's end the server answers it with 403."""


async def deal_socket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve one socket from handshake to end."""
    await receive()  # websocket.connect
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
    try:
        path = await in_database(socket_path, next(iter(hosts), ""))
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_unix_connection(path)
    except (DatabaseError, OSError):  # TimeoutError among them
        await send(REFUSED)
        return
    client = scope.get("client")
    writer.write(f"{client[0] if client else ''}\n".encode())
    try:
        await send({"type": "websocket.accept"})
        copies = [
            asyncio.ensure_future(_forward(receive, writer)),
            asyncio.ensure_future(_back(reader, send)),
        ]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
    finally:
        writer.transport.abort()


def socket_path(host: str) -> Path:
    """Return the socket of the door that a host's name means.  Raises OSError where there is none."""
    doors = [market.miner.address or "" for market in doors_switched_on()]
    named = host.partition(".")[0]
    if named in doors:
        return door_socket_path(named)
    if len(doors) != 1:
        raise FileNotFoundError(host)
    return door_socket_path(doors[0])


async def _forward(receive: Receive, writer: asyncio.StreamWriter) -> None:
    """Pass on what the client sends, until it leaves or the door closes."""
    while (event := await receive())["type"] == "websocket.receive":
        writer.write(event.get("bytes") or b"")
        await writer.drain()


async def _back(reader: asyncio.StreamReader, send: Send) -> None:
    """Send the client what the door answers, until it closes."""
    while data := await reader.read(PART_BYTES):
        await send({"type": "websocket.send", "bytes": data})
    await send({"type": "websocket.close", "code": 1000})
