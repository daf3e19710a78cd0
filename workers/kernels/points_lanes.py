# mypy: allow-untyped-calls
"""Sums of pairs of points of G1 and G2 in AVX-512 IFMA lanes, one inversion for many of them.

Rows are those of `curve_lanes`.  Groups of 8 pairs in which a point is infinity, or both have the same x,
take steps that treat every case; all others take shorter ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from workers.kernels import llvm
from workers.kernels.curve_fields import FERMAT_EXPONENT
from workers.kernels.curve_lanes import E1, E2, FIELD, ONE, fp_multiply, fp_square, room_on_stack, signs_of
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.ifma import LANES, equals, mask_bits
from workers.kernels.llvm import I64
from workers.kernels.montgomery import BASE_MODULUS

BATCH = 512
"""Groups of 8 pairs that share an inversion."""
AHEAD = 6
"""Groups between a row's fetch and its use."""


def _difference(e, builder, points, first, second, denominator, flag):
    """Write x2 - x1, and a byte that is not 0 where a case is likely."""
    x_one = e.gather(builder, e.addresses(builder, points, first), 0)
    x_two = e.gather(builder, e.addresses(builder, points, second), 0)
    below = e.carried(builder, e.subtract(builder, x_two, x_one, 4))
    e.store(builder, denominator, below)
    # x2 = x1 leaves 2 to 6 times p, infinity has nothing but zeros; a chance hit costs time alone
    suspects = builder.or_(equals(builder, x_one[0][0], 0), equals(builder, x_two[0][0], 0))
    for multiple in range(2, 7):
        hit = equals(builder, below[0][0], FIELD.limbs_of(multiple * BASE_MODULUS)[0])
        suspects = builder.or_(suspects, hit)
    llvm.store(builder, mask_bits(builder, suspects), flag, 0)


def _sum_on_line(e, builder, slope, room, x_one, below, y_one, free):
    """x and y of the third point of a line, its slope in a slot; `y_one` may be uncarried, up to 4 p."""
    e.square(builder, free, slope)
    x_one = x_one()
    subtrahend = e.add(builder, e.add(builder, x_one, x_one), e.load(builder, below))
    x = e.lowered(builder, e.subtract(builder, e.load(builder, free), subtrahend, 14))
    e.store(builder, free, e.carried(builder, e.subtract(builder, x_one, x, 4)))
    e.store(builder, room, x)
    e.multiply(builder, free, free, slope)
    y = e.lowered(builder, e.subtract(builder, e.load(builder, free), y_one(), 8))
    return e.load(builder, room), y


def _finish(e, builder, points, first, second, factors, out, places):
    """Write 8 sums; factors: the inverse of each denominator, then the denominator."""
    room = room_on_stack(builder, 4 * e.parts)
    slope, x_kept, y_kept, free = (builder.add(room, llvm.splat(I64, e.slot * k)) for k in range(4))
    rows_one, rows_two = (e.addresses(builder, points, indices) for indices in (first, second))
    y_one = e.signed(builder, e.gather(builder, rows_one, 1), signs_of(builder, first))
    y_two = e.signed(builder, e.gather(builder, rows_two, 1), signs_of(builder, second))
    e.store(builder, y_kept, y_one)
    e.store(builder, slope, e.carried(builder, e.subtract(builder, y_two, y_one, 8)))
    e.multiply(builder, slope, slope, factors)
    x, y = _sum_on_line(
        e,
        builder,
        slope,
        x_kept,
        lambda: e.gather(builder, rows_one, 0),
        builder.add(factors, llvm.splat(I64, e.slot)),
        lambda: e.load(builder, y_kept),
        free,
    )
    targets = e.addresses(builder, out, places)
    e.scatter(builder, targets, 0, x)
    e.scatter(builder, targets, 1, y)


@dataclass(frozen=True, slots=True)
class _Cases:
    """Two points of each lane and what they are to each other."""

    one: Any
    """x and y, carried, y with its sign."""
    two: Any
    """The same."""
    below: Any
    """x2 - x1."""
    above: Any
    """y2 - y1."""
    no_one: Any
    """Mask: the first is infinity."""
    no_two: Any
    """Mask: the second is."""
    same_x: Any
    """Mask: equal x."""
    twice: Any
    """Mask: the same point, not infinity."""


