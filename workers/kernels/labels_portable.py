"""Labels on CPUs without SHA instructions: one sector in scalars, several in 8 lanes.

The lanes are plain vectors, which LLVM maps to whatever the machine has (AVX2, NEON, pairs of SSE2
registers).  With fewer than 8 sectors, lanes repeat them: a vector costs 1.4 times a scalar.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels import llvm, sha256, sha256_lanes
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.llvm import W8

LANES = 8
DRG_PARENTS = 6
ALL_PARENTS = 14
"""6 of the same layer, 8 of the layer before; one row of the parent cache."""
MESSAGE_PARENTS = 37
"""Parent nodes in the message of one label."""
_BITS = 512 + 256 * MESSAGE_PARENTS


def _emit_schedule(builder, words):
    """Expand 16 vectors to the 64 of W + K, in place.

    words: i64  address of u32[64, 8]: rows 0 to 15 are the big-endian words of 8 messages, all rows are
           written
    """
    given = [llvm.load(builder, words, 32 * i, W8) for i in range(16)]
    for i, word in enumerate(sha256_lanes.lanes_schedule(builder, given)):
        llvm.store(builder, word, words, 32 * i)


def _emit_compress(builder, state, words):
    """One block of 8 messages, whose schedule is expanded.

    state: i64  address of u32[8, 8], a row a word, a column a message; in and out
    words: i64  address of u32[64, 8], W + K
    """
    before = [llvm.load(builder, state, 32 * i, W8) for i in range(8)]
    schedule = [llvm.load(builder, words, 32 * i, W8) for i in range(64)]
    for i, word in enumerate(sha256_lanes.lanes_compress(builder, before, schedule)):
        llvm.store(builder, word, state, 32 * i)


_SCHEDULE, _COMPRESS = llvm.step(_emit_schedule), llvm.step(_emit_compress)


@njit(**STEP)
def _node_load(words, half, nodes, index):
    """The node `index` of every sector becomes words 8·half … 8·half + 7 of the lanes' messages.

    words: u32[>= 16, 8]  messages, a column a lane; rows 8·half … 8·half + 7 are written
    half:  i64            0 or 1
    nodes: u32[n, s, 8]   labels, little-endian words; lane l takes sector l mod s
    index: i64            the node
    """
    for lane in range(LANES):
        for word in range(8):
            words[8 * half + word, lane] = sha256.swap(nodes[index, lane % nodes.shape[1], word])


@njit(**STEP)
def _half_fill(words, first, second, last):
    """The second half of every lane's message: two words in front, zeros, one behind.

    words:  u32[>= 16, 8]  messages, a column a lane; rows 8 to 15 are written
    first:  i64            word 8, below 2^32
    second: i64            words 9 and 10, big-endian
    last:   i64            word 15, below 2^32
    """
    words[8:16] = np.uint32(0)
    words[8] = np.uint32(first)
    words[9] = np.uint32(second >> 32)
    words[10] = np.uint32(second & 0xFFFFFFFF)
    words[15] = np.uint32(last)


@njit(**SERIAL)
def rows_scalar(replica_ids, current, previous, layer, first, parents):
    """As `labels.label_rows`, one sector after the other; for a single one quicker than lanes.

    replica_ids: u32[s, 8]     one row a sector
    current:     u32[n, s, 8]  this layer; rows first … first + rows - 1 are written
    previous:    u32[n, s, 8]  the layer before; not read in layer 1
    layer:       i64           from 1
    first:       i64           the first node, above 0
    parents:     u32[rows, 14]  rows of the parent cache for these nodes
    Cost:    20 compressions a label and sector; each distinct schedule is expanded once.
    Threads: none inside; the GIL is free.   Errors: none; callers as those of `labels.label_rows`.
    Source:  rust-fil-proofs create_label/single.rs.   Twin: tests/naive/labels.py layer_labels.
    Golden:  layers of tests/golden/proofs/seal_2k_v1_1.json, seal_2k_v1.json, seal_2k_11layers.json.
    """
    state = np.empty(8, np.uint32)
    words = np.empty(64, np.uint32)
    schedules = np.empty((8, 64), np.uint32)
    parent_count = DRG_PARENTS if layer == 1 else ALL_PARENTS
    pairs = parent_count // 2
    last = (MESSAGE_PARENTS - 1) % parent_count
    for row in range(parents.shape[0]):
        node = first + row
        for sector in range(replica_ids.shape[0]):
            for i in range(8):
                state[i] = sha256.H[i]
                words[i] = sha256.swap(replica_ids[sector, i])
                words[8 + i] = np.uint32(0)
            words[8] = np.uint32(layer)
            words[9] = np.uint32(node >> 32)
            words[10] = np.uint32(node & 0xFFFFFFFF)
            sha256.schedule(words)
            sha256.rounds(state, words)
            for i in range(parent_count):
                index = np.int64(parents[row, i])
                source = current if i < DRG_PARENTS else previous
                for word in range(8):
                    schedules[i >> 1, 8 * (i & 1) + word] = sha256.swap(source[index, sector, word])
            for i in range(8):
                words[i] = schedules[last >> 1, 8 * (last & 1) + i]
                words[8 + i] = np.uint32(0)
            words[8] = np.uint32(0x80000000)
            words[15] = np.uint32(512 + 256 * MESSAGE_PARENTS)
            for pair in range(pairs):
                sha256.schedule(schedules[pair])
            for block in range(MESSAGE_PARENTS // 2):
                sha256.rounds(state, schedules[block % pairs])
            sha256.schedule(words)
            sha256.rounds(state, words)
            for i in range(8):
                current[node, sector, i] = sha256.swap(state[i])
            current[node, sector, 7] &= np.uint32(0x3FFFFFFF)


@njit(**SERIAL)
def rows_lanes(replica_ids, current, previous, layer, first, parents):
    """As `labels.label_rows`, for up to 8 sectors at once.

    replica_ids: u32[s, 8]     one row a sector
    current:     u32[n, s, 8]  this layer; rows first … first + rows - 1 are written
    previous:    u32[n, s, 8]  the layer before; not read in layer 1
    layer:       i64           from 1
    first:       i64           the first node, above 0
    parents:     u32[rows, 14]  rows of the parent cache for these nodes
    Cost:    20 compressions a label, once for all sectors; each distinct schedule is expanded once.
    Threads: none inside; the GIL is free.   Errors: none; callers as those of `labels.label_rows`.
    Source:  rust-fil-proofs create_label/single.rs.   Twin: tests/naive/labels.py layer_labels.
    Golden:  layers of tests/golden/proofs/seal_2k_v1_1.json, seal_2k_11layers.json.
    """
    parent_count = DRG_PARENTS if layer == 1 else ALL_PARENTS
    pairs, last = parent_count // 2, (MESSAGE_PARENTS - 1) % parent_count
    ids = replica_ids.reshape(1, replica_ids.shape[0], 8)
    state = np.empty((8, LANES), np.uint32)
    schedules = np.empty((ALL_PARENTS // 2 + 1, 64, LANES), np.uint32)
    spare = schedules[ALL_PARENTS // 2]
    start, size = schedules.ctypes.data, 64 * LANES * 4
    at, end = state.ctypes.data, start + size * (ALL_PARENTS // 2)
    for row in range(parents.shape[0]):
        node = first + row
        for word in range(8):
            state[word] = sha256.H[word]
        _node_load(spare, 0, ids, 0)
        _half_fill(spare, layer, node, 0)
        _SCHEDULE(end)
        _COMPRESS(at, end)
        for i in range(parent_count):
            _node_load(
                schedules[i >> 1], i & 1, current if i < DRG_PARENTS else previous, np.int64(parents[row, i])
            )
        spare[0:8] = schedules[last >> 1, 8 * (last & 1) : 8 * (last & 1) + 8]
        for pair in range(pairs):
            _SCHEDULE(start + size * pair)
        for block in range(MESSAGE_PARENTS // 2):
            _COMPRESS(at, start + size * (block % pairs))
        _half_fill(spare, 0x80000000, 0, _BITS)
        _SCHEDULE(end)
        _COMPRESS(at, end)
        for sector in range(replica_ids.shape[0]):
            for word in range(8):
                current[node, sector, word] = sha256.swap(state[word, sector])
            current[node, sector, 7] &= np.uint32(0x3FFFFFFF)
    schedules[0, 0, 0] = 0  # numba frees an array after its last use by name; its address is used until here
    state[0, 0] = 0
