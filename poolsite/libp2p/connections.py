"""A connection with a key: bytes in sealed frames."""

from __future__ import annotations

import asyncio
from typing import Final, Self

from poolsite.libp2p.identity import Identity
from poolsite.libp2p.noise import FRAME_MAX, TAG, Opened, Responder

SIZE: Final = 2
"""Bytes of a frame's length."""
HANDSHAKE_MAX: Final = 4096
"""Bytes of the longest message of a handshake that is read: a peer's RSA key is the largest part."""


class RawPipe:
    """Bytes before there is a key."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read_exactly(self, count: int) -> bytes:
        """Return so many bytes.  Raises EOFError."""
        return await self.reader.readexactly(count)

    async def read_some(self, most: int) -> bytes:
        """Return the bytes that came, at least one.  Raises EOFError."""
        if data := await self.reader.read(most):
            return data
        raise EOFError("nothing more comes")

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()


class SecurePipe:
    """Bytes in frames that the handshake's keys seal."""

    def __init__(self, raw: RawPipe, opened: Opened) -> None:
        self._raw, self._opened = raw, opened
        self._buffer = bytearray()
        self._writing = asyncio.Lock()

    @classmethod
    async def answered(cls, raw: RawPipe, identity: Identity) -> Self:
        """Return the connection of a stranger who proves its peer id.  Raises BadNoise."""
        responder = Responder(identity)
        await _frame_write(raw, responder.answer(await _frame_read(raw, most=HANDSHAKE_MAX)))
        return cls(raw, responder.finish(await _frame_read(raw, most=HANDSHAKE_MAX)))

    @property
    def peer_id(self) -> bytes:
        """Return the id of the other side."""
        return self._opened.peer_id

    async def read_exactly(self, count: int) -> bytes:
        """Return so many bytes.  Raises EOFError, BadNoise."""
        while len(self._buffer) < count:
            self._buffer += self._opened.receiving.open(await _frame_read(self._raw, most=FRAME_MAX))
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes, whole before others' of the same connection."""
        step = FRAME_MAX - TAG
        async with self._writing:
            for at in range(0, len(data), step):
                await _frame_write(self._raw, self._opened.sending.seal(data[at : at + step]))


async def _frame_read(raw: RawPipe, *, most: int) -> bytes:
    size = int.from_bytes(await raw.read_exactly(SIZE), "big")
    if size > most:
        raise EOFError(f"a frame of {size} bytes")
    return await raw.read_exactly(size)


async def _frame_write(raw: RawPipe, data: bytes) -> None:
    await raw.write(len(data).to_bytes(SIZE, "big") + data)