def _cases(e, builder, points, first, second, room):
    one, two = room, builder.add(room, llvm.splat(I64, FIELD.slot))
    FIELD.store(builder, one, FIELD.constant(ONE))
    (x_one, y_one, no_one), (x_two, y_two, no_two) = (
        _end(e, builder, points, indices) for indices in (first, second)
    )
    below = e.carried(builder, e.subtract(builder, x_two, x_one, 4))
    above = e.carried(builder, e.subtract(builder, y_two, y_one, 8))
    same_x, same_y = e.is_zero(builder, below, one, two), e.is_zero(builder, above, one, two)
    some = builder.not_(builder.or_(no_one, no_two))
    twice = builder.and_(builder.and_(same_x, same_y), some)
    return _Cases((x_one, y_one), (x_two, y_two), below, above, no_one, no_two, same_x, twice)


def _end(e, builder, points, indices):
    """x, y with its sign, carried, and the mask of infinity."""
    rows = e.addresses(builder, points, indices)
    y = e.gather(builder, rows, 1)
    signed = e.carried(builder, e.signed(builder, y, signs_of(builder, indices)))
    return e.gather(builder, rows, 0), signed, e.is_blank(builder, y)


def _difference_any(e, builder, points, first, second, denominator):
    """Write denominators: x2 - x1, or 2 y of a point that is doubled, or 1 where none is needed."""
    room = room_on_stack(builder, 2)
    cases = _cases(e, builder, points, first, second, room)
    y = cases.one[1]
    special = e.select(builder, cases.twice, e.carried(builder, e.add(builder, y, y)), e.constant(ONE))
    is_special = builder.or_(builder.or_(cases.no_one, cases.no_two), cases.same_x)
    e.store(builder, denominator, e.select(builder, is_special, special, cases.below))


def _finish_any(e, builder, points, first, second, factors, out, places):
    """Write 8 sums of any kind."""
    room = room_on_stack(builder, 2 + 5 * e.parts)
    cases = _cases(e, builder, points, first, second, room)
    base = builder.add(room, llvm.splat(I64, 2 * FIELD.slot))
    slope, x_kept, y_kept, free, below = (builder.add(base, llvm.splat(I64, e.slot * k)) for k in range(5))
    (x_one, y_one), (x_two, y_two) = cases.one, cases.two
    e.store(builder, x_kept, x_one)
    e.store(builder, y_kept, y_one)
    e.store(builder, below, cases.below)
    e.square(builder, free, x_kept)
    thrice = e.carried(builder, e.times(builder, e.load(builder, free), 3))
    e.store(builder, slope, e.select(builder, cases.twice, thrice, cases.above))
    e.multiply(builder, slope, slope, factors)
    x, y = _sum_on_line(
        e, builder, slope, x_kept, lambda: x_one, below, lambda: e.load(builder, y_kept), free
    )
    nothing = e.constant(0)
    alone = [e.lowered(builder, e.subtract(builder, value, nothing, 4)) for value in (y_one, y_two)]
    x = e.select(builder, cases.no_one, x_two, e.select(builder, cases.no_two, x_one, x))
    y = e.select(builder, cases.no_one, alone[1], e.select(builder, cases.no_two, alone[0], y))
    both = builder.and_(cases.no_one, cases.no_two)
    some = builder.not_(builder.or_(cases.no_one, cases.no_two))
    opposite = builder.and_(builder.and_(cases.same_x, builder.not_(cases.twice)), some)
    gone = builder.or_(both, opposite)
    targets = e.addresses(builder, out, places)
    e.scatter(builder, targets, 0, e.select(builder, gone, nothing, x))
    e.scatter(builder, targets, 1, e.select(builder, gone, nothing, y))


def _emit_fetch(e, builder, points, indices):
    """Ask for 8 rows before they are used."""
    name = "llvm.prefetch.p0"
    fetch = llvm.function(builder, name, llvm.VOID, [llvm.I8.as_pointer(), llvm.I32, llvm.I32, llvm.I32])
    options = [llvm.splat(llvm.I32, value) for value in (0, 3, 1)]  # to be read, into all caches, data
    for row in e.addresses(builder, points, indices):
        for offset in range(0, e.row, 64):
            builder.call(fetch, [llvm.pointer(builder, row, offset, llvm.I8), *options])


def _emit_norm(builder, target, value):
    """a² + b²."""
    other = room_on_stack(builder, 1)
    fp_square(builder, target, value)
    fp_square(builder, other, builder.add(value, llvm.splat(I64, FIELD.slot)))
    total = FIELD.add(builder, FIELD.load(builder, target), FIELD.load(builder, other))
    FIELD.store(builder, target, FIELD.carried(builder, total))


