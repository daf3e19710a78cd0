"""Canonical dag-cbor: the one byte form of each chain object, and readers that refuse every other form.

Written as functions over (bytes, position), because blocks of some hundred messages are decoded on each
head.  Source: IPLD dag-cbor specification; whyrusleeping/cbor-gen utils.go (CborReadHeader, limits).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from poolsite.filecoin.cids import BadCid, Cid, cid_from_bytes

UNSIGNED: Final = 0
"""Major type 0, the upper three bits of a head's first byte (RFC 8949, section 3.1): a number from 0."""
NEGATIVE: Final = 1
"""Major type 1: -1 less the head's number."""
BYTES: Final = 2
"""Major type 2: a byte string of so many bytes."""
TEXT: Final = 3
"""Major type 3: UTF-8 of so many bytes."""
ARRAY: Final = 4
"""Major type 4: so many items."""
MAP: Final = 5
"""Major type 5: so many pairs of key and value."""
TAG: Final = 6
"""Major type 6: a tag of this number on the item that follows."""

NULL: Final = b"\xf6"
"""Simple value 22 (RFC 8949, section 3.3)."""
FALSE: Final = b"\xf4"
"""Simple value 20."""
TRUE: Final = b"\xf5"
"""Simple value 21."""
CID_TAG: Final = 42
"""The only tag of dag-cbor: a link."""
MAX_ARRAY_LEN: Final = 8192
"""Longest list that cbor-gen reads, items."""
MAX_BYTES_LEN: Final = 2 << 20
"""Longest byte string that cbor-gen reads, bytes."""
MAX_DEPTH: Final = 64
"""Deepest nesting that the generic reader follows, lists and maps within each other."""

_SMALL_HEADS: Final = tuple(tuple(bytes((major << 5 | n,)) for n in range(24)) for major in range(8))
"""Heads of one byte, by major type and number below 24: made once, as nearly all heads are such."""
_pack_8 = struct.Struct(">BB").pack
"""Writes a head whose number takes 1 byte behind it."""
_pack_16 = struct.Struct(">BH").pack
"""Writes a head whose number takes 2 bytes, big-endian as in all of CBOR."""
_pack_32 = struct.Struct(">BI").pack
"""Writes a head whose number takes 4 bytes."""
_pack_64 = struct.Struct(">BQ").pack
"""Writes a head whose number takes 8 bytes."""


class BadCbor(ValueError):
    """Bytes that are not the canonical form of the expected object."""


def head_write(major: int, number: int) -> bytes:
    """Return the shortest head of a major type with its number or length."""
    if number < 24:
        return _SMALL_HEADS[major][number]
    if number < 0x100:
        return _pack_8(major << 5 | 24, number)
    if number < 0x10000:
        return _pack_16(major << 5 | 25, number)
    if number < 0x1_0000_0000:
        return _pack_32(major << 5 | 26, number)
    if number < 1 << 64:
        return _pack_64(major << 5 | 27, number)
    raise BadCbor(f"number does not fit 64 bits: {number}")


def int_write(number: int) -> bytes:
    """Return the CBOR of a signed or unsigned integer."""
    if 0 <= number < 24:
        return _SMALL_HEADS[0][number]
    return head_write(UNSIGNED, number) if number >= 0 else head_write(NEGATIVE, -1 - number)


def bytes_write(data: bytes) -> bytes:
    """Return the CBOR of a byte string."""
    return head_write(BYTES, len(data)) + data


def text_write(text: str) -> bytes:
    """Return the CBOR of a text string in UTF-8."""
    data = text.encode()
    return head_write(TEXT, len(data)) + data


def cid_write(cid: Cid) -> bytes:
    """Return the CBOR of a link: tag 42 around a byte string with a leading zero."""
    data = cid.data
    return b"\xd8\x2a" + head_write(BYTES, len(data) + 1) + b"\x00" + data


class Encoded(bytes):
    """CBOR of a value, to be written as it is: what was encoded before is not encoded again."""

    __slots__ = ()


