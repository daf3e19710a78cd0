"""dag-cbor of any shape, read without building it: its links, and what lies at a key.

Unlike `poolsite.filecoin.cbor` it takes floats and long lists: clients' blocks are not chain objects.
Source: IPLD dag-cbor specification; RFC 8949, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from poolsite.filecoin import cbor
from poolsite.filecoin.cbor import ARRAY, BYTES, CID_TAG, MAP, TAG, TEXT, UNSIGNED
from poolsite.ipld.cids import cid_whole

SIMPLE: Final = 7
"""Major type of false, true, null and floats."""


class BadDagCbor(ValueError):
    """Bytes that are not one whole dag-cbor item."""


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Return major type, number and the position behind a head.  Raises BadDagCbor."""
    if at >= len(data):
        raise BadDagCbor("the block ends within an item")
    low = data[at] & 0x1F
    if low < 24:
        return data[at] >> 5, low, at + 1
    if low > 27:
        raise BadDagCbor(f"indefinite length or reserved head at byte {at}")
    end = at + 1 + (1 << (low - 24))
    if end > len(data):
        raise BadDagCbor("the block ends within an item")
    return data[at] >> 5, int.from_bytes(data[at + 1 : end], "big"), end


def _behind(data: bytes, at: int) -> int:
    """Return the position behind the item at `at`.  Raises BadDagCbor."""
    left = 1
    while left:
        major, number, at = _head(data, at)
        left -= 1
        if major in (BYTES, TEXT):
            at += number
        elif major == ARRAY:
            left += number
        elif major == MAP:
            left += 2 * number
        elif major == TAG:
            left += 1
    if at > len(data):
        raise BadDagCbor("the block ends within an item")
    return at


def links(data: bytes) -> Iterator[bytes]:
    """Yield the CIDs of a block, in its order.  Raises BadDagCbor, BadCid."""
    at = 0
    while at < len(data):
        major, number, at = _head(data, at)
        if major == TAG and number == CID_TAG:
            cid, at = _link(data, at)
            yield cid
        elif major in (BYTES, TEXT):
            at += number


def _link(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the CID behind a tag, and the position behind it."""
    major, size, at = _head(data, at)
    if major != BYTES or at + size > len(data) or data[at : at + 1] != b"\x00":
        raise BadDagCbor(f"the link at byte {at} has no CID")
    return cid_whole(bytes(data[at + 1 : at + size])), at + size


def link_at(data: bytes, at: int) -> bytes | None:
    """Return the CID if the item at `at` is a link.  Raises BadDagCbor, BadCid."""
    major, number, behind = _head(data, at)
    return _link(data, behind)[0] if major == TAG and number == CID_TAG else None


def item_at(data: bytes, at: int, name: str) -> int | None:
    """Return where the item of a key, or of a number in a list, begins; None if there is none.

    Raises BadDagCbor.
    """
    major, count, at = _head(data, at)
    if major == ARRAY:
        if not (name.isascii() and name.isdecimal()) or len(name) > 9 or int(name) >= count:
            return None
        for _ in range(int(name)):
            at = _behind(data, at)
        return at
    if major != MAP:
        return None
    wanted = name.encode()
    for _ in range(count):
        kind, size, key = _head(data, at)
        at = _behind(data, at)
        if kind == TEXT and data[key : key + size] == wanted:
            return at
        at = _behind(data, at)
    return None


def car_header(roots: list[bytes]) -> bytes:
    """Return the header of a CAR of version 1."""
    written = [
        cbor.head_write(TAG, CID_TAG) + cbor.head_write(BYTES, 1 + len(root)) + b"\x00" + root
        for root in roots
    ]
    listed = cbor.head_write(ARRAY, len(roots)) + b"".join(written)
    return cbor.head_write(MAP, 2) + cbor.text_write("roots") + listed + cbor.text_write("version") + b"\x01"


def car_roots(data: bytes) -> tuple[bytes, ...]:
    """Return the roots of a CAR's header of version 1.  Raises BadDagCbor, BadCid."""
    version, roots = item_at(data, 0, "version"), item_at(data, 0, "roots")
    if version is None or _head(data, version)[:2] != (UNSIGNED, 1) or _behind(data, 0) != len(data):
        raise BadDagCbor("no version 1")
    if roots is None or _head(data, roots)[0] != ARRAY:
        raise BadDagCbor("no roots")
    return tuple(links(data[roots : _behind(data, roots)]))
