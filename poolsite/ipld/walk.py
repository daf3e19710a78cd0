"""Walking a DAG of blocks: along a path, and depth first below its end.

A walk holds the links that it has not followed, and no block longer than it reads it.
Source: ipfs/specs src/http-gateways/trustless-gateway.md, path-gateway.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from poolsite.filecoin.cids import BadCid
from poolsite.ipld import dag_cbor
from poolsite.ipld.cids import DAG_CBOR, DAG_PB, IDENTITY, RAW, cid_parts, multihash_read
from poolsite.ipld.dag_cbor import BadDagCbor
from poolsite.ipld.unixfs import MURMUR3, BadUnixFs, Kind, Link, Node, name_hash, node_read

SEGMENTS_MAX: Final = 64
"""Names of a path."""
PATH_BYTES_MAX: Final = 16 << 20
"""Bytes of the blocks of a path, which are held together: 64 directories of 256 KiB."""
WAITING_MAX: Final = 200_000
"""Links that a walk remembers, of some 200 bytes each: a directory of 4 MiB has some 80,000."""
SHARD_DEPTH_MAX: Final = 16
PARTS_MAX: Final = 1_000
"""Blocks with the first or last wanted byte of a file, and others: two a level, if its sizes are right."""


class Scope(StrEnum):
    """Wanted part of a DAG (dag-scope)."""

    BLOCK = "block"
    ENTITY = "entity"
    ALL = "all"


class BadDag(ValueError):
    """A block that cannot be followed: it is not of its codec, or too much hangs on it."""


class PathMissing(LookupError):
    """A path names what is not there."""


class Found(NamedTuple):
    """A block on the way."""

    cid: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Wanted bytes of a file (entity-bytes): from 0 from its beginning, below 0 from its end; both within."""

    first: int
    last: int | None
    """None: to the end."""

    def of_size(self, size: int) -> tuple[int, int]:
        """Return first and last byte of a file of that size; last below first: none."""
        first = max(0, size + self.first) if self.first < 0 else self.first
        last = size - 1 if self.last is None else size + self.last if self.last < 0 else self.last
        return first, min(last, size - 1)


Get = Callable[[bytes], bytes]
"""Returns the verified block of a CID.  Raises LookupError."""


class Sent(Protocol):
    """Which blocks an answer has sent."""

    def has(self, cid: bytes) -> bool:
        """Return whether a block was sent."""

    def add(self, cid: bytes) -> None:
        """Note that a block is sent."""


class NoneSent:
    """Has each block sent as often as it occurs."""

    def has(self, cid: bytes) -> bool:  # noqa: ARG002  # as `Sent` has it
        """Return False."""
        return False

    def add(self, cid: bytes) -> None:
        """Note nothing."""


def block_get(get: Get, cid: bytes) -> bytes:
    """Return a block; of an identity CID what is in it.  Raises LookupError."""
    multihash = multihash_read(cid_parts(cid).multihash)
    return multihash.digest if multihash.code == IDENTITY else get(cid)


def is_virtual(cid: bytes) -> bool:
    """Return whether a CID has its data itself: no CAR has a block of it."""
    return multihash_read(cid_parts(cid).multihash).code == IDENTITY


def path_walk(get: Get, root: bytes, path: list[str]) -> list[Found]:
    """Return the blocks from the root to what a path names, both included.

    Raises LookupError for the root, PathMissing, BadDag.
    """
    get = _limited(get)
    found = [Found(root, block_get(get, root))]
    at = 0
    """Offset of the item in a dag-cbor block."""
    try:
        for name in path:
            cid, data = found[-1]
            codec = cid_parts(cid).codec
            if codec == DAG_PB:
                found += _entry_find(get, node_read(data), name)
            elif codec == DAG_CBOR:
                place = dag_cbor.item_at(data, at, name)
                if place is None:
                    raise PathMissing(name)
                link = dag_cbor.link_at(data, place)
                at = place if link is None else 0
                if link is not None:
                    found.append(Found(link, block_get(get, link)))
            else:
                raise PathMissing(name)
    except (BadUnixFs, BadDagCbor, BadCid) as error:
        raise BadDag(str(error)) from None
    return found


def _limited(get: Get) -> Get:
    """Return blocks as `get` does, `PATH_BYTES_MAX` bytes at most.  Raises BadDag."""
    left = PATH_BYTES_MAX

    def limited(cid: bytes) -> bytes:
        nonlocal left
        data = get(cid)
        left -= len(data)
        if left < 0:
            raise BadDag(f"the blocks of the path have more than {PATH_BYTES_MAX} bytes")
        return data

    return limited