def bool_write(value: bool) -> bytes:
    """Return the CBOR of true or false."""
    return TRUE if value else FALSE


def encode(value: Any) -> bytes:
    """Encode None, bool, int, bytes, str, Cid, Encoded, and lists, tuples and dicts of these."""
    write = _WRITERS.get(type(value))
    return _encode_derived(value) if write is None else write(value)


def _array_write(items: list[Any] | tuple[Any, ...]) -> bytes:
    """Return the CBOR of a list of values that `encode` takes."""
    return head_write(ARRAY, len(items)) + b"".join(map(encode, items))


_WRITERS: Final[dict[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: NULL,
    bool: bool_write,
    int: int_write,
    bytes: bytes_write,
    str: text_write,
    Cid: cid_write,
    list: _array_write,
    tuple: _array_write,
    Encoded: lambda written: written,
}
"""By exact type, which nearly all values have."""


def _encode_derived(value: Any) -> bytes:
    """Encode what is of a subtype, or no type that dag-cbor has a form for."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return bool_write(value)
    if isinstance(value, int):
        return int_write(value)
    if isinstance(value, Cid):
        return cid_write(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes_write(bytes(value))
    if isinstance(value, str):
        return text_write(value)
    if isinstance(value, list | tuple):
        return _array_write(value)
    if isinstance(value, dict):
        return _map_write(value)
    raise BadCbor(f"no dag-cbor form for {type(value).__name__}")


def decode(data: bytes) -> Any:
    """Decode one object that fills `data`; lists become lists.  Raises BadCbor."""
    value, end = value_read(data, 0)
    if end != len(data):
        raise BadCbor(f"{len(data) - end} trailing bytes")
    return value


def head_read(data: bytes, at: int) -> tuple[int, int, int]:
    """Read a head: major type, number, position behind it.

    Raises BadCbor on a number that has a shorter form, on indefinite lengths and on bytes that end early: one
    object has one encoding, or two CIDs would name it.
    """
    try:
        first = data[at]
        low = first & 0x1F
        if low < 24:
            return first >> 5, low, at + 1
        if low > 27:
            raise BadCbor(f"indefinite length or reserved head 0x{first:02x} at byte {at}")
        end = at + 1 + (1 << (low - 24))
        if end > len(data):
            raise IndexError
    except IndexError:
        raise BadCbor("unexpected EOF") from None
    number = int.from_bytes(data[at + 1 : end], "big")
    if number < _LEAST[low]:
        raise BadCbor(f"cbor input was not canonical: number {number} at byte {at} is not in shortest form")
    return first >> 5, number, end


_LEAST: Final = {24: 24, 25: 0x100, 26: 0x10000, 27: 0x1_0000_0000}
"""Least number that needs the form, by a head's low five bits (24 to 27: 1, 2, 4 or 8 bytes); a smaller
one has a shorter form, and only the shortest is canonical."""


def uint_read(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned 64-bit integer."""
    major, number, end = head_read(data, at)
    if major == UNSIGNED:
        return number, end
    raise BadCbor(f"wrong type for uint64 field at byte {at}")


def int_read(data: bytes, at: int) -> tuple[int, int]:
    """Read a signed 64-bit integer, from either integer major type.

    Raises BadCbor with cbor-gen's text beyond -2^63 .. 2^63 - 1, which CBOR itself could hold.
    """
    major, number, end = head_read(data, at)
    if major > NEGATIVE:
        raise BadCbor(f"wrong type for int64 field at byte {at}")
    if number >= 1 << 63:
        raise BadCbor("int64 positive overflow" if major == UNSIGNED else "int64 negative overflow")
    return (number if major == UNSIGNED else -1 - number), end


def bytes_read(data: bytes, at: int) -> tuple[bytes, int]:
    """Read a byte string."""
    first = data[at] if at < len(data) else 0
    if 0x40 <= first <= 0x57:  # the short form, by far the commonest
        start, length = at + 1, first - 0x40
    else:
        major, length, start = head_read(data, at)
        if major != BYTES:
            raise BadCbor(f"expected byte array at byte {at}")
        if length > MAX_BYTES_LEN:
            raise BadCbor(f"byte array too large ({length})")
    end = start + length
    if end > len(data):
        raise BadCbor("unexpected EOF")
    return data[start:end], end


def text_read(data: bytes, at: int) -> tuple[str, int]:
    """Read a text string."""
    major, length, start = head_read(data, at)
    if major != TEXT:
        raise BadCbor(f"expected cbor string at byte {at}")
    end = start + length
    if end > len(data):
        raise BadCbor("unexpected EOF")
    try:
        return data[start:end].decode(), end
    except UnicodeDecodeError:
        raise BadCbor("cbor string is not UTF-8") from None


def bool_read(data: bytes, at: int) -> tuple[bool, int]:
    """Read true or false."""
    byte = data[at : at + 1]
    if byte not in (TRUE, FALSE):
        raise BadCbor("unexpected EOF" if not byte else f"booleans must be major type 7 at byte {at}")
    return byte == TRUE, at + 1


def array_read(data: bytes, at: int) -> tuple[int, int]:
    """Read the head of a list: its length and the position of its first item.

    A length above the bytes left is refused here, so that no reader makes room for items that cannot follow.
    """
    major, length, start = head_read(data, at)
    if major != ARRAY:
        raise BadCbor(f"cbor input should be of type array at byte {at}")
    if length > len(data) - start:  # every item takes a byte at least
        raise BadCbor("unexpected EOF")
    return length, start


def cid_read(data: bytes, at: int) -> tuple[Cid, int]:
    """Read a link."""
    major, tag, start = head_read(data, at)
    if major != TAG or tag != CID_TAG:
        raise BadCbor(f"expected a cid at byte {at}")
    body, end = bytes_read(data, start)
    if not body or body[0] != 0:
        raise BadCbor("cids in cbor must have a leading zero byte")
    try:
        return cid_from_bytes(body[1:]), end
    except BadCid as error:
        raise BadCbor(str(error)) from None


def is_null(data: bytes, at: int) -> bool:
    """Return whether null stands at `at`."""
    return data[at : at + 1] == NULL


def value_read(data: bytes, at: int, depth: int = 0) -> tuple[Any, int]:
    """Read any object at `at`; returns it and the position behind it."""
    if depth > MAX_DEPTH:
        raise BadCbor("nested too deeply")
    major, number, end = head_read(data, at)
    if major == UNSIGNED:
        return number, end
    if major == NEGATIVE:
        return -1 - number, end
    if major == BYTES:
        return bytes_read(data, at)
    if major == TEXT:
        return text_read(data, at)
    if major == ARRAY:
        return _items_read(data, at, depth)
    if major == MAP:
        return _map_read(data, at, depth)
    if major == TAG:
        return cid_read(data, at)
    return _simple_read(data, at)


def _simple_read(data: bytes, at: int) -> tuple[bool | None, int]:
    """Read null, true or false."""
    byte = data[at : at + 1]
    if byte == NULL:
        return None, at + 1
    return bool_read(data, at)


def _items_read(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    """Read a list; `depth` is how many lists and maps are around it."""
    length, at = array_read(data, at)
    items = []
    for _ in range(length):
        item, at = value_read(data, at, depth + 1)
        items.append(item)
    return items, at


def _map_write(value: dict[str, Any]) -> bytes:
    """Return a map with its keys in the order of their encoded bytes.

    Their heads come first in that order, so that shorter keys precede longer ones, as dag-cbor demands.
    """
    entries = sorted((text_write(key), encode(item)) for key, item in value.items())
    return head_write(MAP, len(entries)) + b"".join(key + item for key, item in entries)


def _map_read(data: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    """Read a map; its text keys must be in canonical order, shorter first, none twice."""
    _, length, at = head_read(data, at)
    result: dict[str, Any] = {}
    last = b""
    for _ in range(length):
        start = at
        key, at = text_read(data, at)
        if data[start:at] <= last:
            raise BadCbor("map keys are not in canonical order")
        last = data[start:at]
        result[key], at = value_read(data, at, depth + 1)
    return result, at
