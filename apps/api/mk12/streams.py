"""Market 1.2 on libp2p streams: one CBOR item comes, the answer goes back, and the stream is closed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog
from django.db import Error as DatabaseError
from django.db import close_old_connections

from apps.api.mk12.answers import Door
from apps.api.mk12.documents import ASK, PROPOSE, STATUS, TRANSPORTS, response_write
from apps.market.errors import RETRY
from poolsite.filecoin.cbor_scan import ItemScan
from poolsite.libp2p.listener import Handler
from poolsite.libp2p.yamux import Stream

log = structlog.get_logger(__name__)

BUSY: Final = response_write(is_accepted=False, message=RETRY)
REQUEST_S: Final = 10.0
"""Until a request is whole.  Source: boost storagemarket/lp2pimpl/net.go providerReadDeadline."""
THREADS: Final = 8
WAITING_MAX: Final = 64
"""Requests that wait for a thread; clients of further ones come again."""
SOURCE_WAITING_MAX: Final = 16
"""Of one network address: a stranger who floods the door leaves room for others."""


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
        self._waiting: Counter[str] = Counter()
        """Requests that wait or are answered, by network address."""

    @property
    def protocols(self) -> dict[str, Handler]:
        """Return the handlers by protocol."""
        door = self._door
        return {
            **{name: self._handler(door.propose, busy=BUSY) for name in PROPOSE},
            STATUS: self._handler(door.status),
            ASK: self._handler(door.ask),
            TRANSPORTS: self._transports,
        }

    def close(self) -> None:
        """Wait for the answers that are under way."""
        self._threads.shutdown()

    def _handler(self, answer: Callable[[bytes], bytes], *, busy: bytes = b"") -> Handler:
        """Return a handler; `busy`: its answer while too many wait, else the stream is reset."""

        async def handle(stream: Stream) -> None:
            request = await item_read(stream)
            of_source = self._waiting[stream.source]
            if self._waiting.total() >= WAITING_MAX or of_source >= SOURCE_WAITING_MAX:
                if not busy:
                    raise EOFError("too many requests wait")
                await stream.write(busy)
                return
            self._waiting[stream.source] += 1
            try:
                loop = asyncio.get_running_loop()
                data = await loop.run_in_executor(self._threads, _answered, answer, request)
            finally:
                self._waiting -= Counter([stream.source])  # keeps none that is at 0
            await stream.write(data)

        return handle

    async def _transports(self, stream: Stream) -> None:
        await stream.write(self._door.transports())


def _answered(answer: Callable[[bytes], bytes], request: bytes) -> bytes:
    """Return an answer; a connection to the database that broke is not used again."""
    close_old_connections()
    try:
        return answer(request)
    except DatabaseError as error:
        log.warning("request_not_answered", reason=str(error)[:200])
        raise EOFError("the database is away") from None
    finally:
        close_old_connections()
