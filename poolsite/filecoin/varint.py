"""Unsigned variable-length integers: seven bits a byte, low bits first, the top bit set in all but the last.

Source: multiformats/unsigned-varint; go-varint refuses longer forms than needed.
"""

from __future__ import annotations

from typing import Final

MAX_VARINT_LEN: Final = 10
"""Bytes of the longest 64-bit varint."""


class BadVarint(ValueError):
    """Bytes that are no varint: cut short, longer than needed, or above 64 bits."""


def uvarint_write(number: int) -> bytes:
    """Encode a number of at least 0."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def uvarint_read(data: bytes, at: int) -> tuple[int, int]:
    """Read the number at `at`; return it and the position behind it.  Raises BadVarint."""
    number = shift = 0
    for place in range(at, min(at + MAX_VARINT_LEN, len(data))):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if (byte == 0 and place > at) or number >= 1 << 64:
                raise BadVarint("varint is not minimal or too large")
            return number, place + 1
    raise BadVarint("varint is cut short or too long")