def _entry_find(get: Get, node: Node, name: str) -> list[Found]:
    """Return the blocks from below a directory to one of its entries."""
    wanted = name.encode()
    if not node.is_shard:
        link = next((one for one in node.links if one.name == wanted), None)
        if link is None or node.kind in (Kind.FILE, Kind.RAW, Kind.SYMLINK):
            raise PathMissing(name)
        return [Found(link.cid, block_get(get, link.cid))]
    found: list[Found] = []
    hashed, used, shard = name_hash(wanted), 0, node
    for _ in range(SHARD_DEPTH_MAX):
        used += shard.bits
        if not shard.is_shard or shard.hashing != MURMUR3 or used > 64:
            raise BadDag("a part of a sharded directory is none")
        number = hashed >> 64 - used & shard.fanout - 1
        prefix = f"{number:0{shard.prefix}X}".encode()
        link = next((one for one in shard.links if one.name in (prefix, prefix + wanted)), None)
        if link is None:
            raise PathMissing(name)
        found.append(Found(link.cid, block_get(get, link.cid)))
        if link.name != prefix:
            return found
        shard = node_read(found[-1].data)
    raise BadDag("a sharded directory is too deep")


class Waiting(NamedTuple):
    """A link that is to be followed."""

    cid: bytes
    scope: Scope
    first: int = 0
    """First wanted byte of the file below it, from its own beginning."""
    last: int = -1
    """The last one; below the first: all.  Of what is wanted whole there is never a part."""

    @property
    def is_part(self) -> bool:
        """Return whether only some bytes of the file are wanted."""
        return self.last >= self.first


def dag_walk(
    get: Get, found: list[Found], *, scope: Scope, span: ByteRange | None, sent: Sent
) -> Iterator[Found]:
    """Yield the blocks of a path, then those below its end, depth first; none of identity CIDs.

    Only those that were not sent.  Raises LookupError where a block is missing, BadDag.

    Nobody may keep a walk busy that yields nothing: a block below which all was walked is not read again.
    """
    for one in found:
        if _is_unsent(sent, one.cid):
            sent.add(one.cid)
            yield one
    stack = _below(_wanted(*found[-1], scope, span), found[-1].data)
    parts: set[bytes] = set()
    """Blocks below which not all was walked: only some bytes of a file were wanted."""
    parts_walked = 0
    while stack:
        next_one = stack.pop()
        cid, is_part = next_one.cid, next_one.is_part
        is_new = _is_unsent(sent, cid)
        if not (is_new or is_part or cid in parts or is_virtual(cid)):
            continue
        data = block_get(get, cid)
        if is_new:
            sent.add(cid)
            yield Found(cid, data)
        if not is_part:
            parts.discard(cid)
        elif is_new:
            parts.add(cid)
        stack += _below(next_one, data)
        parts_walked += is_part
        if len(stack) > WAITING_MAX or parts_walked > PARTS_MAX:
            raise BadDag(f"more than {WAITING_MAX} links wait, or {PARTS_MAX} hold the same end of a file")


def _is_unsent(sent: Sent, cid: bytes) -> bool:
    """Return whether a block is to be sent; what is in its CID never is."""
    return not is_virtual(cid) and not sent.has(cid)


def _wanted(cid: bytes, data: bytes, scope: Scope, span: ByteRange | None) -> Waiting:
    """Return what is wanted of the end of a path."""
    if span is None or cid_parts(cid).codec != DAG_PB:
        return Waiting(cid, scope)
    node = _node(data)
    if not node.is_file:
        return Waiting(cid, scope)
    first, last = span.of_size(node.size)
    if last - first == node.size - 1 >= 0:
        return Waiting(cid, Scope.ENTITY)
    return Waiting(cid, Scope.ENTITY, first, last) if last >= first else Waiting(cid, Scope.BLOCK)


def _node(data: bytes) -> Node:
    try:
        return node_read(data)
    except BadUnixFs as error:
        raise BadDag(str(error)) from None


def _below(one: Waiting, data: bytes) -> list[Waiting]:
    """Return the links of a block that are to be followed, the first one last."""
    codec = cid_parts(one.cid).codec
    if one.scope == Scope.BLOCK or codec == RAW:
        return []
    if codec == DAG_CBOR:
        if one.scope == Scope.ENTITY:
            return []
        try:
            return [Waiting(cid, one.scope) for cid in dag_cbor.links(data)][::-1]
        except (BadDagCbor, BadCid) as error:
            raise BadDag(str(error)) from None
    if codec != DAG_PB:
        return []
    node = _node(data)
    if one.scope == Scope.ALL:
        return [Waiting(link.cid, one.scope) for link in reversed(node.links)]
    if node.kind == Kind.SHARD:
        return [Waiting(link.cid, one.scope) for link in reversed(node.links) if _is_shard(node, link)]
    if node.kind not in (Kind.FILE, Kind.RAW):
        return []
    if not (one.is_part and node.is_file):
        return [Waiting(link.cid, one.scope) for link in reversed(node.links)]
    return _parts(one, node)[::-1]


def _parts(one: Waiting, node: Node) -> list[Waiting]:
    """Return the links of a file's node that hold wanted bytes."""
    found, begin = [], node.inline
    for link, size in zip(node.links, node.sizes, strict=True):
        first, last = max(0, one.first - begin), min(size - 1, one.last - begin)
        if last - first == size - 1 >= 0:
            found.append(Waiting(link.cid, one.scope))
        elif last >= first:
            found.append(Waiting(link.cid, one.scope, first, last))
        begin += size
    return found


def _is_shard(node: Node, link: Link) -> bool:
    """Return whether a link of a sharded directory leads to a part of it, and not to an entry."""
    return len(link.name) == node.prefix
