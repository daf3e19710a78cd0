"""Binary trees of SHA-256 with the two top bits cleared (SHA-254): tree-d and piece commitments.

Source: rust-fil-proofs filecoin-hashers/src/sha256.rs Sha256Function; spec proofs section 2.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from workers.kernels import sha256
from workers.kernels.cpu import has_sha_ni
from workers.kernels.flags import SERIAL

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


def _parents_intrinsic(count):
    emit = _emit_parents(count)

    @intrinsic
    def parents(_typing, _target, _source):
        def code(context, builder, _signature, arguments):
            emit(builder, *arguments)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp), code

    return parents


_PARENT_1 = _parents_intrinsic(1)
_PARENT_4 = _parents_intrinsic(4)


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


@njit(**SERIAL)
def _row_portable(children, parents):
    words = np.empty(64, np.uint32)
    state = np.empty(8, np.uint32)
    for node in range(parents.shape[0]):
        for i in range(8):
            state[i] = sha256.H[i]
        for i in range(16):
            words[i] = sha256.swap(children[2 * node + (i >> 3), i & 7])
        sha256.schedule(words)
        sha256.rounds(state, words)
        sha256.rounds(state, sha256.PADDING_64_WORDS)
        for i in range(8):
            parents[node, i] = sha256.swap(state[i])
        parents[node, 7] &= np.uint32(0x3FFFFFFF)


def hash_row(children: Words, parents: Words) -> None:
    """Hash neighbours pairwise: one row of a binary tree from the row below.

    children: u32[2n, 8]  nodes of the lower row
    parents:  u32[n, 8]   output, every word written
    Cost:    two compressions a node, the second with a precomputed schedule; 4 nodes interleaved.
    Threads: none inside; the GIL is free.
    Errors:  none; `processors.tree_d` has checked the shapes.
    Source:  rust-fil-proofs filecoin-hashers/src/sha256.rs.   Twin: tests/naive/binary_tree.py.
    Golden:  tests/golden/proofs/pieces.json.
    """
    if has_sha_ni():
        _row_sha_ni(children, parents)
    else:
        _row_portable(children, parents)
