"""Market 1.2 on libp2p streams: one CBOR item comes, the answer goes back, and the stream is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.db import close_old_connections

from apps.api.mk12.answers import Door
from apps.api.mk12.documents import ASK, PROPOSE, STATUS, TRANSPORTS
from poolsite.filecoin.cbor_scan import ItemScan
from poolsite.libp2p.listener import Handler
from poolsite.libp2p.yamux import Stream

REQUEST_S: Final = 10.0
"""Until a request is whole.  Source: boost storagemarket/lp2pimpl/net.go providerReadDeadline."""
THREADS: Final = 8
WAITING_MAX: Final = 64
"""Requests that wait for a thread; further ones are reset: their clients come again."""


async def item_read(stream: Stream) -> bytes:
    """Return the one item that comes; the client may leave its side open.  Raises BadCbor, EOFError."""
    scan, data = ItemScan(), bytearray()
    async with asyncio.timeout(REQUEST_S):
        while not scan.is_whole(data):
            data += await stream.read_some()
    return bytes(data)


class Streams:
    """The door's protocols, answered in threads."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="deals")
        self._waiting = 0

    @property
    def protocols(self) -> dict[str, Handler]:
        """Return the handlers by protocol."""
        door = self._door
        return {
            **{name: self._handler(door.propose) for name in PROPOSE},
            STATUS: self._handler(door.status),
            ASK: self._handler(door.ask),
            TRANSPORTS: self._transports,
        }

    def close(self) -> None:
        """Wait for the answers that are under way."""
        self._threads.shutdown()

    def _handler(self, answer: Callable[[bytes], bytes]) -> Handler:
        async def handle(stream: Stream) -> None:
            request = await item_read(stream)
            if self._waiting >= WAITING_MAX:
                raise EOFError("too many requests wait")
            self._waiting += 1
            try:
                loop = asyncio.get_running_loop()
                data = await loop.run_in_executor(self._threads, _answered, answer, request)
            finally:
                self._waiting -= 1
            await stream.write(data)

        return handle

    async def _transports(self, stream: Stream) -> None:
        await stream.write(self._door.transports())


def _answered(answer: Callable[[bytes], bytes], request: bytes) -> bytes:
    """Return an answer; a connection to the database that broke is not used again."""
    close_old_connections()
    try:
        return answer(request)
    finally:
        close_old_connections()
