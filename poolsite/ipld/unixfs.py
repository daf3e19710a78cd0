"""dag-pb blocks, and the files and directories of UnixFS that they hold.

Source: ipld.io/specs/codecs/dag-pb; ipfs/specs src/unixfs.md; ipfs/go-unixfs hamt (murmur3, 64 bits).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from poolsite.filecoin.cids import BadCid
from poolsite.filecoin.varint import BadVarint, uvarint_read
from poolsite.ipld.cids import cid_whole
from poolsite.libp2p.protobuf import BadProtobuf, fields_read

MURMUR3: Final = 0x22
"""The only hash of sharded directories: murmur3-x64-64."""
FANOUT_MAX: Final = 1024
"""Children of one part of a sharded directory, as go-unixfs has it."""
MASK: Final = (1 << 64) - 1


class BadUnixFs(ValueError):
    """A dag-pb block that cannot be read."""


class Kind(IntEnum):
    """Type of a node (DataType)."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    SHARD = 5


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a dag-pb node."""

    cid: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class Node:
    """A dag-pb node, with what UnixFS says of it."""

    links: tuple[Link, ...]
    kind: Kind | None
    """None: its data are not of UnixFS."""
    inline: int = 0
    """Bytes of a file that lie in the node itself, before those of its links."""
    sizes: tuple[int, ...] = ()
    """Bytes of the file below each link."""
    fanout: int = 0
    hashing: int = 0

    @property
    def size(self) -> int:
        """Return the bytes of the file."""
        return self.inline + sum(self.sizes)

    @property
    def is_file(self) -> bool:
        """Return whether it is bytes in a row, each of which one link has."""
        return self.kind in (Kind.FILE, Kind.RAW) and len(self.sizes) == len(self.links)

    @property
    def is_shard(self) -> bool:
        """Return whether it is a part of a sharded directory."""
        return self.kind == Kind.SHARD

    @property
    def prefix(self) -> int:
        """Return how many characters number the child of a part of a sharded directory."""
        return len(f"{self.fanout - 1:X}")

    @property
    def bits(self) -> int:
        """Return how many bits of a name's hash choose a child."""
        return self.fanout.bit_length() - 1


def node_read(data: bytes) -> Node:
    """Read a dag-pb block.  Raises BadUnixFs."""
    found: list[Link] = []
    data_field: bytes | None = None
    try:
        for number, value in fields_read(data):
            if number == 2 and isinstance(value, bytes):
                found.append(_link_read(value))
            elif number == 1 and isinstance(value, bytes):
                data_field = value
        return _with_unixfs(tuple(found), data_field)
    except (BadProtobuf, BadCid, BadVarint) as error:
        raise BadUnixFs(str(error)) from None


def _link_read(data: bytes) -> Link:
    cid, name = b"", b""
    for number, value in fields_read(data):
        if number == 1 and isinstance(value, bytes):
            cid = value
        elif number == 2 and isinstance(value, bytes):
            name = value
    return Link(cid_whole(cid), name)


def _with_unixfs(links: tuple[Link, ...], data_field: bytes | None) -> Node:
    if not data_field:
        return Node(links, None)
    numbers: dict[int, int] = {}
    sizes: list[int] = []
    inline = 0
    try:
        for number, value in fields_read(data_field):
            if number == 2 and isinstance(value, bytes):
                inline = len(value)
            elif number == 4:
                sizes += [value] if isinstance(value, int) else _packed(value)
            elif isinstance(value, int):
                numbers[number] = value
        kind = Kind(numbers[1])
    except (BadProtobuf, BadVarint, KeyError, ValueError):
        return Node(links, None)
    inline = inline if kind in (Kind.FILE, Kind.RAW) else 0
    fanout = numbers.get(6, 0)
    if kind == Kind.SHARD and not (fanout.bit_count() == 1 and 8 <= fanout <= FANOUT_MAX):
        raise BadUnixFs(f"a sharded directory of fan-out {fanout}")
    return Node(links, kind, inline, tuple(sizes), fanout, numbers.get(5, 0))


def _packed(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        number, at = uvarint_read(data, at)
        yield number


def name_hash(name: bytes) -> int:
    """Return the 64 bits of a name that choose its place in a sharded directory: murmur3-x64-64."""
    c1, c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
    h1 = h2 = 0
    whole = len(name) // 16 * 16
    for at in range(0, whole, 16):
        k1 = int.from_bytes(name[at : at + 8], "little")
        k2 = int.from_bytes(name[at + 8 : at + 16], "little")
        h1 ^= _turned(k1 * c1 & MASK, 31) * c2 & MASK
        h1 = (_turned(h1, 27) + h2) * 5 + 0x52DCE729 & MASK
        h2 ^= _turned(k2 * c2 & MASK, 33) * c1 & MASK
        h2 = (_turned(h2, 31) + h1) * 5 + 0x38495AB5 & MASK
    tail = name[whole:]
    h2 ^= _turned(int.from_bytes(tail[8:], "little") * c2 & MASK, 33) * c1 & MASK
    h1 ^= _turned(int.from_bytes(tail[:8], "little") * c1 & MASK, 31) * c2 & MASK
    h1 ^= len(name)
    h2 ^= len(name)
    h1 = h1 + h2 & MASK
    h2 = h2 + h1 & MASK
    return _mixed(h1) + _mixed(h2) & MASK


def _turned(number: int, by: int) -> int:
    return (number << by | number >> 64 - by) & MASK


def _mixed(number: int) -> int:
    number = (number ^ number >> 33) * 0xFF51AFD7ED558CCD & MASK
    number = (number ^ number >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    return number ^ number >> 33
