"""Sums of pairs of points of G1 and G2 in lanes, one inversion for many of them.

Rows are those of `curve_lanes`.  Groups of 8 pairs in which a point is infinity, or both have the same x,
take steps that treat every case; all others take shorter ones.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels.flags import SERIAL, STEP
from workers.kernels.ifma import BEGIN, END, LANES
from workers.kernels.inverse_lanes import (
    MULTIPLY_1,
    MULTIPLY_2,
    ONE_1,
    ONE_2,
    SLOT_1,
    SLOT_2,
    invert_1,
    invert_2,
)
from workers.kernels.point_sum_steps import (
    DIFFERENCE_1,
    DIFFERENCE_2,
    DIFFERENCE_ANY_1,
    DIFFERENCE_ANY_2,
    FETCH_1,
    FETCH_2,
    FINISH_1,
    FINISH_2,
    FINISH_ANY_1,
    FINISH_ANY_2,
)

BATCH = 512
"""Groups of 8 pairs that share an inversion."""
AHEAD = 6
"""Groups between a row's fetch and its use."""


@njit(**STEP)
def last_group(indices, tail):
    """The last group's indices, the last of all repeated; returns how many groups are whole.

    indices: u32[p]  at least one
    tail:    u32[8]  output
    """
    whole = indices.shape[0] // LANES
    for lane in range(LANES):
        tail[lane] = indices[min(LANES * whole + lane, indices.shape[0] - 1)]
    return whole


