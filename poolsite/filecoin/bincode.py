"""bincode as rust-fil-proofs writes it: little-endian integers of fixed width, vectors after a u64 count.

Source: bincode-org/bincode 1.3 default configuration of `serialize` (fixint, little-endian).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import TypeVar

from poolsite.filecoin.scalars import NODE_BYTES

Item = TypeVar("Item")
"""What a reader of one item returns."""


class BadBincode(ValueError):
    """Bytes that are not the structure they should hold."""


def u32_encode(value: int) -> bytes:
    """Write a u32, also the number of an enum's variant."""
    return struct.pack("<I", value)


def u64_encode(value: int) -> bytes:
    """Write a u64 or usize."""
    return struct.pack("<Q", value)


def vector_encode(items: Iterable[bytes]) -> bytes:
    """Write a vector of items already encoded."""
    parts = tuple(items)
    return u64_encode(len(parts)) + b"".join(parts)


class BincodeReader:
    """Reads values one after the other; every read raises BadBincode where the bytes end early."""

    def __init__(self, data: bytes) -> None:
        """Begin at the first of the bytes."""
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """Read `count` raw bytes."""
        end = self._at + count
        if end > len(self._data):
            raise BadBincode(f"{count} bytes wanted at {self._at}, {len(self._data) - self._at} left")
        chunk = self._data[self._at : end]
        self._at = end
        return chunk

    def node(self) -> bytes:
        """Read the 32 bytes of a node."""
        return self.take(NODE_BYTES)

    def nodes(self) -> tuple[bytes, ...]:
        """Read a vector of nodes; at once, as proofs are mostly such vectors."""
        count = self.u64()
        start, end = self._at, self._at + count * NODE_BYTES
        if end > len(self._data):
            raise BadBincode(f"{count} items at {start} do not fit the {len(self._data) - start} bytes left")
        self._at = end
        return tuple([self._data[at : at + NODE_BYTES] for at in range(start, end, NODE_BYTES)])

    def u32(self) -> int:
        """Read a u32."""
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        """Read a u64 or usize."""
        return int.from_bytes(self.take(8), "little")

    def vector(self, read: Callable[[BincodeReader], Item], *, item_bytes: int) -> tuple[Item, ...]:
        """Read a vector: a u64 count, then so many items, each by `read`.

        An item takes at least `item_bytes`: a count that the bytes left cannot hold is refused before any
        item is read, so that eight false bytes cost no work.
        """
        count = self.u64()
        if count * item_bytes > len(self._data) - self._at:
            raise BadBincode(
                f"{count} items at {self._at} do not fit the {len(self._data) - self._at} bytes left"
            )
        return tuple(read(self) for _ in range(count))

    def finish(self) -> None:
        """Raise BadBincode unless every byte has been read."""
        if self._at != len(self._data):
            raise BadBincode(f"{len(self._data) - self._at} bytes left over")
