"""Stacked DRG labels, the serial hash chain of PC1.

Source: rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/create_label/single.rs and
sha2raw/src/sha256.rs.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from workers.kernels import llvm, sha256
from workers.kernels.cpu import has_avx512, has_sha_ni
from workers.kernels.flags import SERIAL
from workers.kernels.labels_portable import (
    ALL_PARENTS,
    DRG_PARENTS,
    LANES,
    MESSAGE_PARENTS,
    rows_lanes,
    rows_scalar,
    whole_addresses,
)
from workers.kernels.labels_wide import rows_wide
from workers.kernels.lanes import WIDE
from workers.kernels.llvm import I8, I32, I64, V4

Words = np.ndarray[Any, np.dtype[np.uint32]]
"""u32[n, k]"""
Addresses = np.ndarray[Any, np.dtype[np.int64]]
"""i64[rows, 14]: where the labels of each row's parents lie in memory, of all sectors side by side."""
Rows = Callable[[Words, int, int, Addresses, int, int, int], None]
"""A kernel that labels so many sectors of one graph; arguments as of `labels_wide.rows_wide`."""

PREFETCH_NODES = 3
"""How many nodes ahead the parents are asked for: hides the memory latency (measured 1 to 3)."""
SATURATING_STREAMS = 4
"""Streams that keep the SHA unit busy by themselves: more at once cost registers."""
BLOCK_ROWS = 4096
"""Rows of whole layers whose addresses are computed at a time: 448 KiB, which stay in the second cache."""
_ROW_BYTES = 8 * ALL_PARENTS
TRIED, PASSES = 64, 8
"""Nodes of a trial of both ways, and how often each is tried."""


def _header_schedules(builder, streams, replica_ids, layer, node):
    """The schedules of a label's first block: replica id, layer, node.

    streams:     how many sectors
    replica_ids: i64  address of u32[streams, 8]
    layer, node: i64  written as 32 and 64 bits, big-endian, behind the replica id; 20 zero bytes follow
    returns:     for each stream an iterator over the 16 registers of W + K
    """
    header = llvm.splat(V4, 0)
    words = [layer, builder.lshr(node, llvm.splat(I64, 32)), node]
    for lane, word in enumerate(words):
        header = builder.insert_element(header, builder.trunc(word, I32), llvm.splat(I32, lane))

    def words_of(stream):
        """The four registers of one stream's first block."""
        return [*sha256.load_node(builder, replica_ids, 32 * stream), header, llvm.splat(V4, 0)]

    return [sha256.expanded(builder, functools.partial(words_of, stream)) for stream in range(streams)]


def _states_store(builder, states, address):
    """Write states side by side: of each ABEF and CDGH, 16 bytes each; no one else reads that form."""
    for at, part in enumerate(part for state in states for part in state):
        llvm.store(builder, part, address, 16 * at)


def _header(streams):
    """The states after the first block of `node`, which depends on no other label.

    streams: how many sectors
    returns: a step (replica_ids, layer, node, first_states): addresses but for layer and node;
             first_states is u32[streams, 8], output, in the register layout
    """

    def emit(builder, replica_ids, layer, node, first_states):
        """Compress the first blocks of all streams, starting from the initial state."""
        schedules = _header_schedules(builder, streams, replica_ids, layer, node)
        states = sha256.compress(builder, [sha256.initial_state()] * streams, schedules)
        _states_store(builder, states, first_states)

    return llvm.step(emit)


