"""Labels of 16 sectors of one graph at once, a sector in each lane of AVX-512 registers.

The SHA unit begins two rounds every other cycle at best, however many messages there are; 16 lanes make
several times as many labels of it.  A row of a node's 16 labels becomes words of 16 sectors on its way in.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels import lanes, llvm, sha256, sha256_lanes
from workers.kernels.flags import SERIAL
from workers.kernels.labels_portable import ALL_PARENTS, DRG_PARENTS, MESSAGE_PARENTS
from workers.kernels.lanes import LINE, NODES, WIDE
from workers.kernels.llvm import I8, I32, I64, V16

_SCHEDULE_BYTES = 64 * LINE
_BITS = 512 + 256 * MESSAGE_PARENTS


def _emit_nodes_load(builder, words, nodes):
    """The labels of one node become eight words of the lanes' messages.

    words: i64  address of u32[8, 16], output: a row a big-endian word, a column a sector
    nodes: i64  address of u32[16, 8], a row a sector's label
    """
    lanes.registers_store(builder, lanes.columns(builder, nodes, 8), words)


def _emit_copy(builder, target, source):
    """Eight words of the lanes' messages: u32[8, 16] from `source` to `target`."""
    lanes.registers_store(builder, lanes.registers_load(builder, source, 8), target)


def _emit_half_fill(builder, words, first, second, last):
    """Half of a message that is the same in all lanes: two words in front (32 and 64 bits), one behind.

    words:  i64  address of u32[8, 16], output
    first:  i64  word 0, its low 32 bits
    second: i64  words 1 and 2, big-endian
    last:   i64  word 7, its low 32 bits
    """
    high = builder.lshr(second, llvm.splat(I64, 32))
    for i, value in enumerate((first, high, second, None, None, None, None, last)):
        word = llvm.splat(V16, 0)
        if value is not None:
            one = builder.insert_element(word, builder.trunc(value, I32), llvm.splat(I32, 0))
            word = builder.shuffle_vector(one, one, llvm.mask([0] * WIDE))
        llvm.store(builder, word, words, LINE * i)


def _emit_begin(builder, state):
    """The initial state in all lanes; `state`: address of u32[8, 16]."""
    lanes.registers_store(builder, [llvm.splat(V16, value) for value in sha256.INITIAL], state)


def _emit_rounds(builder, state, schedule):
    """The 64 rounds over a schedule.

    state:    i64  address of u32[8, 16], in and out
    schedule: 64 registers of W + K, asked for one by one
    """
    before = lanes.registers_load(builder, state, 8)
    lanes.registers_store(builder, sha256_lanes.lanes_compress(builder, before, schedule), state)


def _emit_compress(builder, state, words):
    """One block of the 16 messages, whose 16 registers become the 64 of W + K on the way.

    state: i64  address of u32[8, 16], in and out
    words: i64  address of u32[64, 16]: rows 0 to 15 are the block, all rows are written for a block that
           repeats
    """

    def expanded():
        """Yield each register of W + K once it is stored."""
        given = lanes.registers_load(builder, words, 16)
        for i, word in enumerate(sha256_lanes.lanes_schedule(builder, given)):
            llvm.store(builder, word, words, LINE * i)
            yield word

    _emit_rounds(builder, state, expanded())


def _emit_compress_again(builder, state, words):
    """One block of the 16 messages, whose schedule is expanded; arguments as of `_emit_compress`."""
    _emit_rounds(builder, state, (llvm.load(builder, words, LINE * i, V16) for i in range(64)))


def _emit_labels_store(builder, state, nodes):
    """The 16 digests, trimmed, become the labels of a node.

    state: i64  address of u32[8, 16]
    nodes: i64  address of u32[16, 8], output: little-endian words
    """
    digests = lanes.trimmed(builder, lanes.registers_load(builder, state, 8))
    lanes.rows_store(builder, digests, nodes)


