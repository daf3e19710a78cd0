"""Four rows of a binary tree at once, for commitments, which need no row but the last.

Source: rust-fil-proofs filecoin-hashers/src/sha256.rs Sha256Function; spec proofs section 2.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from workers.kernels import binary_tree, llvm
from workers.kernels.binary_tree import WIDE
from workers.kernels.cpu import has_sha_ni
from workers.kernels.flags import SERIAL
from workers.kernels.llvm import I64, V16

if TYPE_CHECKING:
    from workers.kernels.binary_tree import Words

FOUR_ROWS = 16
"""Nodes of a row that one node four rows above stands for."""
ANCESTRY = 256
"""Nodes that are taken at once."""
_FIRST, _MADE = 128, 240
"""Nodes of the row above those, and of the four rows together: 7.5 KiB, which the first cache keeps."""


def _emit_turns(builder, emit, count, turns, target, source):
    """Make `count` parents at a time of neighbouring children."""

    def turn(index, carried):
        to = builder.add(target, builder.mul(index, llvm.splat(I64, 32 * count)))
        emit(builder, to, builder.add(source, builder.mul(index, llvm.splat(I64, 64 * count))))
        return carried

    llvm.loop(builder, llvm.splat(I64, turns), [], turn)


def _four_rows(first, others, count, finish=None):
    """The four rows over 256 nodes, one behind the other in `room`.

    The children of parent i above the first row are 2i and 2i + 1 from the beginning, in all rows alike.
    """

    def emit(builder, room, nodes):
        rest = builder.add(room, llvm.splat(I64, 32 * _FIRST))
        _emit_turns(builder, first, count, _FIRST // count, room, nodes)
        _emit_turns(builder, others, count, (_MADE - _FIRST) // count, rest, room)
        if finish:
            finish(builder, builder.add(room, llvm.splat(I64, 32 * (_MADE - FOUR_ROWS))))

    return llvm.step(emit)


def _emit_wide_first(builder, target, source):
    """16 digests from 32 nodes; they stay in lanes for the row above."""
    digests = binary_tree.emit_wide_hash(builder, binary_tree.emit_wide_load(builder, source))
    for i, word in enumerate(digests):
        llvm.store(builder, word, target, 64 * i)


def _emit_wide_other(builder, target, source):
    """16 digests from two sixteens in lanes, of which the even ones are left children."""
    left, right = ([llvm.load(builder, source, 64 * (at + i), V16) for i in range(8)] for at in (0, 8))
    words = [
        builder.shuffle_vector(one, other, llvm.mask(list(range(side, 2 * WIDE, 2))))
        for side in (0, 1)
        for one, other in zip(left, right, strict=True)
    ]
    for i, word in enumerate(binary_tree.emit_wide_hash(builder, words)):
        llvm.store(builder, word, target, 64 * i)


def _emit_wide_finish(builder, room):
    digests = [llvm.load(builder, room, 64 * i, V16) for i in range(8)]
    binary_tree.emit_wide_store(builder, digests, room)


_SHA_NI = _four_rows(binary_tree.emit_parents(4), binary_tree.emit_parents(4), 4)
_PORTABLE = _four_rows(binary_tree.emit_parents_lanes, binary_tree.emit_parents_lanes, 8)
_WIDE = _four_rows(_emit_wide_first, _emit_wide_other, WIDE, _emit_wide_finish)


@njit(**SERIAL)
def _row_sha_ni(nodes, above):
    room = np.empty((_MADE, 8), np.uint32)
    for block in range(above.shape[0] // FOUR_ROWS):
        _SHA_NI(room.ctypes.data, nodes.ctypes.data + 32 * ANCESTRY * block)
        above[FOUR_ROWS * block : FOUR_ROWS * (block + 1)] = room[_MADE - FOUR_ROWS :]


@njit(**SERIAL)
def _row_portable(nodes, above):
    room = np.empty((_MADE, 8), np.uint32)
    for block in range(above.shape[0] // FOUR_ROWS):
        _PORTABLE(room.ctypes.data, nodes.ctypes.data + 32 * ANCESTRY * block)
        above[FOUR_ROWS * block : FOUR_ROWS * (block + 1)] = room[_MADE - FOUR_ROWS :]


@njit(**SERIAL)
def _row_wide(nodes, above):
    room = np.empty((_MADE, 8), np.uint32)
    for block in range(above.shape[0] // FOUR_ROWS):
        _WIDE(room.ctypes.data, nodes.ctypes.data + 32 * ANCESTRY * block)
        above[FOUR_ROWS * block : FOUR_ROWS * (block + 1)] = room[_MADE - FOUR_ROWS :]


def ancestor_row(nodes: Words, above: Words) -> None:
    """Hash the row four above a row of a binary tree; the rows between never leave the cache.

    nodes: u32[256n, 8]
    above: u32[16n, 8]    output, every word written
    Cost:    15 hashes for 16 nodes, as in `binary_tree.hash_row`; 240 nodes of memory.
    Threads: none inside; the GIL is free.
    Errors:  none; `processors.pieces` has checked the shapes.
    Source:  rust-fil-proofs filecoin-hashers/src/sha256.rs.   Twin: tests/naive/binary_tree.py.
    Golden:  tests/golden/proofs/pieces.json.
    """
    if binary_tree.is_wide():
        _row_wide(nodes, above)
    elif has_sha_ni():
        _row_sha_ni(nodes, above)
    else:
        _row_portable(nodes, above)
