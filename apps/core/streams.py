"""Bodies of requests and answers that are never held whole: the raw bytes of pieces."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

from django.db import connection
from django.http import StreamingHttpResponse

from apps.core.marked_texts import gettext

STREAMED: Final = re.compile(
    r"/api/v1/(miners/[^/]+/pieces|pieces/uploads/[^/]+|jobs/[^/]+/data|deals/[^/]+/data)/?"
    r"|/market/mk20/(upload/[^/]+|uploads/[^/]+/\d+)"
)
"""The paths of such bodies."""
STREAM_MAX_BYTES: Final = (64 << 30) // 128 * 127
"""Of one body: what the largest sector holds."""
STREAMS_MAX: Final = 32
"""Such requests at a time in one web process; each takes a thread and a database connection."""
READ_S: Final = 60.0
"""For so long the reader of an answer may pause, where it has to take a least rate."""
DRAINED_MAX: Final = 128 << 20
DRAIN_S: Final = 10.0
IDLE_S: Final = 120.0
"""A sender that sends nothing for so long is given up; `apps.api.limits` does so earlier, with an answer."""


async def drain(receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
    """Read the rest of a body and discard it, up to `DRAINED_MAX` bytes and for `DRAIN_S` seconds."""
    drained = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while drained < DRAINED_MAX:
                event = await receive()
                drained += len(event.get("body", b""))
                if event["type"] != "http.request" or not event.get("more_body"):
                    return


def is_streamed(method: str, path: str) -> bool:
    """Return whether the body of a request is read as it comes."""
    return method in ("POST", "PUT", "PATCH") and STREAMED.fullmatch(path) is not None


class StreamedBody(io.RawIOBase):
    """A request's body for a thread that reads it, piece by piece out of the event loop."""

    def __init__(
        self, receive: Callable[[], Awaitable[dict[str, Any]]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._receive, self._loop = receive, loop
        self._unread = b""
        self._is_complete = False
        self.is_cut = False
        """Whether nobody waits for an answer: the sender left, or was refused."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return what has come, up to `size` bytes; none at the end.  Raises OSError when the sender left."""
        while not self._unread and not self._is_complete:
            future = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            try:
                event = future.result(IDLE_S)
            except TimeoutError:
                future.cancel()
                raise OSError(gettext("the sender stopped sending")) from None
            if event["type"] == "http.disconnect":
                self.is_cut = True
                raise OSError(gettext("the sender disconnected"))
            self._unread = event.get("body", b"")
            self._is_complete = not event.get("more_body")
        chunk = self._unread if size < 0 else self._unread[:size]
        self._unread = self._unread[len(chunk) :]
        return chunk

    async def _next(self) -> dict[str, Any]:
        return await self._receive()


class Throttle:
    """So many bytes a second for all answers of this process that share it."""

    def __init__(self) -> None:
        self._free_at = 0.0
        """When the bytes that were counted are over, by the monotonic clock."""

    def wait_s(self, count: int, *, rate: int) -> float:
        """Count bytes to be sent; return after how many seconds they may be.  A rate of 0: at once."""
        if rate <= 0:
            return 0.0
        now = time.monotonic()
        begin = max(self._free_at, now)
        self._free_at = begin + count / rate
        return begin - now


@contextlib.contextmanager
def stream_connection() -> Iterator[None]:
    """Allow the thread of an answer's iterator to ask the database; it keeps no connection."""
    try:
        yield
    finally:
        if not connection.in_atomic_block:
            connection.close()


class StreamCut(Exception):
    """The rest of an answer cannot be sent: its connection is closed, so that nobody takes it for whole."""


class ReadPace:
    """The least rate of a reader: that of the answer over all, beside `READ_S` in which it may pause.

    The answer of a reader who is slower is ended as where that left, by cancelling the task that sends it.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._left_s = READ_S
        self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()

    @contextlib.contextmanager
    def sending(self, count: int) -> Iterator[None]:
        """Wait until so many bytes are sent: what the sockets hold already counts as sent."""
        assert self._task is not None
        allowed_s, began = self._left_s + count / self.rate, time.monotonic()
        timer = self._loop.call_later(allowed_s, self._task.cancel)
        try:
            yield
        finally:
            timer.cancel()
            self._left_s = min(allowed_s - (time.monotonic() - began), READ_S)


class DiskAnswer(StreamingHttpResponse):
    """An answer that is read from a disk: in threads, and never whole.

    Its iterator asks the database within `stream_connection` only.

    Django's own class reads a plain iterator to its end before ASGI sends the first byte.
    """

    wait_s: Callable[[int], float] | None = None
    """After how many seconds so many bytes may be sent; None: at once."""
    least_rate = 0
    """Bytes a second that its reader has to take over all; 0: as slowly as it likes."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Read one chunk after the other without holding up the event loop."""
        chunks = iter(self)
        pace = ReadPace(self.least_rate) if self.least_rate else None
        while chunk := await self._next(chunks):
            if self.wait_s is not None:  # here, as a thread that sleeps would hold up other answers
                await asyncio.sleep(self.wait_s(len(chunk)))
            with contextlib.nullcontext() if pace is None else pace.sending(len(chunk)):
                yield chunk

    async def _next(self, chunks: Iterator[bytes]) -> bytes:
        try:
            return await asyncio.to_thread(next, chunks, b"")
        except StreamCut:  # Django closes the answer as where a client left; uvicorn closes the connection
            raise asyncio.CancelledError from None