def _emit_conjugate(builder, target, value, factor):
    """(a - b u) · factor, the factor in the base field; b at most 64 p; not in place."""
    minus = room_on_stack(builder, 1)
    imaginary = E2.load(builder, value)[1]
    negative = FIELD.subtract(builder, FIELD.constant(0), imaginary, 64)
    FIELD.store(builder, minus, FIELD.carried(builder, negative))
    fp_multiply(builder, target, value, factor)
    fp_multiply(builder, builder.add(target, llvm.splat(I64, FIELD.slot)), minus, factor)


def _emit_one(e, builder, target):
    e.store(builder, target, e.constant(ONE))


def _emit_copy(e, builder, points, indices, out, places):
    """Copy 8 rows, negated where their index says so; infinity stays all zeros."""
    rows, targets = e.addresses(builder, points, indices), e.addresses(builder, out, places)
    y = e.gather(builder, rows, 1)
    negative = e.lowered(builder, e.subtract(builder, e.constant(0), y, 8))
    changes = builder.and_(signs_of(builder, indices), builder.not_(e.is_blank(builder, y)))
    x = e.gather(builder, rows, 0)
    e.scatter(builder, targets, 0, x)
    e.scatter(builder, targets, 1, e.select(builder, changes, negative, y))


def _step(e, name, emit):
    return llvm.step(llvm.called(f"g{e.parts}_lanes_{name}", partial(emit, e)))


_SQUARE = llvm.step(fp_square)
_NORM, _CONJUGATE = (
    llvm.step(llvm.called("fp2_lanes_norm", _emit_norm)),
    llvm.step(llvm.called("fp2_lanes_conjugate", _emit_conjugate)),
)
_SLOT_1, _SLOT_2 = E1.slot, E2.slot
_ONE_1 = _step(E1, "one", _emit_one)


@njit(**STEP)
def _invert_1(target, value, room):
    """target = 1 / value in the base field, by Fermat; 0 stays 0.

    target: i64  address of a slot; not `value`
    value:  i64  address of a slot
    room:   i64  address of 16 slots
    """
    _ONE_1(room)
    for power in range(1, 16):
        _MULTIPLY_1(room + power * _SLOT_1, room + (power - 1) * _SLOT_1, value)
    _ONE_1(target)
    for place in range(64 * len(FERMAT_EXPONENT) - 4, -1, -4):
        for _ in range(4):
            _SQUARE(target, target)
        digit = FERMAT_EXPONENT[place >> 6] >> np.uint64(place & 63) & np.uint64(15)
        _MULTIPLY_1(target, target, room + np.int64(digit) * _SLOT_1)


@njit(**STEP)
def _invert_2(target, value, room):
    """target = 1 / value in the extension: the conjugate over the norm.

    target: i64  address of two slots; not `value`
    value:  i64  address of two slots
    room:   i64  address of 18 slots
    """
    norm, inverse = room + 16 * _SLOT_1, room + 17 * _SLOT_1
    _NORM(norm, value)
    _invert_1(inverse, norm, room)
    _CONJUGATE(target, value, inverse)


_ONE_2 = _step(E2, "one", _emit_one)
_FETCH_1, _FETCH_2 = _step(E1, "fetch", _emit_fetch), _step(E2, "fetch", _emit_fetch)
_DIFFERENCE_1, _DIFFERENCE_2 = _step(E1, "difference", _difference), _step(E2, "difference", _difference)
_DIFFERENCE_ANY_1, _DIFFERENCE_ANY_2 = (
    _step(E1, "difference_any", _difference_any),
    _step(E2, "difference_any", _difference_any),
)
_FINISH_1, _FINISH_2 = _step(E1, "finish", _finish), _step(E2, "finish", _finish)
_FINISH_ANY_1, _FINISH_ANY_2 = _step(E1, "finish_any", _finish_any), _step(E2, "finish_any", _finish_any)
_MULTIPLY_1, _MULTIPLY_2 = llvm.step(E1.multiply), llvm.step(E2.multiply)
_COPY_1, _COPY_2 = _step(E1, "copy", _emit_copy), _step(E2, "copy", _emit_copy)


