"""Eight transforms in the lanes of a scratch: rows are read into it, transformed, twisted and written."""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels.flags import STEP
from workers.kernels.ntt_steps import AHEAD, FIRST_FOUR, FOUR, MULTIPLY, PAIR, READ, SPREAD, WRITE_TWISTED
from workers.kernels.scalar_lanes import KNOWN, ROW, SLOT

CACHED = 128
"""Slots of a block that stays in the first-level cache."""
READ_AHEAD = 8
"""Rows of columns lie far apart: the machine fetches only those ahead that it is told of."""
TWIST = 64
"""The power of a twist is one of so many small ones times one of the large ones."""


@njit(**STEP)
def slots_new(count):
    """Return an array that holds so many slots, and the address of the first, on a cache line.

    count: i64
    """
    array = np.empty(SLOT // 8 * count + 8, np.uint64)
    return array, (np.int64(array.ctypes.data) + 63) & ~63


@njit(**STEP)
def _levels(slots, first, blocks, block, smallest, factors):
    """Two levels at a time until blocks have `smallest` slots or fewer; returns how many they have then.

    A block of number k of its size is multiplied by power k of the bit-reversed ones: the two halves that it
    leaves have the numbers 2 k and 2 k + 1.

    slots:    i64  address of the scratch
    first:    i64  the first block, of those of its size
    blocks:   i64  how many
    block:    i64  slots of one
    smallest: i64  a power of two
    factors:  i64  address of the powers of the root, in bit-reversed order
    """
    while block >= 4 and block > smallest:
        quarter = block >> 2
        for number in range(first, first + blocks):
            own, following = factors + KNOWN * number, factors + 2 * KNOWN * number
            for i in range(number * block, number * block + quarter):
                FOUR(slots + SLOT * i, SLOT * quarter, own, following)
        first, blocks, block = 4 * first, 4 * blocks, quarter
    if block == 2 and smallest == 1:
        for number in range(first, first + blocks):
            at = slots + 2 * SLOT * number
            PAIR(at, at + SLOT, factors + KNOWN * number)
    return block


@njit(**STEP)
def transform(slots, count, factors):
    """The eight transforms in a scratch: natural order in, bit-reversed order out.

    The levels go on all over the scratch until blocks fit into the first cache; then each block is finished.
    Values that enter are below 2 r, not all carried; those that leave are below 32 r (see
    `ntt_lanes.MOST_LEVELS`).

    slots:   i64  address of the scratch
    count:   i64  slots; a power of two, at least 8
    factors: i64  address of the powers of the root, in bit-reversed order
    """
    quarter = count >> 2
    for i in range(quarter):
        FIRST_FOUR(slots + SLOT * i, SLOT * quarter, factors)
    block = _levels(slots, np.int64(0), np.int64(4), quarter, np.int64(CACHED), factors)
    for number in range(count // block):
        _levels(slots, np.int64(number), np.int64(1), block, np.int64(1), factors)


@njit(**STEP)
def read_group(slots, source, lane_stride, stride, count):
    """Rows of eight lanes to slots.

    slots:       i64  address of the scratch
    source:      i64  address of the first row of the first lane
    lane_stride: i64  bytes from one lane's row to the next lane's
    stride:      i64  bytes from a row of a lane to its next
    count:       i64
    """
    for i in range(count):
        if lane_stride == ROW:
            AHEAD(source + stride * (i + READ_AHEAD))
        READ(slots + SLOT * i, source + stride * i, lane_stride)


@njit(**STEP)
def twist_fill(powers, bases, first, count):
    """Fill `powers`: TWIST small powers of the lanes' bases, then count / TWIST large ones times `first`.

    powers: i64  address of the slots: TWIST + count / TWIST, and one more that is written on the way
    bases:  i64  address of a slot
    first:  i64  address of two elements: what the large powers begin with, and 1
    count:  i64  powers in all
    Power i of a lane is small power i mod TWIST times large power i / TWIST: two products a value, and no
    table.
    """
    SPREAD(powers, first + SLOT // 8)
    for i in range(1, TWIST):
        MULTIPLY(powers + SLOT * i, powers + SLOT * (i - 1), bases)
    large = powers + SLOT * TWIST
    SPREAD(large, first)
    if count > TWIST:
        step = powers + SLOT * (TWIST + count // TWIST)
        MULTIPLY(step, powers + SLOT * (TWIST - 1), bases)
        for i in range(1, count // TWIST):
            MULTIPLY(large + SLOT * i, large + SLOT * (i - 1), step)


@njit(**STEP)
def write_twisted(target, lane_stride, stride, slots, order, powers):
    """Slots, put in natural order, times the twist, to rows of eight lanes.

    target:      i64       address of the first row of the first lane
    lane_stride: i64       bytes from one lane's row to the next lane's
    stride:      i64       bytes from a row of a lane to its next
    slots:       i64       address of the scratch
    order:       i64[n]    numbers with their bits reversed
    powers:      i64       address of what `twist_fill` has filled
    """
    large = powers + SLOT * TWIST
    for i in range(order.shape[0]):
        if lane_stride == ROW:
            AHEAD(target + stride * (i + READ_AHEAD))
        WRITE_TWISTED(
            target + stride * i,
            lane_stride,
            slots + SLOT * order[i],
            powers + SLOT * (i % TWIST),
            large + SLOT * (i // TWIST),
        )
