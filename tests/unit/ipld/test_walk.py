"""Walks through DAGs that somebody made to keep a reader busy: each ends, and reads each block once."""

from __future__ import annotations

from collections import Counter

import pytest

from poolsite.ipld.walk import BadDag, ByteRange, Found, NoneSent, Scope, dag_walk, path_walk
from tests.cars import cid_of, file_of, link


class Blocks:
    """Blocks in memory, which counts how often each is read, and notes which were sent."""

    def __init__(self, *blocks: tuple[bytes, bytes]) -> None:
        self.blocks = dict(blocks)
        self.read: Counter[bytes] = Counter()
        self.sent: set[bytes] = set()

    def get(self, cid: bytes) -> bytes:
        self.read[cid] += 1
        return self.blocks[cid]

    def has(self, cid: bytes) -> bool:
        return cid in self.sent

    def add(self, cid: bytes) -> None:
        self.sent.add(cid)

    def walk(self, root: bytes, span: ByteRange | None = None, *, has_dups: bool = False) -> list[bytes]:
        """Return what comes of a file."""
        found = [Found(root, self.get(root))]
        sent = NoneSent() if has_dups else self
        walked = dag_walk(self.get, found, scope=Scope.ENTITY, span=span, sent=sent)
        return [one.cid for one in walked]


def leaf(data: bytes) -> tuple[bytes, bytes]:
    return cid_of(data), data


def test_a_block_that_was_sent_is_not_read_again() -> None:
    one = leaf(b"one")
    root = file_of([(one[0], 3)] * 5_000)
    blocks = Blocks(one, root)

    assert blocks.walk(root[0]) == [root[0], one[0]]
    assert blocks.read[one[0]] == 1
    assert len(Blocks(one, root).walk(root[0], has_dups=True)) == 5_001


def test_a_file_of_many_equal_parts_is_walked_once() -> None:
    nodes, size = [leaf(b"x")], 1
    for _ in range(9):
        nodes.append(file_of([(nodes[-1][0], size)] * 100))
        size *= 100
    blocks = Blocks(*nodes)

    for span in (ByteRange(0, None), ByteRange(1, None), ByteRange(1, -2), ByteRange(size // 3, size // 2)):
        blocks.sent.clear()
        blocks.read.clear()
        assert sorted(blocks.walk(nodes[-1][0], span)) == sorted(cid for cid, _ in nodes)
        assert max(blocks.read.values()) <= 3


def test_a_block_of_which_a_part_came_comes_whole_when_it_is_wanted_whole() -> None:
    leaves = [leaf(bytes([n])) for n in range(4)]
    part = file_of([(cid, 1) for cid, _ in leaves])
    root = file_of([(part[0], 4), (part[0], 4)])

    walked = Blocks(*leaves, part, root).walk(root[0], ByteRange(2, None))

    assert walked == [root[0], part[0], *(cid for cid, _ in (leaves[2], leaves[3], leaves[0], leaves[1]))]


def test_a_file_whose_parts_have_wrong_sizes_is_given_up() -> None:
    nodes = [leaf(b"x")]
    for number in range(60):  # each is longer than the one above says: what it ends in begins another
        below = nodes[-1][0]
        nodes.append(file_of([(below, number + 3), (below, 1000)]))
    blocks = Blocks(*nodes)

    with pytest.raises(BadDag):
        blocks.walk(nodes[-1][0], ByteRange(2, 62))


def test_the_blocks_of_a_path_are_held_up_to_a_limit() -> None:
    pad = b"\x5a\x00\x3f\xff\x00" + bytes(0x3FFF00)  # nearly 4 MiB
    nodes = [leaf(b"x")]
    for _ in range(6):
        data = b"\x82" + link(nodes[-1][0]) + pad
        nodes.append((cid_of(data, 0x71), data))
    blocks = Blocks(*nodes)

    assert len(path_walk(blocks.get, nodes[4][0], ["0"] * 4)) == 5
    with pytest.raises(BadDag):
        path_walk(blocks.get, nodes[6][0], ["0"] * 6)
