# mypy: allow-untyped-calls
"""Sums of buckets of points in lanes: each lane has an eighth of a window's buckets.

Points are rows of `curve_lanes`, sums are projective and complete: they need no cases and no inversion.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import njit

from workers.kernels import llvm
from workers.kernels.curve_lanes import E1, E2, FIELD, FROM_LANES, ONE, WORDS, room_on_stack, signs_of
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.ifma import BEGIN, END, LANES
from workers.kernels.llvm import I64
from workers.kernels.rows_lanes import rows_after, store_words

EMPTY = np.uint32(1 << 31)
"""Index of a bucket without points."""


def _emit_add(e, builder, total, other):
    """total += other, X : Y : Z in three slots each; sums end below 2.01 p.

    total: i64  address of three slots, in and out;  other: the same, not changed; not `total`

    Each mixed product (x1 y2 + x2 y1 and its like) is a product of sums less two products that are there
    already.  What is subtracted is below the multiple of p that is added: 64 for sums of two products, 1024
    for 3 b z1 z2.
    Source: Renes, Costello, Batina, eprint 2015/1060, algorithm 7; complete.
    """
    room = room_on_stack(builder, 8 * e.parts)
    t0, t1, t2, t3, t4, y3, left, right = (builder.add(room, llvm.splat(I64, e.slot * k)) for k in range(8))
    one, two = (
        [builder.add(point, llvm.splat(I64, e.slot * k)) for k in range(3)] for point in (total, other)
    )
    nothing = e.constant(0)
    for target, a, b in zip((t0, t1, t2), one, two, strict=True):
        e.multiply(builder, target, a, b)
    for target, first, second, products in ((t3, 0, 1, (t0, t1)), (t4, 1, 2, (t1, t2)), (y3, 0, 2, (t0, t2))):
        for into, point in ((left, one), (right, two)):
            ends = (e.load(builder, point[k]) for k in (first, second))
            e.store(builder, into, e.carried(builder, e.add(builder, *ends)))
        e.multiply(builder, target, left, right)
        both = e.add(builder, *(e.load(builder, product) for product in products))
        rest = e.subtract(builder, e.load(builder, target), both, 64)
        e.store(builder, target, e.lowered(builder, rest))
    thrice = e.thrice_constant(builder, e.load(builder, t2))
    e.store(builder, t0, e.carried(builder, e.times(builder, e.load(builder, t0), 3)))
    middle = e.load(builder, t1)
    above = e.add(builder, middle, thrice)
    z3 = t2
    e.store(builder, z3, e.lowered(builder, e.subtract(builder, above, nothing, 4)))
    e.store(builder, t1, e.lowered(builder, e.subtract(builder, middle, thrice, 1024)))
    twelve = e.thrice_constant(builder, e.load(builder, y3))
    e.store(builder, y3, e.lowered(builder, e.subtract(builder, twelve, nothing, 4)))
    for target, (a, b), (c, d), is_difference in (
        (one[0], (t3, t1), (t4, y3), True),
        (one[1], (t1, z3), (y3, t0), False),
        (one[2], (z3, t4), (t0, t3), False),
    ):
        e.multiply(builder, left, a, b)
        e.multiply(builder, right, c, d)
        first, second = e.load(builder, left), e.load(builder, right)
        if is_difference:
            value = e.subtract(builder, first, second, 64)
        else:
            value = e.subtract(builder, e.add(builder, first, second), nothing, 4)
        e.store(builder, target, e.lowered(builder, value))


def _emit_load(e, builder, points, indices, target):
    """X : Y : Z of 8 rows; 0 : 1 : 0 for infinity and for buckets without points.

    points: i64  address of the first row;  indices: i64  address of u32[8]: a row, or EMPTY, whose highest
            bit marks it; its other bits are those of row 0, which is read and not used
    target: i64  address of three slots, output
    """
    rows = e.addresses(builder, points, indices)
    x, y = e.gather(builder, rows, 0), e.gather(builder, rows, 1)
    is_zero = builder.or_(signs_of(builder, indices), e.is_blank(builder, y))
    nothing, one = e.constant(0), e.constant(ONE)
    e.store(builder, target, e.select(builder, is_zero, nothing, x))
    e.store(builder, target, e.select(builder, is_zero, one, y), e.slot)
    e.store(builder, target, e.select(builder, is_zero, nothing, one), 2 * e.slot)


def _emit_words(e, builder, slot, words):
    """8 elements of a slot become rows of words side by side.

    slot:  i64  address of a coordinate of 8 points;  words: i64  address of u64[8, 6 · parts], output: below
           p
    """
    rows = rows_after(builder, words, 8 * WORDS * e.parts)
    for k, part in enumerate(e.load(builder, slot)):
        value = FIELD.multiply(builder, part, FIELD.constant(FROM_LANES))
        store_words(builder, rows, 8 * WORDS * k, FIELD.canonical(builder, value))


def _emit_infinity(e, builder, target):
    """Write 0 : 1 : 0 to three slots, in all lanes."""
    for k, value in enumerate((0, ONE, 0)):
        e.store(builder, target, e.constant(value), e.slot * k)


def _step(e, name, emit):
    """A step of the group of `e` whose code is a function of its own in each compiled module."""
    return llvm.step(llvm.called(f"g{e.parts}_lanes_{name}", partial(emit, e)))


_ADD_1, _ADD_2 = _step(E1, "add", _emit_add), _step(E2, "add", _emit_add)
_LOAD_1, _LOAD_2 = _step(E1, "load", _emit_load), _step(E2, "load", _emit_load)
_WORDS_1, _WORDS_2 = _step(E1, "words", _emit_words), _step(E2, "words", _emit_words)
_INFINITY_1, _INFINITY_2 = _step(E1, "infinity", _emit_infinity), _step(E2, "infinity", _emit_infinity)
_SLOT_1, _SLOT_2 = E1.slot, E2.slot


@njit(**STEP)
def _sum_buckets(steps, slot, points, buckets, sums):
    """`sum_buckets_lanes_g1` for the group of `steps`.

    steps:   tuple of 4 steps  add, load, words, infinity
    slot:    i64               bytes of a slot
    points:  u64[n, w]         rows
    buckets: u32[b]            the row of each bucket's sum, or EMPTY
    sums:    u64[2, 3, 8, v]   output
    """
    add, load, words, infinity = steps
    memory = np.empty((9 * slot + 64) // 8, np.uint64)
    running = (memory.ctypes.data + 63) & ~63
    total, bucket = running + 3 * slot, running + 6 * slot
    indices = np.empty(LANES, np.uint32)
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    infinity(running)
    infinity(total)
    share = buckets.shape[0] // LANES
    for place in range(share - 1, -1, -1):
        for lane in range(LANES):
            indices[lane] = buckets[lane * share + place]
        load(points.ctypes.data, indices.ctypes.data, bucket)
        add(running, bucket)
        add(total, running)
    for kind in range(2):
        for coordinate in range(3):
            words(running + (3 * kind + coordinate) * slot, sums[kind, coordinate].ctypes.data)
    END(control.ctypes.data)
    memory[0] = control[0] = indices[
        0
    ]  # numba frees arrays after their last use by name; addresses are used until here


@njit(**SERIAL)
def sum_buckets_lanes_g1(points, buckets, sums):
    """Sum each eighth of the buckets: plainly, and each bucket times its number in the eighth, from 1.

    points:  u64[n, 16]       rows of G1
    buckets: u32[b]           the row of each bucket's sum, or EMPTY; b is a multiple of 8
    sums:    u64[2, 3, 8, 6]  output: both sums, X, Y, Z, of each eighth, in the portable kernels' words
    Cost:    two complete additions (12 products each) for 8 buckets at a time.
    Threads: none inside; the GIL is free.   Errors: none; callers have made the rows.
    Source:  supranational/blst src/multi_scalar.c, _integrate_buckets.
    Twin:    tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _sum_buckets((_ADD_1, _LOAD_1, _WORDS_1, _INFINITY_1), _SLOT_1, points, buckets, sums)


@njit(**SERIAL)
def sum_buckets_lanes_g2(points, buckets, sums):
    """As `sum_buckets_lanes_g1`, for points of G2.

    points:  u64[n, 32]        rows of G2
    buckets: u32[b]            the row of each bucket's sum, or EMPTY; b is a multiple of 8
    sums:    u64[2, 3, 8, 12]  output: both sums, X, Y, Z, of each eighth, in the portable kernels' words
    Cost:    two complete additions for 8 buckets at a time.
    Threads: none inside; the GIL is free.   Errors: none; callers have made the rows.
    Source:  supranational/blst src/multi_scalar.c, _integrate_buckets.
    Twin:    tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _sum_buckets((_ADD_2, _LOAD_2, _WORDS_2, _INFINITY_2), _SLOT_2, points, buckets, sums)