@njit(**STEP)
def _tail(indices, tail):
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
    memory = np.empty(((2 * batch + 2) * slot + 18 * _SLOT_1 + 64) // 8, np.uint64)
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
    Source:  supranational/blst src/bulk_addition.c HEAD, TAIL.   Twin: tests/naive/curve.py.
    """
    if first.shape[0] == 0:
        return
    tails, flags = np.empty((3, LANES), np.uint32), np.empty(BATCH, np.uint8)
    whole = _tail(first, tails[0])
    _tail(second, tails[1])
    _tail(places, tails[2])
    memory, factors, inverse = _room_of(first.shape[0], _SLOT_1)
    groups = (first.shape[0] + LANES - 1) // LANES
    up = (_ONE_1, _FETCH_1, _DIFFERENCE_1, _DIFFERENCE_ANY_1, _MULTIPLY_1)
    down = (_FINISH_1, _FINISH_ANY_1, _MULTIPLY_1)
    for begin in range(0, groups, BATCH):
        plan = (begin, min(BATCH, groups - begin), whole, factors)
        product = _multiply_up(up, _SLOT_1, points, (first, second), tails, plan, flags)
        _invert_1(inverse, product, inverse + _SLOT_1)
        _divide_down(down, _SLOT_1, points, (first, second, places), tails, (*plan, inverse), flags, out)
    memory[0] = tails[0, 0]  # numba frees arrays after their last use by name; addresses are used until here


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
    Source:  supranational/blst src/bulk_addition.c HEAD, TAIL.   Twin: tests/naive/curve.py.
    """
    if first.shape[0] == 0:
        return
    tails, flags = np.empty((3, LANES), np.uint32), np.empty(BATCH, np.uint8)
    whole = _tail(first, tails[0])
    _tail(second, tails[1])
    _tail(places, tails[2])
    memory, factors, inverse = _room_of(first.shape[0], _SLOT_2)
    groups = (first.shape[0] + LANES - 1) // LANES
    up = (_ONE_2, _FETCH_2, _DIFFERENCE_2, _DIFFERENCE_ANY_2, _MULTIPLY_2)
    down = (_FINISH_2, _FINISH_ANY_2, _MULTIPLY_2)
    for begin in range(0, groups, BATCH):
        plan = (begin, min(BATCH, groups - begin), whole, factors)
        product = _multiply_up(up, _SLOT_2, points, (first, second), tails, plan, flags)
        _invert_2(inverse, product, inverse + _SLOT_2)
        _divide_down(down, _SLOT_2, points, (first, second, places), tails, (*plan, inverse), flags, out)
    memory[0] = tails[0, 0]  # numba frees arrays after their last use by name; addresses are used until here


@njit(**STEP)
def _copy_points(copy, points, indices, out, places):
    """`copy_points_lanes_g1` for the group of `copy`.

    copy:    step       8 rows
    points:  u64[n, w]  rows
    indices: u32[p]     indices
    out:     u64[m, w]  output
    places:  u32[p]     rows of `out`
    """
    if indices.shape[0] == 0:
        return
    tails = np.empty((2, LANES), np.uint32)
    whole = _tail(indices, tails[0])
    _tail(places, tails[1])
    source, target = points.ctypes.data, out.ctypes.data
    for group in range(whole):
        at = 4 * LANES * group
        copy(source, indices.ctypes.data + at, target, places.ctypes.data + at)
    if LANES * whole < indices.shape[0]:
        copy(source, tails[0].ctypes.data, target, tails[1].ctypes.data)
    tails[0, 0] = 0  # numba frees arrays after their last use by name; addresses are used until here


@njit(**SERIAL)
def copy_points_lanes_g1(points, indices, out, places):
    """out[places[k]] = points[indices[k]], negated if the index's highest bit is set.

    points:  u64[n, 16]  rows of G1
    indices: u32[p]      indices
    out:     u64[m, 16]  output
    places:  u32[p]      rows of `out`
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  negation as supranational/blst src/e1.c POINTonE1_cneg.   Twin: tests/naive/curve.py.
    """
    _copy_points(_COPY_1, points, indices, out, places)


@njit(**SERIAL)
def copy_points_lanes_g2(points, indices, out, places):
    """As `copy_points_lanes_g1`, for points of G2.

    points:  u64[n, 32]  rows of G2
    indices: u32[p]      indices
    out:     u64[m, 32]  output
    places:  u32[p]      rows of `out`
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  negation as supranational/blst src/e2.c POINTonE2_cneg.   Twin: tests/naive/curve.py.
    """
    _copy_points(_COPY_2, points, indices, out, places)
