"""Stacked DRG labels, the serial hash chain of PC1.

Source: rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/create_label/single.rs and
sha2raw; spec proofs section 6.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from workers.kernels import llvm, sha256
from workers.kernels.cpu import has_sha_ni
from workers.kernels.flags import SERIAL
from workers.kernels.llvm import I8, I32, I64, V4

if TYPE_CHECKING:
    from collections.abc import Sequence

Words = np.ndarray[Any, np.dtype[np.uint32]]
"""u32[n, k]"""

DRG_PARENTS = 6
ALL_PARENTS = 14
"""6 of the same layer, 8 of the layer before; one row of the parent cache."""
PREFETCH_NODES = 3
"""How many nodes ahead the parents are asked for: hides the memory latency (measured 1 to 3)."""
MESSAGE_PARENTS = 37
"""Parent nodes in the message of one label."""


def _emit_label(builder, parent_count, streams, arguments):
    table, layer, node, parents, ahead = arguments
    constant = lambda value: llvm.splat(I64, value)  # noqa: E731

    def offset_of(row, i):
        index = llvm.load(builder, row, 4 * i, I32)
        return builder.shl(builder.zext(index, I64), constant(5))

    offsets = [offset_of(parents, i) for i in range(parent_count)]
    rows = [
        [llvm.load(builder, table, 32 * stream + 8 * field, I64) for field in range(3)]
        for stream in range(streams)
    ]
    prefetch = llvm.function(builder, "llvm.prefetch.p0", llvm.VOID, [I8.as_pointer(), I32, I32, I32])
    for i in range(1, parent_count):
        offset = offset_of(ahead, i)
        for _, current, previous in rows:
            address = builder.add(current if i < DRG_PARENTS else previous, offset)
            hint = [builder.inttoptr(address, I8.as_pointer())]
            builder.call(prefetch, hint + [llvm.splat(I32, value) for value in (0, 3, 1)])

    header = llvm.splat(V4, 0)
    words = [builder.trunc(layer, I32), builder.trunc(builder.lshr(node, constant(32)), I32)]
    for lane, word in enumerate([*words, builder.trunc(node, I32)]):
        header = builder.insert_element(header, word, llvm.splat(I32, lane))
    firsts = [
        sha256.expand(builder, [*sha256.load_node(builder, replica_id), header, llvm.splat(V4, 0)])
        for replica_id, _, _ in rows
    ]
    states = sha256.compress(builder, [sha256.initial_state()] * streams, firsts)

    loaded = [
        [
            sha256.load_node(builder, builder.add(current if i < DRG_PARENTS else previous, offsets[i]))
            for i in range(parent_count)
        ]
        for _, current, previous in rows
    ]
    pairs = parent_count // 2
    schedules = [  # the message repeats its parents: each pair's schedule is expanded once
        [sha256.expand(builder, nodes[2 * pair] + nodes[2 * pair + 1]) for pair in range(pairs)]
        for nodes in loaded
    ]
    for block in range(MESSAGE_PARENTS // 2):
        states = sha256.compress(builder, states, [pair[block % pairs] for pair in schedules])
    bits = 512 + 256 * MESSAGE_PARENTS
    padding = [llvm.vector(V4, [0x80000000, 0, 0, 0]), llvm.vector(V4, [0, 0, 0, bits])]
    last = (MESSAGE_PARENTS - 1) % parent_count
    lasts = [sha256.expand(builder, nodes[last] + padding) for nodes in loaded]
    states = sha256.compress(builder, states, lasts)
    for (_, current, _), state in zip(rows, states, strict=True):
        target = builder.add(current, builder.shl(node, constant(5)))
        sha256.store_trimmed(builder, state, target)


def _label_intrinsic(parent_count, streams):
    @intrinsic
    def label(_typing, _table, _layer, _node, _parents, _ahead):
        def code(context, builder, _signature, arguments):
            _emit_label(builder, parent_count, streams, arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), code

    return label


_FIRST_1, _LATER_1 = _label_intrinsic(DRG_PARENTS, 1), _label_intrinsic(ALL_PARENTS, 1)
_FIRST_2, _LATER_2 = _label_intrinsic(DRG_PARENTS, 2), _label_intrinsic(ALL_PARENTS, 2)


@njit(**SERIAL)
def _rows_sha_ni_1(table, layer, first, parents):
    start, address = parents.ctypes.data, table.ctypes.data
    count = parents.shape[0]
    for row in range(count):
        ahead = start + 56 * min(row + PREFETCH_NODES, count - 1)
        if layer == 1:
            _FIRST_1(address, layer, first + row, start + 56 * row, ahead)
        else:
            _LATER_1(address, layer, first + row, start + 56 * row, ahead)


@njit(**SERIAL)
def _rows_sha_ni_2(table, layer, first, parents):
    start, address = parents.ctypes.data, table.ctypes.data
    count = parents.shape[0]
    for row in range(count):
        ahead = start + 56 * min(row + PREFETCH_NODES, count - 1)
        if layer == 1:
            _FIRST_2(address, layer, first + row, start + 56 * row, ahead)
        else:
            _LATER_2(address, layer, first + row, start + 56 * row, ahead)


@njit(**SERIAL)
def _rows_portable(replica_id, current, previous, layer, first, parents):
    state = np.empty(8, np.uint32)
    words = np.empty(64, np.uint32)
    schedules = np.empty((8, 64), np.uint32)
    taken = DRG_PARENTS if layer == 1 else ALL_PARENTS
    pairs = taken // 2
    for row in range(parents.shape[0]):
        node = first + row
        for i in range(8):
            state[i] = sha256.H[i]
            words[i] = sha256.swap(replica_id[i])
            words[8 + i] = np.uint32(0)
        words[8] = np.uint32(layer)
        words[9] = np.uint32(node >> 32)
        words[10] = np.uint32(node & 0xFFFFFFFF)
        sha256.schedule(words)
        sha256.rounds(state, words)
        for i in range(taken):
            index = np.int64(parents[row, i])
            source = current[index] if i < DRG_PARENTS else previous[index]
            for word in range(8):
                schedules[i >> 1, 8 * (i & 1) + word] = sha256.swap(source[word])
        last = (MESSAGE_PARENTS - 1) % taken
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
            current[node, i] = sha256.swap(state[i])
        current[node, 7] &= np.uint32(0x3FFFFFFF)


def first_label(replica_id: bytes, layer: int) -> bytes:
    """The label of node 0, which has no parents."""
    header = layer.to_bytes(4, "big") + bytes(8) + bytes(20)
    digest = hashlib.sha256(replica_id + header).digest()
    return digest[:31] + bytes([digest[31] & 0x3F])


def label_rows(
    replica_ids: Words,
    currents: Sequence[Words],
    previous: Sequence[Words],
    *,
    layer: int,
    first: int,
    parents: Words,
) -> None:
    """Label the nodes `first` … `first + len(parents) - 1` of one layer of 1 or more sectors.

    replica_ids: u32[s, 8]         one row a sector
    currents:    s of u32[n, 8]    this layer; nodes below `first` are there, the labelled ones are written
    previous:    s of u32[n, 8]    the layer before; for layer 1 any array, it is not read
    parents:     u32[rows, 14]     rows of the parent cache for exactly these nodes; node 0 is not among them
    Cost:    20 compressions a label and sector; SHA-NI, each distinct message schedule once, the
             parents of 3 nodes ahead prefetched.  Two sectors of one graph are interleaved.
    Threads: none inside; the GIL is free.
    Errors:  none; `processors.pc1` has checked shapes, and that parents lie below n.
    Source:  rust-fil-proofs create_label/single.rs.   Twin: tests/naive/labels.py.
    Golden:  tests/golden/proofs/seal_2k_v1_1.json, seal_8m_v1_1.json.
    """
    if not has_sha_ni():
        for sector in range(len(currents)):
            _rows_portable(replica_ids[sector], currents[sector], previous[sector], layer, first, parents)
        return
    width = replica_ids.strides[0]
    for start in range(0, len(currents), 2):
        group = range(start, min(start + 2, len(currents)))
        rows = [
            [replica_ids.ctypes.data + width * i, currents[i].ctypes.data, previous[i].ctypes.data, 0]
            for i in group
        ]
        kernel = _rows_sha_ni_1 if len(rows) == 1 else _rows_sha_ni_2
        kernel(np.array(rows, np.int64), layer, first, parents)
