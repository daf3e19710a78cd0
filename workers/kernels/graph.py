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
from workers.kernels.blake2b import QUARTERS, emit_blake2b
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.llvm import I32, I64, V8, V16

Keys = np.ndarray[Any, np.dtype[np.uint64]]
"""u64[4]"""
Tables = np.ndarray[Any, np.dtype[np.uint32]]
"""u32[3, 2^half]"""


def _emit_round(builder, target, first, key):
    """Eight values of a Feistel round from `first` on: the first digest words of (value, key).

    target: i64  address of u64[8], output: whole digest words, not yet cut to half a slot's bits
    first:  i64  the first value; its seven followers lie in the other lanes
    key:    i64  the round's key, u64
    """

    def spread(scalar):
        """A scalar in all 8 lanes."""
        lane = builder.insert_element(llvm.undefined(V8), scalar, llvm.splat(I32, 0))
        return builder.shuffle_vector(lane, lane, llvm.mask([0] * 8))

    values = builder.add(spread(first), llvm.vector(V8, list(range(8))))
    llvm.store(builder, emit_blake2b(builder, values, spread(key)), target, 0)


def _emit_chacha8(builder, target, key, first, counter):
    """One block of ChaCha with 8 rounds for the nodes first … first + 15: word-major u32[16, 16].

    target:  i64  address of u32[16, 16], output: row w has word w of the 16 nodes' streams
    key:     i64  address of u32[7]: the key but for its last word, which is the node
    first:   i64  the first node; of a node the low 32 bits count, as in the reference
    counter: i64  number of the block: 0 or 1; the nonce is zero
    Source:  rand_chacha's ChaCha8Rng, by the parents of the golden files.
    """

    def spread(scalar):
        """A scalar in all 16 lanes."""
        lane = builder.insert_element(llvm.undefined(V16), scalar, llvm.splat(I32, 0))
        return builder.shuffle_vector(lane, lane, llvm.mask([0] * 16))

    node = builder.add(spread(builder.trunc(first, I32)), llvm.vector(V16, list(range(16))))
    start = [llvm.splat(V16, word) for word in (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)]
    start += [spread(llvm.load(builder, key, 4 * i, I32)) for i in range(7)]
    start += [node, spread(builder.trunc(counter, I32)), *[llvm.splat(V16, 0)] * 3]

    def turn(_index, state):
        """A double round: four quarters by columns, four by diagonals.

        Rotations to the right by 16, 20, 24 and 25 are ChaCha's to the left by 16, 12, 8 and 7.
        """
        for a, b, c, d in QUARTERS:
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
    """Return every value of the three round functions of the expander's permutation.

    A round takes only half of a slot's bits (11 for 8 MiB, 17 for 32 and 64 GiB), so all its values are
    few: 24 KiB for 8 MiB, 1.5 MiB for 64 GiB.  One look-up takes the place of a BLAKE2b.

    keys:    u64[4]     SHA-256("Filecoin_Feistel" || porep_id); three are used
    nodes:   int        nodes of the graph
    returns: u32[3, 2^half], every value below 2^half; half is the least with 4^half >= 8 · nodes
    Cost:    3 · 2^half BLAKE2b compressions in 8 lanes: 10 ms for 32 GiB.   Threads: none.
    Source:  rust-fil-proofs storage-proofs-core/src/crypto/feistel.rs.
    Twin:    tests/naive/graph.py expander_parents.
    Golden:  tests/golden/proofs/graph.json.
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
             storage-proofs-porep/src/stacked/vanilla/graph.rs.
    Twin:    tests/naive/graph.py drg_parents, expander_parents.
    Golden:  tests/golden/proofs/graph.json.
    """
    slots = np.uint64(nodes) * np.uint64(8)
    for block in range(0, rows.shape[0], _BLOCK_NODES):
        part = rows[block : block + _BLOCK_NODES]
        _drg_rows(seed, legacy, first + block, part)
        _expander_rows(tables, slots, legacy, first + block, part)