@njit(**STEP)
def _room_of(pairs, slot):
    """Return the memory of a call, and in it the addresses of the factors and of the inverse.

    pairs: i64  how many
    slot:  i64  bytes of a slot
    """
    batch = min(BATCH, (pairs + LANES - 1) // LANES)
    memory = np.empty(((2 * batch + 2) * slot + 18 * SLOT_1 + 64) // 8, np.uint64)
    factors = (memory.ctypes.data + 63) & ~63
    return memory, factors, factors + (2 * batch + 1) * slot


@njit(**STEP)
def _multiply_up(steps, slot, points, indices, tails, plan, flags):
    """Write each group's denominators behind the product of those before; returns where the last product is.

    steps:   tuple of 5 steps   one, fetch, difference, difference_any, multiply
    slot:    i64                bytes of a slot
    points:  u64[n, w]          rows
    indices: tuple of 2 u32[p]  first and second of each pair
    tails:   u32[3, 8]          the last group's
    plan:    tuple of 4 i64     first group, how many, how many of all are whole, address of the factors
    flags:   u8[batch]          output: groups that need care
    """
    one, fetch, difference, difference_any, multiply = steps
    begin, count, whole, factors = plan
    source = points.ctypes.data
    one(factors)
    for k in range(count):
        at = 4 * LANES * (begin + k)
        a, b = indices[0].ctypes.data + at, indices[1].ctypes.data + at
        if begin + k == whole:
            a, b = tails[0].ctypes.data, tails[1].ctypes.data
        elif begin + k + AHEAD < whole:
            fetch(source, a + 4 * LANES * AHEAD)
            fetch(source, b + 4 * LANES * AHEAD)
        product = factors + 2 * k * slot
        below = product + slot
        difference(source, a, b, below, flags.ctypes.data + k)
        if flags[k]:
            difference_any(source, a, b, below)
        multiply(below + slot, product, below)
    return factors + 2 * count * slot


@njit(**STEP)
def _divide_down(steps, slot, points, indices, tails, plan, flags, out):
    """Write a batch's sums, the last group first, from the inverse of all denominators.

    steps:   tuple of 3 steps   finish, finish_any, multiply
    slot:    i64                bytes of a slot
    points:  u64[n, w]          rows
    indices: tuple of 3 u32[p]  first and second of each pair, the sum's place
    tails:   u32[3, 8]          the last group's
    plan:    tuple of 5 i64     as in `_multiply_up`, and the address of the inverse
    flags:   u8[batch]          groups that need care
    out:     u64[m, w]          output
    """
    finish, finish_any, multiply = steps
    begin, count, whole, factors, inverse = plan
    source, target = points.ctypes.data, out.ctypes.data
    for k in range(count - 1, -1, -1):
        at = 4 * LANES * (begin + k)
        a, b, c = indices[0].ctypes.data + at, indices[1].ctypes.data + at, indices[2].ctypes.data + at
        if begin + k == whole:
            a, b, c = tails[0].ctypes.data, tails[1].ctypes.data, tails[2].ctypes.data
        own = factors + 2 * k * slot
        multiply(own, own, inverse)
        multiply(inverse, inverse, own + slot)
        if flags[k]:
            finish_any(source, a, b, own, target, c)
        else:
            finish(source, a, b, own, target, c)


@njit(**SERIAL)
def add_pairs_lanes_g1(points, first, second, out, places):
    """out[places[k]] = points[first[k]] + points[second[k]]: all cases, one inversion a batch.

    points: u64[n, 16]  rows of G1
    first:  u32[p]      indices; the highest bit negates the point
    second: u32[p]      the same
    out:    u64[m, 16]  output; may be `points` where no place is read later in the same call
    places: u32[p]      rows of `out`
    Cost:    5 products, a square and a share of an inversion a pair, 8 pairs at a time.
    Threads: none inside; the GIL is free.   Errors: none; callers have made the indices.
    Source:  supranational/blst src/bulk_addition.c HEAD, TAIL.   Twin: tests/naive/curve.py point_add.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    if first.shape[0] == 0:
        return
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    tails, flags = np.empty((3, LANES), np.uint32), np.empty(BATCH, np.uint8)
    whole = last_group(first, tails[0])
    last_group(second, tails[1])
    last_group(places, tails[2])
    memory, factors, inverse = _room_of(first.shape[0], SLOT_1)
    groups = (first.shape[0] + LANES - 1) // LANES
    up = (ONE_1, FETCH_1, DIFFERENCE_1, DIFFERENCE_ANY_1, MULTIPLY_1)
    down = (FINISH_1, FINISH_ANY_1, MULTIPLY_1)
    for begin in range(0, groups, BATCH):
        plan = (begin, min(BATCH, groups - begin), whole, factors)
        product = _multiply_up(up, SLOT_1, points, (first, second), tails, plan, flags)
        invert_1(inverse, product, inverse + SLOT_1)
        _divide_down(down, SLOT_1, points, (first, second, places), tails, (*plan, inverse), flags, out)
    END(control.ctypes.data)
    # numba frees arrays after their last use by name; addresses are used until here
    memory[0] = control[0] = tails[0, 0]


@njit(**SERIAL)
def add_pairs_lanes_g2(points, first, second, out, places):
    """As `add_pairs_lanes_g1`, for points of G2.

    points: u64[n, 32]  rows of G2
    first:  u32[p]      indices; the highest bit negates the point
    second: u32[p]      the same
    out:    u64[m, 32]  output; may be `points` where no place is read later in the same call
    places: u32[p]      rows of `out`
    Cost:    17 products and a share of an inversion a pair, 8 pairs at a time.
    Threads: none inside; the GIL is free.   Errors: none; callers have made the indices.
    Source:  supranational/blst src/bulk_addition.c HEAD, TAIL.   Twin: tests/naive/curve.py point_add.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    if first.shape[0] == 0:
        return
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    tails, flags = np.empty((3, LANES), np.uint32), np.empty(BATCH, np.uint8)
    whole = last_group(first, tails[0])
    last_group(second, tails[1])
    last_group(places, tails[2])
    memory, factors, inverse = _room_of(first.shape[0], SLOT_2)
    groups = (first.shape[0] + LANES - 1) // LANES
    up = (ONE_2, FETCH_2, DIFFERENCE_2, DIFFERENCE_ANY_2, MULTIPLY_2)
    down = (FINISH_2, FINISH_ANY_2, MULTIPLY_2)
    for begin in range(0, groups, BATCH):
        plan = (begin, min(BATCH, groups - begin), whole, factors)
        product = _multiply_up(up, SLOT_2, points, (first, second), tails, plan, flags)
        invert_2(inverse, product, inverse + SLOT_2)
        _divide_down(down, SLOT_2, points, (first, second, places), tails, (*plan, inverse), flags, out)
    END(control.ctypes.data)
    # numba frees arrays after their last use by name; addresses are used until here
    memory[0] = control[0] = tails[0, 0]
