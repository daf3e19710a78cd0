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


def _blake2b_intrinsic():
    @intrinsic
    def blake2b(_typing, _first, _second):
        def code(_context, builder, _signature, arguments):
            return emit_blake2b(builder, *arguments)

        return types.uint64(types.uint64, types.uint64), code

    return blake2b


_blake2b = _blake2b_intrinsic()


@njit(**STEP)
def feistel(value, keys, half):
    """One encryption of the 3-round Feistel network over 2 · half bits.

    keys: u64[4]  the first 3 are used
    """
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = (value >> half) & mask, value & mask
    for turn in range(3):
        left, right = right, left ^ (_blake2b(right, keys[turn]) & mask)
    return (left << half) | right


@njit(**STEP)
def _rotate(x, n):
    return np.uint32(x << np.uint32(n)) | np.uint32(x >> np.uint32(32 - n))


@njit(**STEP)
def _chacha8(key, counter, out):
    """One block of ChaCha with 8 rounds.

    key: u32[8];  out: u32[16] in and out of scratch, the block at the end
    """
    start = np.empty(16, np.uint32)
    start[0], start[1] = np.uint32(0x61707865), np.uint32(0x3320646E)
    start[2], start[3] = np.uint32(0x79622D32), np.uint32(0x6B206574)
    for i in range(8):
        start[4 + i] = key[i]
    start[12] = np.uint32(counter)
    start[13] = start[14] = start[15] = np.uint32(0)
    out[:] = start
    for _ in range(4):
        for quarter in range(8):
            a, slant = quarter & 3, quarter >> 2
            b, c, d = 4 + ((a + slant) & 3), 8 + ((a + 2 * slant) & 3), 12 + ((a + 3 * slant) & 3)
            out[a] += out[b]
            out[d] = _rotate(out[d] ^ out[a], 16)
            out[c] += out[d]
            out[b] = _rotate(out[b] ^ out[c], 12)
            out[a] += out[b]
            out[d] = _rotate(out[d] ^ out[a], 8)
            out[c] += out[d]
            out[b] = _rotate(out[b] ^ out[c], 7)
    for i in range(16):
        out[i] += start[i]


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
    Cost:    2 ChaCha8 blocks and about 24 to 48 BLAKE2b compressions a node.
    Threads: none inside; the GIL is free.
    Errors:  none; `processors.parent_cache` has checked the node range.
    Source:  rust-fil-proofs drgraph.rs, feistel.rs, vanilla/graph.rs.   Twin: tests/naive/graph.py.
    Golden:  tests/golden/proofs/graph.json.
    """
    key = np.empty(8, np.uint32)
    words = np.empty(32, np.uint32)
    for i in range(7):
        key[i] = seed[i]
    slots = np.uint64(nodes) * np.uint64(8)
    half = np.uint64(1)
    while np.uint64(1) << (half + half) < slots:
        half += np.uint64(1)
    for row in range(rows.shape[0]):
        node = np.uint64(first + row)
        if node < np.uint64(2):
            for i in range(6):
                rows[row, i] = 0
        else:
            key[7] = np.uint32(node)
            _chacha8(key, 0, words[:16])
            _chacha8(key, 1, words[16:])
            _drg_parents(node, words, legacy, rows[row])
        for i in range(8):
            slot = node * np.uint64(8) + np.uint64(i)
            while True:
                slot = feistel(slot, keys, half)
                if slot < slots:
                    break
            if legacy:
                slot &= np.uint64(0xFFFFFFFF)
            rows[row, 6 + i] = slot >> np.uint64(3)
