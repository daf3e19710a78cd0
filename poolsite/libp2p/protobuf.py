"""The few protocol buffers of libp2p, by hand: fields with a number, of bytes or of an integer.

Source: protobuf.dev, encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from poolsite.filecoin.varint import BadVarint, uvarint_read, uvarint_write

VARINT: Final = 0
BYTES: Final = 2
FIXED: Final = {1: 8, 5: 4}
"""Wire types of a fixed length in bytes."""


class BadProtobuf(ValueError):
    """Bytes that are no message."""


def bytes_field(number: int, data: bytes) -> bytes:
    """Return a field of bytes."""
    return uvarint_write(number << 3 | BYTES) + uvarint_write(len(data)) + data


def number_field(number: int, value: int) -> bytes:
    """Return a field of an integer of at least 0."""
    return uvarint_write(number << 3 | VARINT) + uvarint_write(value)


def fields_read(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message, with their numbers.  Raises BadProtobuf."""
    at = 0
    try:
        while at < len(data):
            key, at = uvarint_read(data, at)
            number, kind = key >> 3, key & 7
            if kind == VARINT:
                value, at = uvarint_read(data, at)
                yield number, value
                continue
            if kind == BYTES:
                size, at = uvarint_read(data, at)
            elif kind in FIXED:
                size = FIXED[kind]
            else:
                raise BadProtobuf(f"field {number} has the unknown wire type {kind}")
            if at + size > len(data):
                raise BadProtobuf(f"field {number} is cut short")
            yield number, data[at : at + size]
            at += size
    except BadVarint as error:
        raise BadProtobuf(str(error)) from None
