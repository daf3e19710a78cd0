"""Four rows of a binary tree at once, for commitments, which need no row but the last.

Source: rust-fil-proofs filecoin-hashers/src/sha256.rs Sha256Function::node.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from workers.kernels import binary_tree, lanes, llvm
from workers.kernels.cpu import has_sha_ni
from workers.kernels.flags import SERIAL
from workers.kernels.lanes import NODES, WIDE
from workers.kernels.llvm import I64

if TYPE_CHECKING:
    from workers.kernels.binary_tree import Words

FOUR_ROWS = 16
"""Nodes of a row that one node four rows above stands for."""
ANCESTRY = 256
"""Nodes that are taken at once."""
_ABOVE = 240
"""Nodes of the four rows above those; 16 KiB in all, which the first cache keeps."""
_ROOM = ANCESTRY + _ABOVE
_LAST = _ROOM - ANCESTRY // FOUR_ROWS
"""Where the last row begins."""


def _turns(builder, emit, turns, ends, sizes):
    """Write emit(builder, target, source) for neighbouring pieces of both.

    emit:  called once, within a loop: the code is written once and runs `turns` times
    turns: at least 1
    ends:  addresses (i64) of the first target and the first source
    sizes: bytes from one target, and from one source, to the next
    """

    def turn(index, carried):
        """Write one piece; nothing is carried from turn to turn but through memory."""
        at = (
            builder.add(end, builder.mul(index, llvm.splat(I64, size)))
            for end, size in zip(ends, sizes, strict=True)
        )
        emit(builder, *at)
        return carried

    llvm.loop(builder, llvm.splat(I64, turns), [], turn)


def _four_rows(leaves, parents, count, last):
    """The step that makes a flat tree in `room`: 256 nodes, as `leaves` writes 16 of them, and four rows.

    The children of parent i are 2i and 2i + 1 from the beginning in all rows alike; `parents` writes `count`,
    `last` the last row where it is wanted.

    leaves:  writes 16 nodes of the row below, in the form that `parents` takes
    parents: writes `count` parents of the 2 · count nodes at its source
    count:   4, 8 or 16; a divisor of 240, so no call writes behind the room
    last:    writes the 16 nodes of the last row as u32[16, 8]
    """

    def emit(builder, above, room, nodes):
        """above: address of u32[16, 8], output; room: of u32[496, 8], scratch; nodes: of u32[256, 8].

        One loop makes all four rows: when parents of a row are made, those below them are there, since every
        row lies behind the one below it.
        """
        begin, end = (builder.add(room, llvm.splat(I64, 32 * at)) for at in (ANCESTRY, _LAST))
        _turns(builder, leaves, ANCESTRY // WIDE, (room, nodes), (NODES, NODES))
        _turns(builder, parents, _ABOVE // count, (begin, room), (32 * count, 64 * count))
        last(builder, above, end)

    return llvm.step(emit)


def _emit_copy(builder, target, source):
    """Copy 16 nodes, u32[16, 8], as they are."""
    lanes.registers_store(builder, lanes.registers_load(builder, source, 8), target)


def _emit_columns(builder, target, source):
    """u32[16, 8] at `source` becomes 8 registers of big-endian words at `target`, a node in each lane."""
    lanes.registers_store(builder, lanes.columns(builder, source, 8), target)


def _emit_parents(builder, target, source):
    """16 digests from two neighbouring sixteens in lanes, of which the even ones are left children.

    source: 2 x 8 registers: words of the nodes 0 to 15, then of the nodes 16 to 31
    target: 8 registers: trimmed digests, again big-endian words, so no row between is ever turned

    The shuffle by even numbers takes the left children out of both sixteens, the one by odd numbers the right
    ones: what comes out is directly the 16 words of 16 messages.
    """
    left, right = (
        lanes.registers_load(builder, builder.add(source, llvm.splat(I64, at)), 8) for at in (0, NODES)
    )
    words = [
        builder.shuffle_vector(one, other, llvm.mask(list(range(side, 2 * WIDE, 2))))
        for side in (0, 1)
        for one, other in zip(left, right, strict=True)
    ]
    lanes.registers_store(builder, binary_tree.wide_hash(builder, words), target)


def _emit_rows(builder, target, source):
    """8 registers of words at `source` become 16 nodes, u32[16, 8], at `target`."""
    lanes.rows_store(builder, lanes.registers_load(builder, source, 8), target)


_SHA_NI = _four_rows(_emit_copy, binary_tree.emit_parents(4), 4, _emit_copy)
_PORTABLE = _four_rows(_emit_copy, binary_tree.emit_parents_lanes, 8, _emit_copy)
_WIDE = _four_rows(_emit_columns, _emit_parents, WIDE, _emit_rows)


@njit(**SERIAL)
def _row_sha_ni(nodes, above, room):
    """`ancestor_row`, 4 nodes interleaved by SHA-NI.

    nodes: u32[256n, 8]  digests as little-endian words
    above: u32[16n, 8]   output, every word written
    room:  u32[496, 8]   scratch: 256 nodes and the four rows above them
    """
    source, target, tree = nodes.ctypes.data, above.ctypes.data, room.ctypes.data
    for block in range(above.shape[0] // FOUR_ROWS):
        _SHA_NI(target + NODES * block, tree, source + 32 * ANCESTRY * block)


@njit(**SERIAL)
def _row_portable(nodes, above, room):
    """`ancestor_row`, 8 nodes in lanes of plain vectors.

    nodes: u32[256n, 8]  digests as little-endian words
    above: u32[16n, 8]   output, every word written
    room:  u32[496, 8]   scratch: 256 nodes and the four rows above them
    """
    source, target, tree = nodes.ctypes.data, above.ctypes.data, room.ctypes.data
    for block in range(above.shape[0] // FOUR_ROWS):
        _PORTABLE(target + NODES * block, tree, source + 32 * ANCESTRY * block)


@njit(**SERIAL)
def _row_wide(nodes, above, room):
    """`ancestor_row`, 16 nodes in lanes of AVX-512.

    nodes: u32[256n, 8]  digests as little-endian words
    above: u32[16n, 8]   output, every word written
    room:  u32[496, 8]   scratch: 256 nodes and the four rows above them
    """
    source, target, tree = nodes.ctypes.data, above.ctypes.data, room.ctypes.data
    for block in range(above.shape[0] // FOUR_ROWS):
        _WIDE(target + NODES * block, tree, source + 32 * ANCESTRY * block)


def ancestor_row(nodes: Words, above: Words) -> None:
    """Hash the row four above a row of a binary tree; the rows between never leave the cache.

    nodes: u32[256n, 8]
    above: u32[16n, 8]    output, every word written
    Cost:    15 hashes for 16 nodes, as in `binary_tree.hash_row`; 16 KiB of memory.
    Threads: none inside; the GIL is free.
    Errors:  none; `processors.pieces` has checked the shapes.
    Source:  rust-fil-proofs filecoin-hashers/src/sha256.rs.   Twin: tests/naive/binary_tree.py hash_row.
    Golden:  tests/golden/proofs/pieces.json.
    """
    narrow = _row_sha_ni if has_sha_ni() else _row_portable
    row = _row_wide if binary_tree.is_wide() else narrow
    row(nodes, above, np.empty((_ROOM, 8), np.uint32))
