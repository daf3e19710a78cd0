"""RLP, the encoding of Ethereum's transactions: byte strings and lists of them.

By its first byte an item is

    0x00 .. 0x7f    this byte itself
    0x80 .. 0xb7    a string of 0 to 55 bytes
    0xb8 .. 0xbf    a longer string, behind 1 to 8 bytes of its length
    0xc0 .. 0xf7    a list whose items take 0 to 55 bytes
    0xf8 .. 0xff    a longer list, behind 1 to 8 bytes of its length

Source: Ethereum yellow paper appendix B; lotus chain/types/ethtypes/rlp.go, whose refusals these are.
"""

from __future__ import annotations

from typing import Final, TypeAlias

MAX_LIST_ITEMS: Final = 12
"""Most items of a list that is read: a transaction has no more."""
MAX_DEPTH: Final = 8
"""Deepest nesting that is read: a transaction with its access list has four."""

RlpItem: TypeAlias = "bytes | list[RlpItem]"
"""What RLP can say."""


class BadRlp(ValueError):
    """Bytes that are no RLP, or a value without an RLP form; the message is lotus'."""


def rlp_encode(item: object) -> bytes:
    """Return the RLP of bytes, numbers of at least 0, and lists of these.  Raises BadRlp."""
    if isinstance(item, list | tuple):
        body = b"".join(map(rlp_encode, item))
        return _head(0xC0, len(body)) + body
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if not isinstance(item, bytes):
        raise BadRlp(f"no RLP form for {type(item).__name__}")
    if len(item) == 1 and item[0] < 0x80:
        return item
    return _head(0x80, len(item)) + item


def _head(base: int, length: int) -> bytes:
    """Return the head of a string (base 0x80) or list (0xc0): its length, or the length of that first."""
    if length < 56:
        return bytes((base + length,))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((base + 55 + len(size),)) + size


def rlp_decode(data: bytes) -> RlpItem:
    """Read one item that fills `data`.  Raises BadRlp."""
    item, end = _item(data, 0, depth=0)
    if end != len(data):
        raise BadRlp(f"invalid rlp data: length {len(data)}, consumed {end}")
    return item


def _item(data: bytes, at: int, *, depth: int) -> tuple[RlpItem, int]:
    """Read the item at a position; gives it and the position after it."""
    if at >= len(data):
        raise BadRlp("invalid rlp data: data cannot be empty")
    head = data[at]
    if head < 0x80:
        return data[at : at + 1], at + 1
    if head >= 0xF8:
        start, length = _length(data, at + 1, size=head - 0xF7)
        return _items(data, start, length=length, depth=depth + 1)
    if head >= 0xC0:
        return _items(data, at + 1, length=head - 0xC0, depth=depth + 1)
    if head >= 0xB8:
        start, length = _length(data, at + 1, size=head - 0xB7)
    else:
        start, length = at + 1, head - 0x80
    if start + length > len(data):
        raise BadRlp("invalid rlp data: out of bound while parsing string")
    return data[start : start + length], start + length


def _length(data: bytes, at: int, *, size: int) -> tuple[int, int]:
    """Read a length of `size` bytes; gives where its content begins, and the length."""
    if at + size > len(data):
        raise BadRlp("invalid rlp data: out of bound while parsing list length")
    length = int.from_bytes(data[at : at + size], "big")
    if length >= 1 << 63:
        raise BadRlp("invalid rlp data: negative string length")
    if at + size + length > len(data):
        raise BadRlp("invalid rlp data: out of bound while parsing list")
    return at + size, length


def _items(data: bytes, at: int, *, length: int, depth: int) -> tuple[RlpItem, int]:
    """Return the items of a list's body, and where it ends.  Raises BadRlp."""
    if depth > MAX_DEPTH:
        raise BadRlp("invalid rlp data: lists nested too deeply")
    stop = at + length
    items: list[RlpItem] = []
    while at < stop and len(items) < MAX_LIST_ITEMS:
        try:
            item, at = _item(data, at, depth=depth)
        except BadRlp as error:
            raise BadRlp(f"invalid rlp data: cannot decode list element: {error}") from None
        items.append(item)
    if at != stop:
        raise BadRlp("invalid rlp data: incorrect list length")
    return items, stop