def _emit_prefetch(builder, nodes):
    """Emit prefetches of a node's 16 labels, 512 bytes in 8 cache lines, before they are read."""
    prefetch = llvm.function(builder, "llvm.prefetch.p0", llvm.VOID, [I8.as_pointer(), I32, I32, I32])
    for line in range(0, NODES, LINE):
        hint = [llvm.pointer(builder, nodes, line, I8)]
        builder.call(prefetch, hint + [llvm.splat(I32, value) for value in (0, 3, 1)])


_NODES_LOAD, _HALF_FILL = llvm.step(_emit_nodes_load), llvm.step(_emit_half_fill)
_COMPRESS, _COMPRESS_AGAIN = llvm.step(_emit_compress), llvm.step(_emit_compress_again)
_BEGIN = llvm.step(_emit_begin)
_LABELS_STORE, _PREFETCH = llvm.step(_emit_labels_store), llvm.step(_emit_prefetch)
_COPY = llvm.step(_emit_copy)


@njit(**SERIAL)
def rows_wide(replica_ids, layer, first, addresses, target, stride, offset):
    """Labels of nodes of one layer of 16 sectors, whose parents may lie anywhere in memory.

    replica_ids: u32[16, 8]    one row a sector
    layer:       i64           from 1
    first:       i64           the node of row 0, above 0
    addresses:   i64[rows, 14] the parents' labels, 32 bytes a sector; the first six are read in layer 1
    target:      i64           address of node `first`; the following ones lie `stride` bytes apart
    stride:      i64           bytes from a node to the next
    offset:      i64           bytes of other sectors in front, of the parents and of what is written
    Cost:    20 compressions a label, once for all sectors; each distinct schedule is expanded once, the
             parents of the next node are prefetched; 32 KiB of schedules stay in the first cache.
    Threads: none inside; the GIL is free.   Errors: none; callers as those of `labels.label_rows`.
    Source:  rust-fil-proofs create_label/single.rs.   Twin: tests/naive/labels.py layer_labels.
    Golden:  layers of tests/golden/proofs/seal_2k_v1_1.json, seal_2k_11layers.json.
    """
    parent_count = DRG_PARENTS if layer == 1 else ALL_PARENTS
    pairs, last = parent_count // 2, (MESSAGE_PARENTS - 1) % parent_count
    room = np.zeros(LINE + 8 * LINE + (ALL_PARENTS // 2 + 2) * _SCHEDULE_BYTES, np.uint8)
    state = (room.ctypes.data + LINE - 1) & ~(LINE - 1)
    start = state + 8 * LINE
    header = start + _SCHEDULE_BYTES * (ALL_PARENTS // 2)
    ids = header + _SCHEDULE_BYTES
    rows = addresses.shape[0]
    _NODES_LOAD(ids, replica_ids.ctypes.data)
    for row in range(rows):
        ahead = min(row + 1, rows - 1)
        for i in range(parent_count):
            half = start + _SCHEDULE_BYTES * (i >> 1) + 8 * LINE * (i & 1)
            _NODES_LOAD(half, addresses[row, i] + offset)
        _BEGIN(state)
        _COPY(header, ids)
        _HALF_FILL(header + 8 * LINE, layer, first + row, 0)
        _COMPRESS(state, header)
        _COPY(header, start + _SCHEDULE_BYTES * (last >> 1) + 8 * LINE * (last & 1))
        for block in range(MESSAGE_PARENTS // 2):
            if 0 < block < parent_count:
                _PREFETCH(addresses[ahead, block] + offset)
            if block < pairs:
                _COMPRESS(state, start + _SCHEDULE_BYTES * block)
            else:
                _COMPRESS_AGAIN(state, start + _SCHEDULE_BYTES * (block % pairs))
        _HALF_FILL(header + 8 * LINE, 0x80000000, 0, _BITS)
        _COMPRESS(state, header)
        _LABELS_STORE(state, target + stride * row + offset)
    room[0] = 0  # numba frees an array after its last use by name; its address is used until here
