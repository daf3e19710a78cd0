"""Binary trees of SHA-256 with the two top bits cleared (SHA-254): tree-d and piece commitments.

Source: rust-fil-proofs filecoin-hashers/src/sha256.rs Sha256Function; spec proofs section 2.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from workers.kernels import llvm, sha256
from workers.kernels.cpu import has_sha_ni
from workers.kernels.flags import SERIAL
from workers.kernels.llvm import I32, W8

Words = np.ndarray[Any, np.dtype[np.uint32]]
"""u32[n, 8]: nodes as little-endian words."""


def _emit_parents(count):
    def emit(builder, target, source):
        blocks = []
        for node in range(count):
            words = sha256.load_node(builder, source, 64 * node)
            words += sha256.load_node(builder, source, 64 * node + 32)
            blocks.append(sha256.expand(builder, words))
        states = sha256.compress(builder, [sha256.initial_state()] * count, blocks)
        states = sha256.compress(builder, states, [sha256.padding_schedule()] * count)
        for node, state in enumerate(states):
            sha256.store_trimmed(builder, state, target, 32 * node)

    return emit


_PARENT_1, _PARENT_4 = llvm.step(_emit_parents(1)), llvm.step(_emit_parents(4))


@njit(**SERIAL)
def _row_sha_ni(children, parents):
    source, target = children.ctypes.data, parents.ctypes.data
    count, done = parents.shape[0], 0
    while done + 4 <= count:
        _PARENT_4(target + 32 * done, source + 64 * done)
        done += 4
    while done < count:
        _PARENT_1(target + 32 * done, source + 64 * done)
        done += 1


def _emit_parents_lanes(builder, target, source):
    """Eight parents from 16 neighbouring children, a message in each lane."""
    words = []
    for word in range(16):
        lanes = llvm.undefined(W8)
        for lane in range(8):
            value = llvm.load(builder, source, 64 * lane + 4 * word, I32)
            lanes = builder.insert_element(lanes, value, llvm.splat(I32, lane))
        words.append(llvm.byte_swap(builder, lanes))
    state = [llvm.splat(W8, value) for value in sha256.INITIAL]
    state = sha256.lanes_compress(builder, state, sha256.lanes_schedule(builder, words))
    padding = [llvm.splat(W8, value) for value in sha256.PADDING_64]
    state = sha256.lanes_compress(builder, state, padding)
    digest = [llvm.byte_swap(builder, word) for word in state]
    digest[7] = builder.and_(digest[7], llvm.splat(W8, 0x3FFFFFFF))
    for word, lanes in enumerate(digest):
        for lane in range(8):
            value = builder.extract_element(lanes, llvm.splat(I32, lane))
            llvm.store(builder, value, target, 32 * lane + 4 * word)


_PARENTS_LANES = llvm.step(_emit_parents_lanes)


@njit(**SERIAL)
def _row_portable(children, parents):
    source, target = children.ctypes.data, parents.ctypes.data
    count, done = parents.shape[0], 0
    while done + 8 <= count:
        _PARENTS_LANES(target + 32 * done, source + 64 * done)
        done += 8
    if done == count:
        return
    few, made = np.zeros((16, 8), np.uint32), np.empty((8, 8), np.uint32)
    for child in range(2 * (count - done)):
        few[child] = children[2 * done + child]
    _PARENTS_LANES(made.ctypes.data, few.ctypes.data)
    for node in range(count - done):
        parents[done + node] = made[node]
    few[0, 0] = 0  # numba frees an array after its last use by name; its address is used until here


def hash_row(children: Words, parents: Words) -> None:
    """Hash neighbours pairwise: one row of a binary tree from the row below.

    children: u32[2n, 8]  nodes of the lower row
    parents:  u32[n, 8]   output, every word written
    Cost:    two compressions a node, the second with a precomputed schedule; 4 nodes interleaved,
             on the portable path 8 in the lanes of plain vectors.
    Threads: none inside; the GIL is free.
    Errors:  none; `processors.tree_d` has checked the shapes.
    Source:  rust-fil-proofs filecoin-hashers/src/sha256.rs.   Twin: tests/naive/binary_tree.py.
    Golden:  tests/golden/proofs/pieces.json.
    """
    if has_sha_ni():
        _row_sha_ni(children, parents)
    else:
        _row_portable(children, parents)
