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
from workers.kernels.llvm import I32, W8

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


def _emit_label_read(builder, words, label):
    """A label becomes eight words of a message.

    words: i64  address of u32[8], output, big-endian words;  label: i64  address of u8[32]
    """
    llvm.store(builder, llvm.byte_swap(builder, llvm.load(builder, label, 0, W8)), words, 0)


def _emit_label_spread(builder, words, label):
    """A label becomes eight words of one lane's message.

    words: i64  address of the lane's word 0, in rows of 8 words; output, big-endian words
    label: i64  address of u8[32]
    """
    read = llvm.byte_swap(builder, llvm.load(builder, label, 0, W8))
    for word in range(8):
        llvm.store(builder, builder.extract_element(read, llvm.splat(I32, word)), words, 4 * LANES * word)


def _emit_label_write(builder, label, state):
    """A digest, its two top bits cleared, becomes a label.

    label: i64  address of u8[32], output;  state: i64  address of u32[8]
    """
    label_words = llvm.byte_swap(builder, llvm.load(builder, state, 0, W8))
    trimmed = builder.and_(label_words, llvm.vector(W8, [0xFFFFFFFF] * 7 + [0x3FFFFFFF]))
    llvm.store(builder, trimmed, label, 0)


_SCHEDULE, _COMPRESS = llvm.step(_emit_schedule), llvm.step(_emit_compress)
_LABEL_READ, _LABEL_WRITE = llvm.step(_emit_label_read), llvm.step(_emit_label_write)
_LABEL_SPREAD = llvm.step(_emit_label_spread)


@njit(**SERIAL)
def whole_addresses(parents, current, previous, stride, addresses):
    """Compute where parents lie if both layers are in memory whole.

    parents:   u32[rows, 14]  rows of the parent cache
    current:   i64            address of node 0 of this layer, in which the first six of a row are
    previous:  i64            that of the layer before, in which the others are
    stride:    i64            bytes from a node to the next
    addresses: i64[rows, 14]  output
    Cost:    14 products a node, 4 to 10 ns.
    Threads: none inside; the GIL is free.   Errors: none; callers as those of `labels.label_rows`.
    Source:  this module.   Twin: none; NumPy says the same in a line.   Golden: none; no data of others.
    """
    for row in range(parents.shape[0]):
        for i in range(DRG_PARENTS):
            addresses[row, i] = current + stride * np.int64(parents[row, i])
        for i in range(DRG_PARENTS, ALL_PARENTS):
            addresses[row, i] = previous + stride * np.int64(parents[row, i])


