"""Binary trees of SHA-256 with the two top bits cleared (SHA-254): tree-d and piece commitments.

Source: rust-fil-proofs filecoin-hashers/src/sha256.rs Sha256Function::node.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from workers.kernels import lanes, llvm, sha256, sha256_lanes
from workers.kernels.cpu import has_avx512, has_sha_ni
from workers.kernels.flags import SERIAL
from workers.kernels.lanes import WIDE
from workers.kernels.llvm import I32, V16, W8

Words = np.ndarray[Any, np.dtype[np.uint32]]
"""u32[n, 8]: nodes as little-endian words."""

TRIED = 1024
PASSES = 12
"""Parents, and how often, by which the two ways of this machine are compared: a millisecond in all."""


def emit_parents(count):
    """Write the step that makes `count` parents by SHA-NI, interleaved.

    count:   parents at once: their rounds alternate, which hides the latency of the round instruction
    returns: emit(builder, target, source): u32[count, 8] at `target` from u32[2 · count, 8] at `source`
    """

    def emit(builder, target, source):
        """target, source: i64, addresses; nothing is written before all children are read."""

        def children(node):
            """The four registers of words of the message of a node: its left child, then its right one."""
            first = sha256.load_node(builder, source, 64 * node)
            return first + sha256.load_node(builder, source, 64 * node + 32)

        blocks = [sha256.expanded(builder, functools.partial(children, node)) for node in range(count)]
        states = sha256.compress(builder, [sha256.initial_state()] * count, blocks)
        states = sha256.compress(builder, states, [sha256.padding_schedule()] * count)
        for node, state in enumerate(states):
            sha256.store_trimmed(builder, state, target, 32 * node)

    return emit


_PARENT_1, _PARENT_4 = llvm.step(emit_parents(1)), llvm.step(emit_parents(4))


@njit(**SERIAL)
def _row_sha_ni(children, parents):
    """`hash_row`, 4 nodes interleaved by SHA-NI; any n.

    children: u32[2n, 8]  digests as little-endian words
    parents:  u32[n, 8]   output, every word written
    """
    source, target = children.ctypes.data, parents.ctypes.data
    count, done = parents.shape[0], 0
    while done + 4 <= count:
        _PARENT_4(target + 32 * done, source + 64 * done)
        done += 4
    while done < count:
        _PARENT_1(target + 32 * done, source + 64 * done)
        done += 1


def emit_parents_lanes(builder, target, source):
    """Eight parents from 16 neighbouring children, a message in each lane.

    target: i64  address of u32[8, 8], written after all children are read
    source: i64  address of u32[16, 8]; child 2i and 2i + 1 are the message of lane i

    Words are put into lanes and taken out one by one, in whatever registers LLVM makes of eight lanes.
    """
    words = []
    for word in range(16):
        values = llvm.undefined(W8)
        for lane in range(8):
            value = llvm.load(builder, source, 64 * lane + 4 * word, I32)
            values = builder.insert_element(values, value, llvm.splat(I32, lane))
        words.append(llvm.byte_swap(builder, values))
    state = [llvm.splat(W8, value) for value in sha256.INITIAL]
    state = sha256_lanes.lanes_compress(builder, state, sha256_lanes.lanes_schedule(builder, words))
    padding = [llvm.splat(W8, value) for value in sha256.PADDING_64]
    state = sha256_lanes.lanes_compress(builder, state, padding)
    digest = [llvm.byte_swap(builder, word) for word in state]
    digest[7] = builder.and_(digest[7], llvm.splat(W8, 0x3FFFFFFF))
    for word, values in enumerate(digest):
        for lane in range(8):
            value = builder.extract_element(values, llvm.splat(I32, lane))
            llvm.store(builder, value, target, 32 * lane + 4 * word)


_PARENTS_LANES = llvm.step(emit_parents_lanes)


@njit(**SERIAL)
def _row_portable(children, parents):
    """`hash_row`, 8 nodes in lanes of plain vectors; any n.

    children: u32[2n, 8]  digests as little-endian words
    parents:  u32[n, 8]   output, every word written
    """
    source, target = children.ctypes.data, parents.ctypes.data
    count, done = parents.shape[0], 0
    while done + 8 <= count:
        _PARENTS_LANES(target + 32 * done, source + 64 * done)
        done += 8
    if done == count:
        return
    few, made = np.zeros((16, 8), np.uint32), np.empty((8, 8), np.uint32)
    for child in range(2 * (count - done)):
        for word in range(8):  # numba takes seconds to compile what copies a row
            few[child, word] = children[2 * done + child, word]
    _PARENTS_LANES(made.ctypes.data, few.ctypes.data)
    for node in range(count - done):
        for word in range(8):
            parents[done + node, word] = made[node, word]
    few[0, 0] = 0  # numba frees an array after its last use by name; its address is used until here


def wide_hash(builder, words):
    """The trimmed digests of 16 messages of two nodes, in lanes.

    words:   16 registers of 16 u32: the big-endian words of the messages
    returns: 8 registers, the words of the digests; still big-endian, the last one's two top bits clear
    """
    state = [llvm.splat(V16, value) for value in sha256.INITIAL]
    state = sha256_lanes.lanes_compress(builder, state, sha256_lanes.lanes_schedule(builder, words))
    padding = [llvm.splat(V16, value) for value in sha256.PADDING_64]
    return lanes.trimmed(builder, sha256_lanes.lanes_compress(builder, state, padding))


def _emit_parents_wide(builder, target, source):
    """16 parents from 32 neighbouring children, a message in each lane.

    target: i64  address of u32[16, 8], output
    source: i64  address of u32[32, 8], read before anything is written
    """
    lanes.rows_store(builder, wide_hash(builder, lanes.columns(builder, source, 16)), target)


_PARENTS_WIDE = llvm.step(_emit_parents_wide)


@njit(**SERIAL)
def _row_wide(children, parents):
    """`hash_row`, 16 nodes in lanes of AVX-512.

    children: u32[2n, 8]  digests as little-endian words; n a multiple of 16
    parents:  u32[n, 8]   output, every word written
    """
    source, target = children.ctypes.data, parents.ctypes.data
    for done in range(0, parents.shape[0], WIDE):
        _PARENTS_WIDE(target + 32 * done, source + 64 * done)


@functools.cache
def _is_wide_faster() -> bool:
    """Return whether 16 lanes beat the SHA instructions here: by half on a Zen 5, hardly on a Zen 4."""
    children, parents = np.zeros((2 * TRIED, 8), np.uint32), np.empty((TRIED, 8), np.uint32)

    def seconds(row: Callable[[Words, Words], None]) -> float:
        """Return how long one way takes for TRIED parents."""
        started = time.perf_counter()
        row(children, parents)
        return time.perf_counter() - started

    # By turns, and the best of each: another process may be in the way, a cold unit is slow at first.
    passes = [(seconds(_row_wide), seconds(_row_sha_ni)) for _ in range(PASSES)]
    return min(wide for wide, _ in passes) < min(narrow for _, narrow in passes)


def is_wide() -> bool:
    """Return whether 16 lanes are the way of this machine."""
    return has_avx512() and not (has_sha_ni() and not _is_wide_faster())


def hash_row(children: Words, parents: Words) -> None:
    """Hash neighbours pairwise: one row of a binary tree from the row below.

    children: u32[2n, 8]  nodes of the lower row
    parents:  u32[n, 8]   output, every word written
    Cost:    two compressions a node, the second with a precomputed schedule; 16 nodes in the lanes of
             AVX-512 or 4 interleaved by SHA-NI, whichever is faster here (both are tried once, for a
             millisecond); on the portable path 8 in the lanes of plain vectors.
    Threads: none inside; the GIL is free.
    Errors:  none; `processors.tree_d` has checked the shapes.
    Source:  rust-fil-proofs filecoin-hashers/src/sha256.rs.   Twin: tests/naive/binary_tree.py hash_row.
    Golden:  tests/golden/proofs/pieces.json.
    """
    narrow = _row_sha_ni if has_sha_ni() else _row_portable
    wide = len(parents) - len(parents) % WIDE
    if not wide or not is_wide():
        narrow(children, parents)
        return
    _row_wide(children[: 2 * wide], parents[:wide])
    if wide < len(parents):
        narrow(children[2 * wide :], parents[wide:])
