"""yamux, as the side that only answers: many streams over one connection, each with a small request.

No window is ever opened further: a stream's request fits into the first one, so that what a stranger can make
us hold is limited by the number of its streams.

Source: hashicorp/yamux spec.md; libp2p specs, yamux/README.md.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from poolsite.libp2p.connections import SecurePipe
from poolsite.libp2p.limits import Limits
from poolsite.libp2p.tls import TlsPipe

PROTOCOL: Final = "/yamux/1.0.0"
HEADER: Final = struct.Struct(">BBHII")
"""Version, type, flags, stream, length."""
DATA, WINDOW, PING, GO_AWAY = range(4)
"""Types of frames."""
SYN, ACK, FIN, RST = 1, 2, 4, 8
"""Flags."""
WINDOW_BYTES: Final = 256 << 10
"""That either side may send on a new stream."""
PART_BYTES: Final = 16 << 10
"""That are read at a time of a longer frame."""


class BadMuxing(ValueError):
    """Frames that break the protocol, or a limit that ends the connection."""


class StreamEnded(EOFError):
    """No more bytes come on a stream: it was closed, reset, or took more than it may."""


@dataclass(slots=True)
class Held:
    """Bytes that requests hold, over all connections of a listener."""

    count: int = 0


class Stream:
    """One request of a stranger, and its answer."""

    def __init__(self, session: Session, number: int) -> None:
        self._session, self.number = session, number
        self.peer_id, self.source = session.peer_id, session.source
        self._buffer = bytearray()
        self.received = 0
        self._is_ended = self.is_reset = self._is_closed = False
        self._news = asyncio.Event()
        self._window, self._room = WINDOW_BYTES, asyncio.Event()

    async def read_some(self) -> bytes:
        """Return the bytes that came, at least one.  Raises StreamEnded."""
        while not self._buffer:
            if self._is_ended or self.is_reset:
                raise StreamEnded
            self._news.clear()
            await self._news.wait()
        data = bytes(self._buffer)
        self._session.held.count -= len(data)
        self._buffer.clear()
        return data

    async def read_exactly(self, count: int) -> bytes:
        """Return so many bytes.  Raises StreamEnded."""
        while len(self._buffer) < count:
            if self._is_ended or self.is_reset:
                raise StreamEnded
            self._news.clear()
            await self._news.wait()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._session.held.count -= count
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes, as many at a time as the other side takes.  Raises StreamEnded."""
        while data:
            while not self._window:
                if self.is_reset:
                    raise StreamEnded
                self._room.clear()
                await self._room.wait()
            if self.is_reset:
                raise StreamEnded
            part, data = data[: self._window], data[self._window :]
            self._window -= len(part)
            await self._session.send(DATA, 0, self.number, part)

    async def close(self) -> None:
        """Close its own direction."""
        if not self._is_closed and not self.is_reset:
            self._is_closed = True
            await self._session.send(WINDOW, FIN, self.number)

    async def reset(self) -> None:
        """End it in both directions."""
        if not self.is_reset:
            self.end(is_reset=True)
            await self._session.send(WINDOW, RST, self.number)

    def take(self, data: bytes) -> None:
        """Add bytes that came."""
        self.received += len(data)
        self._buffer += data
        self._session.held.count += len(data)
        self._news.set()

    def widen(self, count: int) -> None:
        """Note that the other side takes more."""
        self._window = min(self._window + count, 1 << 32)
        self._room.set()

    def end(self, *, is_reset: bool) -> None:
        """Note that nothing comes any more; after a reset nothing is read or sent either."""
        self._is_ended, self.is_reset = True, self.is_reset or is_reset
        if is_reset:
            self.forget()
        self._news.set()
        self._room.set()

    def forget(self) -> None:
        """Free what it holds."""
        self._session.held.count -= len(self._buffer)
        self._buffer.clear()


Serve = Callable[[Stream], Awaitable[None]]


class Session:
    """One connection's streams; `run` ends with the connection."""

    def __init__(
        self, pipe: SecurePipe | TlsPipe, *, source: str, limits: Limits, held: Held, serve: Serve
    ) -> None:
        self._pipe, self._limits, self.held, self._serve = pipe, limits, held, serve
        self.peer_id, self.source = pipe.peer_id, source
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Read frames until the connection ends.  Raises BadMuxing, EOFError, TimeoutError."""
        try:
            async with asyncio.timeout(self._limits.life_s):
                while True:
                    async with asyncio.timeout(self._limits.idle_s):
                        await self._frame()
        finally:
            for task in self._tasks:
                task.cancel()
            for stream in self._streams.values():
                stream.end(is_reset=True)
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send(self, kind: int, flags: int, number: int, data: bytes = b"") -> None:
        """Send one frame with its data."""
        await self._pipe.write(HEADER.pack(0, kind, flags, number, len(data)) + data)

    async def _frame(self) -> None:
        header = await self._pipe.read_exactly(HEADER.size)
        version, kind, flags, number, length = HEADER.unpack(header)
        if version:
            raise BadMuxing(f"version {version}")
        if kind == PING:
            if flags & SYN:
                await self._pipe.write(HEADER.pack(0, PING, ACK, 0, length))
        elif kind == GO_AWAY:
            raise EOFError("the other side goes away")
        elif kind in (DATA, WINDOW):
            await self._stream_frame(kind, flags, number, length)
        else:
            raise BadMuxing(f"a frame of type {kind}")

    async def _stream_frame(self, kind: int, flags: int, number: int, length: int) -> None:
        if kind == DATA and length > WINDOW_BYTES:
            raise BadMuxing(f"a frame of {length} bytes")
        if flags & SYN:
            await self._begin(number)
        stream = self._streams.get(number)
        if kind == DATA:
            await self._data(stream, length)
        if stream is None:
            return
        if kind == WINDOW:
            stream.widen(length)
        if flags & (FIN | RST):
            stream.end(is_reset=bool(flags & RST))

    async def _begin(self, number: int) -> None:
        """Begin a stream, or refuse it: there are too many.

        Numbers need not rise: go-yamux draws one before it sends the frame, so that two may come swapped.
        """
        if number % 2 == 0 or number in self._streams:
            raise BadMuxing(f"stream {number} is begun anew")
        if len(self._streams) >= self._limits.streams:
            await self.send(WINDOW, RST, number)
            return
        stream = self._streams[number] = Stream(self, number)
        await self.send(WINDOW, ACK, number)
        task = asyncio.create_task(self._served(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _data(self, stream: Stream | None, length: int) -> None:
        """Read the data of a frame part by part, so that the connection itself holds little of it."""
        while length:
            data = await self._pipe.read_exactly(min(length, PART_BYTES))
            length -= len(data)
            if stream is None or stream.is_reset:
                continue
            is_over = stream.received + len(data) > self._limits.request_bytes
            if is_over or self.held.count + len(data) > self._limits.held_bytes:
                await stream.reset()
            else:
                stream.take(data)

    async def _served(self, stream: Stream) -> None:
        """Serve a stream; it is closed or, where that fails, reset."""
        try:
            async with asyncio.timeout(2 * self._limits.stream_s):
                await self._serve(stream)
                await stream.close()
        except Exception as error:
            await self._end(stream)
            if not isinstance(error, EOFError | OSError | ValueError):
                raise
        finally:
            stream.end(is_reset=True)  # what still comes is held by nobody
            self._streams.pop(stream.number, None)

    async def _end(self, stream: Stream) -> None:
        try:
            await stream.reset()
        except OSError:
            stream.end(is_reset=True)
