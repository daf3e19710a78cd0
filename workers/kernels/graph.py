"""The parents of the stacked DRG: 6 by bucket sampling, 8 by a Feistel permutation.

Source: rust-fil-proofs storage-proofs-core/src/drgraph.rs, crypto/feistel.rs;
storage-proofs-porep/src/stacked/vanilla/graph.rs correspondent, generate_expanded_parents.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from workers.kernels import llvm
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.llvm import I32, I64, V8, V16

Keys = np.ndarray[Any, np.dtype[np.uint64]]
"""u64[4]"""
Tables = np.ndarray[Any, np.dtype[np.uint32]]
"""u32[3, 2^half]"""

_IV = [
    0x6A09E667F3BCC908,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B,
    0x5BE0CD19137E2179,
]
_SIGMA = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
]
_QUARTERS = [
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
]
_PARAMETERS = 0x01010040
"""BLAKE2b: 64-byte digest, no key, fan-out and depth 1."""


def emit_blake2b(builder, first, second):
    """First digest word (big-endian) of BLAKE2b-512 over two big-endian u64; scalars or vectors."""
    type_ = first.type
    words = {0: llvm.byte_swap(builder, first), 1: llvm.byte_swap(builder, second)}
    state = [llvm.splat(type_, value) for value in _IV + _IV]
    state[0] = llvm.splat(type_, _IV[0] ^ _PARAMETERS)
    state[12] = llvm.splat(type_, _IV[4] ^ 16)
    state[14] = llvm.splat(type_, _IV[6] ^ 0xFFFFFFFFFFFFFFFF)

    def half(quarters, sigma, *, turns):
        """Half of four quarters, step by step across them: one alone would wait for itself."""
        for (a, b, _, _), word in zip(quarters, sigma, strict=True):
            state[a] = builder.add(state[a], state[b])
            if word in words:  # the other 14 message words are zero
                state[a] = builder.add(state[a], words[word])
        for a, _, _, d in quarters:
            state[d] = llvm.rotate_right(builder, builder.xor(state[d], state[a]), turns[0])
        for _, _, c, d in quarters:
            state[c] = builder.add(state[c], state[d])
        for _, b, c, _ in quarters:
            state[b] = llvm.rotate_right(builder, builder.xor(state[b], state[c]), turns[1])

    for turn in range(12):
        sigma = _SIGMA[turn % 10]
        for first_quarter in (0, 4):
            quarters = _QUARTERS[first_quarter : first_quarter + 4]
            taken = sigma[2 * first_quarter : 2 * first_quarter + 8]
            half(quarters, taken[::2], turns=(32, 24))
            half(quarters, taken[1::2], turns=(16, 63))
    digest = builder.xor(llvm.splat(type_, _IV[0] ^ _PARAMETERS), builder.xor(state[0], state[8]))
    return llvm.byte_swap(builder, digest)


def _emit_round(builder, target, first, key):
    """Eight values of a Feistel round from `first` on: the first digest words of (value, key)."""

    def spread(scalar):
        lane = builder.insert_element(llvm.undefined(V8), scalar, llvm.splat(I32, 0))
        return builder.shuffle_vector(lane, lane, llvm.mask([0] * 8))

    values = builder.add(spread(first), llvm.vector(V8, list(range(8))))
    llvm.store(builder, emit_blake2b(builder, values, spread(key)), target, 0)


def _emit_chacha8(builder, target, key, first, counter):
    """One block of ChaCha with 8 rounds for the nodes first … first + 15: word-major u32[16, 16]."""

    def spread(scalar):
        lane = builder.insert_element(llvm.undefined(V16), scalar, llvm.splat(I32, 0))
        return builder.shuffle_vector(lane, lane, llvm.mask([0] * 16))

    node = builder.add(spread(builder.trunc(first, I32)), llvm.vector(V16, list(range(16))))
    start = [llvm.splat(V16, word) for word in (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)]
    start += [spread(llvm.load(builder, key, 4 * i, I32)) for i in range(7)]
    start += [node, spread(builder.trunc(counter, I32)), *[llvm.splat(V16, 0)] * 3]

    def turn(_index, state):
        for a, b, c, d in _QUARTERS:
            for p, q, r, bits in ((a, b, d, 16), (c, d, b, 20), (a, b, d, 24), (c, d, b, 25)):
                state[p] = builder.add(state[p], state[q])
                state[r] = llvm.rotate_right(builder, builder.xor(state[r], state[p]), bits)
        return state

    words = llvm.loop(builder, llvm.splat(I64, 4), start, turn)
    for at, (word, initial) in enumerate(zip(words, start, strict=True)):
        llvm.store(builder, builder.add(word, initial), target, 64 * at)


_ROUND_8, _CHACHA_8 = llvm.step(_emit_round), llvm.step(_emit_chacha8)

_BLOCK_NODES = 32
"""Nodes whose slots walk the permutation together; slots that land outside go again."""
FEISTEL_ROUNDS = 3


@njit(**SERIAL)
def _fill_tables(keys, tables):
    """`feistel_tables` into memory of the caller.

    keys:   u64[4]          Feistel keys; the first three are used
    tables: u32[3, 2^half]  output, every word written: the round function of each half of a slot
    """
    digests = np.empty(8, np.uint64)
    mask = np.uint64(tables.shape[1] - 1)
    for turn in range(FEISTEL_ROUNDS):
        for first in range(0, tables.shape[1], 8):
            _ROUND_8(digests.ctypes.data, first, np.int64(keys[turn]))
            for lane in range(min(8, tables.shape[1])):
                tables[turn, first + lane] = np.uint32(digests[lane] & mask)
    digests[0] = 0  # numba frees an array after its last use by name; its address is used until here


def feistel_tables(keys: Keys, nodes: int) -> Tables:
    """Every value of the three round functions of the expander's permutation.

    A round takes only half of a slot's bits (11 for 8 MiB, 17 for 32 and 64 GiB), so all its values are
    few: 24 KiB for 8 MiB, 1.5 MiB for 64 GiB.  One look-up takes the place of a BLAKE2b.

    keys:    u64[4]     SHA-256("Filecoin_Feistel" || porep_id); three are used
    nodes:   int        nodes of the graph
    returns: u32[3, 2^half]
    Cost:    3 · 2^half BLAKE2b compressions in 8 lanes: 10 ms for 32 GiB.   Threads: none.
    Source:  rust-fil-proofs storage-proofs-core/src/crypto/feistel.rs.   Twin: tests/naive/graph.py.
    """
    half = 1
    while 1 << 2 * half < 8 * nodes:
        half += 1
    tables = np.empty((FEISTEL_ROUNDS, 1 << half), np.uint32)
    _fill_tables(keys, tables)
    return tables


@njit(**STEP)
def _drg_rows(seed, legacy, first, rows):
    """The 6 DRG parents of consecutive nodes; ChaCha runs for 16 nodes at once.

    seed:   u32[7]      of `parent_rows`
    legacy: bool        API 1.0.0: the node before stands last
    first:  i64         first node
    rows:   u32[n, 14]  columns 0 to 5 written
    """
    stream = np.empty((32, 16), np.uint32)
    for group in range(0, rows.shape[0], 16):
        for counter in range(2):
            _CHACHA_8(stream.ctypes.data + 1024 * counter, seed.ctypes.data, first + group, counter)
        for lane in range(min(16, rows.shape[0] - group)):
            node = np.uint64(first + group + lane)
            if node < np.uint64(2):
                for i in range(6):
                    rows[group + lane, i] = 0
            else:
                _drg_parents(node, stream[:, lane], legacy, rows[group + lane])


@njit(**STEP)
def _expander_rows(tables, slots, legacy, first, rows):
    """The 8 expander parents of at most _BLOCK_NODES consecutive nodes.

    tables: u32[3, 2^half]  of `feistel_tables`
    slots:  u64             of the graph: 8 a node
    legacy: bool            API 1.0.0: parents from the low 32 bits of a slot
    first:  i64             first node
    rows:   u32[n, 14]      columns 6 to 13 written; n at most _BLOCK_NODES
    """
    values = np.empty(8 * _BLOCK_NODES, np.uint64)
    places = np.empty(8 * _BLOCK_NODES, np.int64)
    half, mask = np.uint64(0), np.uint64(tables.shape[1] - 1)
    while np.uint64(1) << half <= mask:
        half += np.uint64(1)
    low = np.uint64(0xFFFFFFFF) if legacy else np.uint64(0xFFFFFFFFFFFFFFFF)
    count = 8 * rows.shape[0]
    for at in range(count):
        values[at] = np.uint64(8 * first + at)
        places[at] = at
    while count:
        outside = 0
        for at in range(count):
            left, right, place = values[at] >> half, values[at] & mask, places[at]
            left ^= np.uint64(tables[0, right])
            right ^= np.uint64(tables[1, left])
            left ^= np.uint64(tables[2, right])
            slot = right << half | left
            # half of them lie outside, at random: both are written, a branch would be guessed wrong
            rows[place >> 3, 6 + (place & 7)] = (slot & low) >> np.uint64(3)
            values[outside] = slot
            places[outside] = place
            outside += int(slot >= slots)
        count = outside


@njit(**STEP)
def _drg_parents(node, words, legacy, out):
    """Five sampled parents and the node before, in hashing order.

    node:   u64       at least 2
    words:  u32[32]   the node's ChaCha stream
    legacy: bool      API 1.0.0: the node before stands last, else first
    out:    u32[>= 6]  columns 0 to 5 written
    """
    meta = node * np.uint64(5)
    buckets, rest = np.uint64(0), meta - np.uint64(1)
    while rest:
        buckets += np.uint64(1)
        rest >>= np.uint64(1)
    at = 0 if legacy else 1
    for i in range(5):
        choice = np.uint64(words[4 * i]) | np.uint64(words[4 * i + 1]) << np.uint64(32)
        draw = np.uint64(words[4 * i + 2]) | np.uint64(words[4 * i + 3]) << np.uint64(32)
        bucket = choice % buckets + np.uint64(1)
        high = min(meta, np.uint64(1) << bucket)
        low = max(np.uint64(2), high >> np.uint64(1))
        parent = (meta - (low + draw % (high - low + np.uint64(1)))) // np.uint64(5)
        out[at + i] = node - np.uint64(1) if parent == node else parent
    out[5 if legacy else 0] = node - np.uint64(1)


@njit(**SERIAL)
def parent_rows(seed, tables, nodes, legacy, first, rows):
    """Compute the parents of consecutive nodes, in the layout of the parent cache.

    seed:   u32[7]          SHA-256("Filecoin_DRSample" || porep_id)[0:28]
    tables: u32[3, 2^half]  of `feistel_tables`
    nodes:  u64             nodes of the graph, a power of two
    legacy: bool            API 1.0.0: other parent order, expander parents from the low 32 bits
    first:  int             first node
    rows:   u32[n, 14]      output: 6 DRG parents, 8 expander parents, in hashing order
    Cost:    2 ChaCha8 blocks in 16 lanes and 24 to 48 look-ups a node.
    Threads: none inside; the GIL is free.
    Errors:  none; `processors.parent_cache` has checked the node range.
    Source:  rust-fil-proofs storage-proofs-core/src/drgraph.rs, src/crypto/feistel.rs;
             storage-proofs-porep/src/stacked/vanilla/graph.rs.   Twin: tests/naive/graph.py.
    Golden:  tests/golden/proofs/graph.json.
    """
    slots = np.uint64(nodes) * np.uint64(8)
    for block in range(0, rows.shape[0], _BLOCK_NODES):
        part = rows[block : block + _BLOCK_NODES]
        _drg_rows(seed, legacy, first + block, part)
        _expander_rows(tables, slots, legacy, first + block, part)