def _emit_label(builder, parent_count, streams, arguments):
    """One label of each of `streams` sectors; their nodes lie side by side, two in a cache line.

    parent_count: 6 in layer 1, 14 above;  streams: 1, 2 or 4
    arguments:    8 values, i64: layer, node, offset, and addresses; `row` is one of `Addresses`, `ahead` that
                  of a later node
    A label waits for the one before from its second block on.  So the first block of the next node is
    compressed beside the last block of this one: 19 blocks in a row instead of 20.
    """
    replica_ids, layer, node, row, ahead, target, first_states, offset = arguments
    constant = lambda value: llvm.splat(I64, value)  # noqa: E731

    def address_of(row, i):
        """The address of the labels of parent i of a row: the first six are of this layer."""
        return builder.add(llvm.load(builder, row, 8 * i, I64), offset)

    addresses = [address_of(row, i) for i in range(parent_count)]
    prefetch = llvm.function(builder, "llvm.prefetch.p0", llvm.VOID, [I8.as_pointer(), I32, I32, I32])
    for i in range(1, parent_count):
        address = address_of(ahead, i)
        for line in range(0, 32 * streams, 64):
            hint = [llvm.pointer(builder, address, line, I8)]
            builder.call(prefetch, hint + [llvm.splat(I32, value) for value in (0, 3, 1)])

    parts = [llvm.load(builder, first_states, 16 * at, V4) for at in range(2 * streams)]
    states = [(parts[2 * stream], parts[2 * stream + 1]) for stream in range(streams)]

    def pair_of(stream, pair):
        """The four registers of a block: two neighbouring parents of one stream."""
        first, second = addresses[2 * pair : 2 * pair + 2]
        return sha256.load_node(builder, first, 32 * stream) + sha256.load_node(builder, second, 32 * stream)

    def last_of(stream):
        """The last block: the 37th parent, and the padding of a message of 512 + 37 · 256 bits."""
        address = addresses[(MESSAGE_PARENTS - 1) % parent_count]
        bits = 512 + 256 * MESSAGE_PARENTS
        padding = [llvm.vector(V4, [0x80000000, 0, 0, 0]), llvm.vector(V4, [0, 0, 0, bits])]
        return sha256.load_node(builder, address, 32 * stream) + padding

    pairs = [
        [
            sha256.SharedSchedule(sha256.expanded(builder, functools.partial(pair_of, stream, pair)))
            for pair in range(parent_count // 2)
        ]
        for stream in range(streams)
    ]
    for block in range(MESSAGE_PARENTS // 2):
        states = sha256.compress(builder, states, [own[block % len(own)] for own in pairs])
    lasts = [sha256.expanded(builder, functools.partial(last_of, stream)) for stream in range(streams)]
    nexts = _header_schedules(builder, streams, replica_ids, layer, builder.add(node, constant(1)))
    initial = [sha256.initial_state()] * streams
    if streams < SATURATING_STREAMS:
        ended = sha256.compress(builder, [*states, *initial], [*lasts, *nexts])
    else:
        ended = sha256.compress(builder, states, lasts) + sha256.compress(builder, initial, nexts)
    labels = builder.add(target, offset)
    for stream, state in enumerate(ended[:streams]):
        sha256.store_trimmed(builder, state, labels, 32 * stream)
    _states_store(builder, ended[streams:], first_states)


def _label(parent_count, streams):
    """The step of one label for so many parents and sectors; see `_emit_label` for its arguments."""

    def emit(builder, replica_ids, layer, node, row, ahead, target, first_states, offset):  # noqa: PLR0913
        """Collect the arguments: a step counts them by this signature."""
        given = replica_ids, layer, node, row, ahead, target, first_states, offset
        _emit_label(builder, parent_count, streams, given)

    return llvm.step(emit)


_FIRST_1, _LATER_1 = _label(DRG_PARENTS, 1), _label(ALL_PARENTS, 1)
_FIRST_2, _LATER_2 = _label(DRG_PARENTS, 2), _label(ALL_PARENTS, 2)
_FIRST_4, _LATER_4 = _label(DRG_PARENTS, 4), _label(ALL_PARENTS, 4)
_HEADER_1, _HEADER_2, _HEADER_4 = _header(1), _header(2), _header(4)


@njit(**SERIAL)
def _rows_1(replica_ids, layer, first, addresses, target, stride, offset):
    """As `labels_wide.rows_wide`, for 1 sector by SHA-NI.

    replica_ids: u32[1, 8]     one row a sector
    layer:       i64           from 1
    first:       i64           the node of row 0, above 0
    addresses:   i64[rows, 14] the parents' labels; the first six are read in layer 1
    target:      i64           address of node `first`; the following ones lie `stride` bytes apart
    stride:      i64           bytes from a node to the next
    offset:      i64           bytes of other sectors in front, of the parents and of what is written
    """
    start = addresses.ctypes.data
    last = start + _ROW_BYTES * (addresses.shape[0] - 1)
    ids = replica_ids.ctypes.data
    states = np.empty(8 * 1, np.uint32)
    ended = states.ctypes.data
    _HEADER_1(ids, layer, first, ended)
    for row in range(addresses.shape[0]):
        at = start + _ROW_BYTES * row
        ahead = min(at + _ROW_BYTES * PREFETCH_NODES, last)
        if layer == 1:
            _FIRST_1(ids, layer, first + row, at, ahead, target + stride * row, ended, offset)
        else:
            _LATER_1(ids, layer, first + row, at, ahead, target + stride * row, ended, offset)
    states[0] = 0  # numba frees an array after its last use by name; its address is used until here


@njit(**SERIAL)
def _rows_2(replica_ids, layer, first, addresses, target, stride, offset):
    """As `labels_wide.rows_wide`, for 2 sectors by SHA-NI.

    replica_ids: u32[2, 8]     one row a sector
    layer:       i64           from 1
    first:       i64           the node of row 0, above 0
    addresses:   i64[rows, 14] the parents' labels; the first six are read in layer 1
    target:      i64           address of node `first`; the following ones lie `stride` bytes apart
    stride:      i64           bytes from a node to the next
    offset:      i64           bytes of other sectors in front, of the parents and of what is written
    """
    start = addresses.ctypes.data
    last = start + _ROW_BYTES * (addresses.shape[0] - 1)
    ids = replica_ids.ctypes.data
    states = np.empty(8 * 2, np.uint32)
    ended = states.ctypes.data
    _HEADER_2(ids, layer, first, ended)
    for row in range(addresses.shape[0]):
        at = start + _ROW_BYTES * row
        ahead = min(at + _ROW_BYTES * PREFETCH_NODES, last)
        if layer == 1:
            _FIRST_2(ids, layer, first + row, at, ahead, target + stride * row, ended, offset)
        else:
            _LATER_2(ids, layer, first + row, at, ahead, target + stride * row, ended, offset)
    states[0] = 0  # numba frees an array after its last use by name; its address is used until here


@njit(**SERIAL)
def _rows_4(replica_ids, layer, first, addresses, target, stride, offset):
    """As `labels_wide.rows_wide`, for 4 sectors by SHA-NI.

    replica_ids: u32[4, 8]     one row a sector
    layer:       i64           from 1
    first:       i64           the node of row 0, above 0
    addresses:   i64[rows, 14] the parents' labels; the first six are read in layer 1
    target:      i64           address of node `first`; the following ones lie `stride` bytes apart
    stride:      i64           bytes from a node to the next
    offset:      i64           bytes of other sectors in front, of the parents and of what is written
    """
    start = addresses.ctypes.data
    last = start + _ROW_BYTES * (addresses.shape[0] - 1)
    ids = replica_ids.ctypes.data
    states = np.empty(8 * 4, np.uint32)
    ended = states.ctypes.data
    _HEADER_4(ids, layer, first, ended)
    for row in range(addresses.shape[0]):
        at = start + _ROW_BYTES * row
        ahead = min(at + _ROW_BYTES * PREFETCH_NODES, last)
        if layer == 1:
            _FIRST_4(ids, layer, first + row, at, ahead, target + stride * row, ended, offset)
        else:
            _LATER_4(ids, layer, first + row, at, ahead, target + stride * row, ended, offset)
    states[0] = 0  # numba frees an array after its last use by name; its address is used until here


def first_label(replica_id: bytes, layer: int) -> bytes:
    """Return the label of node 0, which has no parents: of replica id, layer (big-endian) and 28 zeros."""
    header = layer.to_bytes(4, "big") + bytes(8) + bytes(20)
    digest = hashlib.sha256(replica_id + header).digest()
    return digest[:31] + bytes([digest[31] & 0x3F])


_ROWS = {1: _rows_1, 2: _rows_2, 4: _rows_4}


@functools.cache
def _is_wide_faster() -> bool:
    """Return whether 16 sectors in lanes beat four times four by the SHA unit here, as on Intel and Zen 5."""
    replica_ids, layer = np.zeros((WIDE, 8), np.uint32), np.zeros((TRIED + 1, WIDE, 8), np.uint32)
    start = layer.ctypes.data
    addresses = np.full((TRIED, ALL_PARENTS), start, np.int64)

    def seconds(rows: Rows, sectors: int) -> float:
        """Return how long one way takes for a layer of TRIED nodes, per sector."""
        stride = 32 * sectors
        started = time.perf_counter()
        rows(replica_ids[:sectors], 2, 1, addresses, start + stride, stride, 0)
        return (time.perf_counter() - started) / sectors

    # By turns, and the best of each: another process may be in the way, a cold unit is slow at first.
    passes = [(seconds(rows_wide, WIDE), seconds(_rows_4, 4)) for _ in range(PASSES)]
    return min(wide for wide, _ in passes) < min(narrow for _, narrow in passes)


def batches() -> tuple[int, ...]:
    """Return how many sectors of one graph are labelled side by side: as many as streams, or as lanes.

    Lanes stand beside the SHA unit where they are faster: both are tried once, for some milliseconds.
    """
    narrow = tuple(_ROWS) if has_sha_ni() else (*_ROWS, LANES)
    is_wide = has_avx512() and not (has_sha_ni() and not _is_wide_faster())
    return (*narrow, WIDE) if is_wide else narrow


def label_rows(
    replica_ids: Words, current: Words, previous: Words, *, layer: int, first: int, parents: Words
) -> None:
    """Label the nodes `first` … `first + len(parents) - 1` of one layer of `batches()` sectors.

    replica_ids: u32[s, 8]      one row a sector
    current:     u32[n, s, 8]   this layer, the sectors' nodes side by side; nodes below `first` are there
    previous:    u32[n, s, 8]   the layer before; for layer 1 any such array, it is not read
    parents:     u32[rows, 14]  rows of the parent cache for exactly these nodes; node 0 is not among them
    Cost:    20 compressions a label and sector; SHA-NI, each distinct message schedule once, the
             parents of 3 nodes ahead prefetched; sectors are interleaved in one instruction stream and
             share the cache lines of their parents.  Wants huge pages: 4 KiB pages halve it.
             16 sectors lie in the lanes of AVX-512; without SHA-NI several lie in 8 lanes.
    Threads: none inside; the GIL is free.
    Errors:  none; `processors.pc1` has checked shapes, and that parents lie below n.
    Source:  rust-fil-proofs create_label/single.rs.   Twin: tests/naive/labels.py layer_labels.
    Golden:  tests/golden/proofs/seal_2k_v1_1.json, seal_8m_v1_1.json.
    """
    sectors = len(replica_ids)
    rows, stride = rows_of(sectors), 32 * sectors
    here, below = current.ctypes.data, previous.ctypes.data
    addresses = np.empty((min(len(parents), BLOCK_ROWS), ALL_PARENTS), np.int64)
    for at in range(0, len(parents), BLOCK_ROWS):
        part = parents[at : at + BLOCK_ROWS]
        table, node = addresses[: len(part)], first + at
        whole_addresses(part, here, below, stride, table)
        rows(replica_ids, layer, node, table, here + stride * node, stride, 0)


def rows_of(sectors: int) -> Rows:
    """Return the kernel that labels so many sectors side by side on this machine."""
    if sectors == WIDE:
        return rows_wide
    portable = rows_scalar if sectors == 1 else rows_lanes
    return _ROWS.get(sectors, portable) if has_sha_ni() else portable
