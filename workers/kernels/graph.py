"""The parents of the stacked DRG: 6 by bucket sampling, 8 by a Feistel permutation.

Source: rust-fil-proofs storage-proofs-core/src/drgraph.rs, crypto/feistel.rs;
storage-proofs-porep/src/stacked/vanilla/graph.rs; spec proofs section 5.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from workers.kernels import llvm
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.llvm import I32, I64, V8, V16

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

    def half(a, b, c, d, *, word, turns):
        state[a] = builder.add(state[a], state[b])
        if word in words:  # the other 14 message words are zero
            state[a] = builder.add(state[a], words[word])
        state[d] = llvm.rotate_right(builder, builder.xor(state[d], state[a]), turns[0])
        state[c] = builder.add(state[c], state[d])
        state[b] = llvm.rotate_right(builder, builder.xor(state[b], state[c]), turns[1])

    for turn in range(12):
        sigma = _SIGMA[turn % 10]
        for quarter, indices in enumerate(_QUARTERS):
            half(*indices, word=sigma[2 * quarter], turns=(32, 24))
            half(*indices, word=sigma[2 * quarter + 1], turns=(16, 63))
    digest = builder.xor(llvm.splat(type_, _IV[0] ^ _PARAMETERS), builder.xor(state[0], state[8]))
    return llvm.byte_swap(builder, digest)


def _emit_feistel(builder, values, keys, half):
    """Encrypt the 8 slots at `values` in place: 3 rounds over 2 · half bits."""

    def spread(scalar):
        lane = builder.insert_element(llvm.undefined(V8), scalar, llvm.splat(I32, 0))
        return builder.shuffle_vector(lane, lane, llvm.mask([0] * 8))

    bits = spread(half)
    mask = builder.sub(builder.shl(llvm.splat(V8, 1), bits), llvm.splat(V8, 1))
    slots = llvm.load(builder, values, 0, V8)

    def turn(index, sides):
        left, right = sides
        address = builder.add(keys, builder.shl(index, llvm.splat(I64, 3)))
        key = spread(llvm.load(builder, address, 0, I64))
        return [right, builder.xor(left, builder.and_(emit_blake2b(builder, right, key), mask))]

    sides = [builder.and_(builder.lshr(slots, bits), mask), builder.and_(slots, mask)]
    left, right = llvm.loop(builder, llvm.splat(I64, 3), sides, turn)
    llvm.store(builder, builder.or_(builder.shl(left, bits), right), values, 0)


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


def _intrinsics():
    @intrinsic
    def feistel8(_typing, _values, _keys, _half):
        def code(context, builder, _signature, arguments):
            _emit_feistel(builder, *arguments)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, types.int64), code

    @intrinsic
    def chacha8(_typing, _target, _key, _first, _counter):
        def code(context, builder, _signature, arguments):
            _emit_chacha8(builder, *arguments)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, types.int64, types.int64), code

    return feistel8, chacha8


_FEISTEL_8, _CHACHA_8 = _intrinsics()

_BLOCK_NODES = 32
"""Nodes whose slots walk the permutation together; slots that land outside are gathered and go again."""


@njit(**STEP)
def _drg_rows(seed, legacy, first, rows):
    """The 6 DRG parents of consecutive nodes; ChaCha runs for 16 nodes at once.

    seed: u32[7];  rows: u32[n, 14], columns 0 to 5 written
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
def _expander_rows(keys, slots, half, legacy, first, rows):
    """The 8 expander parents of at most _BLOCK_NODES consecutive nodes.

    keys: u64[4];  rows: u32[n, 14], columns 6 to 13 written
    """
    values = np.empty(8 * _BLOCK_NODES + 8, np.uint64)
    places = np.empty(8 * _BLOCK_NODES, np.int64)
    count = 8 * rows.shape[0]
    for at in range(count):
        values[at] = np.uint64(8 * first + at)
        places[at] = at
    while count:
        for at in range(0, count, 8):
            _FEISTEL_8(values.ctypes.data + 8 * at, keys.ctypes.data, half)
        outside = 0
        for at in range(count):
            slot, place = values[at], places[at]
            if slot < slots:
                if legacy:
                    slot &= np.uint64(0xFFFFFFFF)
                rows[place >> 3, 6 + (place & 7)] = slot >> np.uint64(3)
            else:
                values[outside] = slot
                places[outside] = place
                outside += 1
        count = outside


@njit(**STEP)
def _drg_parents(node, words, legacy, out):
    """Five sampled parents and the node before, in hashing order.

    words: u32[32]  the node's ChaCha stream;  out: u32[>= 6]
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
def parent_rows(seed, keys, nodes, legacy, first, rows):
    """Compute the parents of consecutive nodes, in the layout of the parent cache.

    seed:   u32[7]      SHA-256("Filecoin_DRSample" || porep_id)[0:28]
    keys:   u64[4]      SHA-256("Filecoin_Feistel" || porep_id)
    nodes:  u64         nodes of the graph, a power of two
    legacy: bool        API 1.0.0: other parent order, expander parents from the low 32 bits
    first:  int         first node
    rows:   u32[n, 14]  output: 6 DRG parents, 8 expander parents, in hashing order
    Cost:    2 ChaCha8 blocks in 16 lanes, 24 to 48 BLAKE2b compressions in 8 lanes a node.
    Threads: none inside; the GIL is free.
    Errors:  none; `processors.parent_cache` has checked the node range.
    Source:  rust-fil-proofs drgraph.rs, feistel.rs, vanilla/graph.rs.   Twin: tests/naive/graph.py.
    Golden:  tests/golden/proofs/graph.json.
    """
    slots = np.uint64(nodes) * np.uint64(8)
    half = 1
    while np.uint64(1) << np.uint64(2 * half) < slots:
        half += 1
    for block in range(0, rows.shape[0], _BLOCK_NODES):
        part = rows[block : block + _BLOCK_NODES]
        _drg_rows(seed, legacy, first + block, part)
        _expander_rows(keys, slots, half, legacy, first + block, part)
