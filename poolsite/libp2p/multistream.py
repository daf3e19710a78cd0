"""multistream-select: two sides agree on a protocol by its name.

Source: multiformats/multistream-select README.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

from poolsite.filecoin.varint import uvarint_write

VERSION: Final = "/multistream/1.0.0"
HELLO: Final = b"\x13/multistream/1.0.0\n"
"""That line with its length, which both sides of a connection send first."""
REFUSED: Final = "na"
LINE_MAX: Final = 256
"""Bytes of the longest name that is read: so its length is two bytes at most."""
OFFERS_MAX: Final = 16
"""Names that a side may try."""


class BadNegotiation(ValueError):
    """The other side does not speak it, or wants nothing that there is."""


class Pipe(Protocol):
    """Where both sides' bytes go."""

    async def read_exactly(self, count: int) -> bytes:
        """Return so many bytes."""

    async def write(self, data: bytes) -> None:
        """Send bytes."""


def line_write(text: str) -> bytes:
    """Return a name as it is sent."""
    data = text.encode() + b"\n"
    return uvarint_write(len(data)) + data


async def line_read(pipe: Pipe) -> str:
    """Return the name that comes next.  Raises BadNegotiation."""
    size = (await pipe.read_exactly(1))[0]
    if size & 0x80:
        size = size & 0x7F | (await pipe.read_exactly(1))[0] << 7
    if not 0 < size <= LINE_MAX:
        raise BadNegotiation(f"a name of {size} bytes")
    data = await pipe.read_exactly(size)
    if not data.endswith(b"\n"):
        raise BadNegotiation("a name does not end")
    return data[:-1].decode(errors="replace")


async def serve(pipe: Pipe, names: Collection[str]) -> str:
    """Return the protocol that the other side chose of those offered.  Raises BadNegotiation."""
    await pipe.write(line_write(VERSION))
    if (first := await line_read(pipe)) != VERSION:
        raise BadNegotiation(f"it speaks {first[:40]!r}")
    for _ in range(OFFERS_MAX):
        wanted = await line_read(pipe)
        if wanted in names:
            await pipe.write(line_write(wanted))
            return wanted
        await pipe.write(line_write(REFUSED))
    raise BadNegotiation("it wants nothing that is served")