@njit(**STEP)
def _node_load(words, half, labels, sectors):
    """The labels of one node become words 8·half … 8·half + 7 of the lanes' messages.

    words:   i64  address of u32[>= 16, 8]: a column a lane; rows 8·half … 8·half + 7 are written
    half:    i64  0 or 1
    labels:  i64  address of u8[sectors, 32]; lane l takes sector l mod sectors
    sectors: i64  at most 8
    """
    for lane in range(LANES):
        _LABEL_SPREAD(words + 32 * LANES * half + 4 * lane, labels + 32 * (lane % sectors))


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
def rows_scalar(replica_ids, layer, first, addresses, target, stride, offset):
    """As `labels_wide.rows_wide`, one sector after the other; for a single one quicker than lanes.

    replica_ids: u32[s, 8]     one row a sector
    layer:       i64           from 1
    first:       i64           the node of row 0, above 0
    addresses:   i64[rows, 14] the parents' labels, 32 bytes a sector; the first six are read in layer 1
    target:      i64           address of node `first`; the following ones lie `stride` bytes apart
    stride:      i64           bytes from a node to the next
    offset:      i64           bytes of other sectors in front, of the parents and of what is written
    Cost:    20 compressions a label and sector; each distinct schedule is expanded once.
    Threads: none inside; the GIL is free.   Errors: none; callers as those of `labels.label_rows`.
    Source:  rust-fil-proofs create_label/single.rs.   Twin: tests/naive/labels.py layer_labels.
    Golden:  layers of tests/golden/proofs/seal_2k_v1_1.json, seal_2k_v1.json, seal_2k_11layers.json.
    """
    state = np.empty(8, np.uint32)
    words = np.empty(64, np.uint32)
    schedules = np.empty((8, 64), np.uint32)
    label = np.empty(8, np.uint32)
    read, ids = label.ctypes.data, replica_ids.ctypes.data
    parent_count = DRG_PARENTS if layer == 1 else ALL_PARENTS
    pairs = parent_count // 2
    last = (MESSAGE_PARENTS - 1) % parent_count
    for row in range(addresses.shape[0]):
        node = first + row
        for sector in range(replica_ids.shape[0]):
            at = offset + 32 * sector
            _LABEL_READ(read, ids + 32 * sector)
            for i in range(8):
                state[i] = sha256.H[i]
                words[i] = label[i]
                words[8 + i] = np.uint32(0)
            words[8] = np.uint32(layer)
            words[9] = np.uint32(node >> 32)
            words[10] = np.uint32(node & 0xFFFFFFFF)
            sha256.schedule(words)
            sha256.rounds(state, words)
            for i in range(parent_count):
                _LABEL_READ(read, addresses[row, i] + at)
                for word in range(8):
                    schedules[i >> 1, 8 * (i & 1) + word] = label[word]
            for i in range(8):
                words[i] = schedules[last >> 1, 8 * (last & 1) + i]
                words[8 + i] = np.uint32(0)
            words[8] = np.uint32(0x80000000)
            words[15] = np.uint32(_BITS)
            for pair in range(pairs):
                sha256.schedule(schedules[pair])
            for block in range(MESSAGE_PARENTS // 2):
                sha256.rounds(state, schedules[block % pairs])
            sha256.schedule(words)
            sha256.rounds(state, words)
            for i in range(8):
                label[i] = state[i]
            _LABEL_WRITE(target + stride * row + at, read)


@njit(**SERIAL)
def rows_lanes(replica_ids, layer, first, addresses, target, stride, offset):
    """As `labels_wide.rows_wide`, for up to 8 sectors at once.

    replica_ids: u32[s, 8]     one row a sector
    layer:       i64           from 1
    first:       i64           the node of row 0, above 0
    addresses:   i64[rows, 14] the parents' labels, 32 bytes a sector; the first six are read in layer 1
    target:      i64           address of node `first`; the following ones lie `stride` bytes apart
    stride:      i64           bytes from a node to the next
    offset:      i64           bytes of other sectors in front, of the parents and of what is written
    Cost:    20 compressions a label, once for all sectors; each distinct schedule is expanded once.
    Threads: none inside; the GIL is free.   Errors: none; callers as those of `labels.label_rows`.
    Source:  rust-fil-proofs create_label/single.rs.   Twin: tests/naive/labels.py layer_labels.
    Golden:  layers of tests/golden/proofs/seal_2k_v1_1.json, seal_2k_11layers.json.
    """
    parent_count = DRG_PARENTS if layer == 1 else ALL_PARENTS
    pairs, last = parent_count // 2, (MESSAGE_PARENTS - 1) % parent_count
    sectors, label = replica_ids.shape[0], np.empty(8, np.uint32)
    state = np.empty((8, LANES), np.uint32)
    schedules = np.empty((ALL_PARENTS // 2 + 1, 64, LANES), np.uint32)
    spare = schedules[ALL_PARENTS // 2]
    start, size = schedules.ctypes.data, 64 * LANES * 4
    at, end = state.ctypes.data, start + size * (ALL_PARENTS // 2)
    for row in range(addresses.shape[0]):
        for word in range(8):
            state[word] = sha256.H[word]
        _node_load(end, 0, replica_ids.ctypes.data, sectors)
        _half_fill(spare, layer, first + row, 0)
        _SCHEDULE(end)
        _COMPRESS(at, end)
        for i in range(parent_count):
            _node_load(start + size * (i >> 1), i & 1, addresses[row, i] + offset, sectors)
        spare[0:8] = schedules[last >> 1, 8 * (last & 1) : 8 * (last & 1) + 8]
        for pair in range(pairs):
            _SCHEDULE(start + size * pair)
        for block in range(MESSAGE_PARENTS // 2):
            _COMPRESS(at, start + size * (block % pairs))
        _half_fill(spare, 0x80000000, 0, _BITS)
        _SCHEDULE(end)
        _COMPRESS(at, end)
        for sector in range(sectors):
            label[:] = state[:, sector]
            _LABEL_WRITE(target + stride * row + offset + 32 * sector, label.ctypes.data)
    schedules[0, 0, 0] = 0  # numba frees an array after its last use by name; its address is used until here
    state[0, 0] = 0
