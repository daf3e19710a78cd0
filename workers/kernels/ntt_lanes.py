# mypy: allow-untyped-calls
"""Number-theoretic transforms over the scalar field in IFMA lanes, eight transforms at a time.

A transform of n = n1 · n2 values is n2 transforms of n1 (columns), a product of each value by a power of the
root (twist), and n1 transforms of n2 (lines).  Eight columns or lines lie in the lanes of a scratch that the
cache holds; so the rows in memory stay words of 64 bits, and are read and written once in each pass.
Value k1 + n1 · k2 of the first transform of a pair stands in row k1 · n2 + k2, where the second begins.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels import llvm
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.lanes import LINE
from workers.kernels.llvm import I8, I32, I64
from workers.kernels.scalar_lanes import (
    KNOWN,
    LANES,
    ROW,
    SLOT,
    brought_below,
    factor_ready,
    lowered,
    multiply,
    multiply_known,
    rows_load,
    rows_store,
    spread,
)

CACHED = 128
"""Slots of a block that stays in the first-level cache."""
READ_AHEAD = 8
"""Rows of columns lie far apart: the machine fetches only those ahead that it is told of."""
TWIST = 64
"""The power of a twist is one of so many small ones times one of the large ones."""
MOST_LEVELS = 14
"""Of a transform in a scratch.  Values that enter it are below 2 r, so those that leave it are below 32 r:
the first two levels add 6 r, each other 2 r; see `scalar_lanes.LARGEST`."""
_ENTERING = 2
"""Values that enter a transform are below so many moduli."""


def _emit_ahead(builder, address):
    """Bring eight neighbouring rows near."""
    prefetch = llvm.function(builder, "llvm.prefetch.p0", llvm.VOID, [I8.as_pointer(), I32, I32, I32])
    for line in range(0, 8 * ROW, LINE):
        hint = [llvm.pointer(builder, address, line, I8)]
        builder.call(prefetch, hint + [llvm.splat(I32, value) for value in (0, 3, 1)])


def _emit_read(builder, target, source, lane_stride):
    LANES.store(builder, target, rows_load(builder, source, lane_stride))


def _emit_write(builder, target, lane_stride, source, factor):
    """Write canonical rows: a slot times a known factor."""
    value = multiply_known(builder, factor_ready(builder, LANES.load(builder, source)), factor)
    rows_store(builder, brought_below(builder, value), target, lane_stride)


def _emit_write_plain(builder, target, lane_stride, source):
    """Write canonical rows."""
    rows_store(builder, brought_below(builder, LANES.load(builder, source)), target, lane_stride)


def _emit_write_twisted(builder, target, lane_stride, source, small, large):
    """Write rows below 1.2 r: a slot times two factors of its lanes."""
    value = LANES.load(builder, source)
    for factor in (small, large):
        value = multiply(builder, factor_ready(builder, value), LANES.load(builder, factor))
    rows_store(builder, LANES.carried(builder, value), target, lane_stride)


def _emit_multiply(builder, target, left, right):
    one, two = (factor_ready(builder, LANES.load(builder, slot)) for slot in (left, right))
    LANES.store(builder, target, LANES.carried(builder, multiply(builder, one, two)))


def _emit_spread(builder, target, source):
    LANES.store(builder, target, spread(builder, source))


def _emit_exchange(builder, left, right, left_factor, right_factor):
    """left, right = right · left_factor, left · right_factor, by known factors."""
    one, two = (factor_ready(builder, LANES.load(builder, slot)) for slot in (left, right))
    LANES.store(builder, left, multiply_known(builder, two, left_factor))
    LANES.store(builder, right, multiply_known(builder, one, right_factor))


def _emit_quotient(builder, left, right, left_less, right_less, factor):
    """left, right = (right - right_less) · factor, (left - left_less) · factor; both are carried."""
    made = []
    for slot, less in ((right, right_less), (left, left_less)):
        taken = lowered(builder, LANES.load(builder, less))
        rest = factor_ready(builder, LANES.subtract(builder, LANES.load(builder, slot), taken, 2))
        made.append(multiply_known(builder, rest, factor))
    LANES.store(builder, left, made[0])
    LANES.store(builder, right, made[1])


def _butterfly(builder, left, right, factor):
    """left + right · factor, left - right · factor."""
    scaled = multiply_known(builder, factor_ready(builder, right), factor)
    return LANES.add(builder, left, scaled), LANES.subtract(builder, left, scaled, 2)


def _emit_pair(builder, left, right, factor):
    """One level of two slots."""
    one, two = _butterfly(builder, LANES.load(builder, left), LANES.load(builder, right), factor)
    LANES.store(builder, left, one)
    LANES.store(builder, right, two)


def _places(builder, first, step):
    places = [first]
    for _ in range(3):
        places.append(builder.add(places[-1], step))
    return places


def _emit_four(builder, first, step, factor, factors):
    """Two levels of four slots, `step` bytes apart; `factors`: the two of the second level."""
    places = _places(builder, first, step)
    a, b, c, d = (LANES.load(builder, place) for place in places)
    a, c = _butterfly(builder, a, c, factor)
    b, d = _butterfly(builder, b, d, factor)
    a, b = _butterfly(builder, a, b, factors)
    c, d = _butterfly(builder, c, d, builder.add(factors, llvm.splat(I64, KNOWN)))
    for place, value in zip(places, (a, b, c, d), strict=True):
        LANES.store(builder, place, value)


def _emit_first_four(builder, first, step, factors):
    """The first two levels, whose factors are 1, 1 and the second of `factors`."""
    places = _places(builder, first, step)
    a, b, c, d = (LANES.load(builder, place) for place in places)
    a, c = LANES.add(builder, a, c), LANES.subtract(builder, a, c, _ENTERING)
    b, d = LANES.add(builder, b, d), LANES.subtract(builder, b, d, _ENTERING)
    a, b = LANES.add(builder, a, b), LANES.subtract(builder, a, b, 2 * _ENTERING)
    c, d = _butterfly(builder, c, d, builder.add(factors, llvm.splat(I64, KNOWN)))
    for place, value in zip(places, (a, b, c, d), strict=True):
        LANES.store(builder, place, value)


def _step(name, emit):
    return llvm.step(llvm.called(f"fr_lanes_{name}", emit))


_READ, _WRITE, _WRITE_PLAIN, _WRITE_TWISTED = (
    _step("read", _emit_read),
    _step("write", _emit_write),
    _step("write_plain", _emit_write_plain),
    _step("write_twisted", _emit_write_twisted),
)
_AHEAD = llvm.step(_emit_ahead)
_MULTIPLY, _SPREAD, _EXCHANGE = (
    _step("multiply", _emit_multiply),
    _step("spread", _emit_spread),
    _step("exchange", _emit_exchange),
)
_PAIR, _FOUR, _FIRST_FOUR, _QUOTIENT = (
    _step("pair", _emit_pair),
    _step("four", _emit_four),
    _step("first_four", _emit_first_four),
    _step("quotient", _emit_quotient),
)


@njit(**STEP)
def _slots(count):
    """Return an array that holds so many slots, and the address of the first, on a cache line.

    count: i64
    """
    array = np.empty(SLOT // 8 * count + 8, np.uint64)
    return array, (np.int64(array.ctypes.data) + 63) & ~63


@njit(**STEP)
def _levels(slots, first, blocks, block, smallest, factors):
    """Two levels at a time until blocks have `smallest` slots; returns how many blocks there are then.

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
                _FOUR(slots + SLOT * i, SLOT * quarter, own, following)
        first, blocks, block = 4 * first, 4 * blocks, quarter
    if block == 2 and smallest == 1:
        for number in range(first, first + blocks):
            at = slots + 2 * SLOT * number
            _PAIR(at, at + SLOT, factors + KNOWN * number)
    return block


@njit(**STEP)
def _transform(slots, count, factors):
    """The eight transforms in a scratch: natural order in, bit-reversed order out.

    slots:   i64  address of the scratch
    count:   i64  slots; a power of two, at least 8
    factors: i64  address of the powers of the root, in bit-reversed order
    """
    quarter = count >> 2
    for i in range(quarter):
        _FIRST_FOUR(slots + SLOT * i, SLOT * quarter, factors)
    block = _levels(slots, np.int64(0), np.int64(4), quarter, np.int64(CACHED), factors)
    for number in range(count // block):
        _levels(slots, np.int64(number), np.int64(1), block, np.int64(1), factors)


@njit(**STEP)
def _read_group(slots, source, lane_stride, stride, count):
    """Rows of eight lanes to slots.

    slots:       i64  address of the scratch
    source:      i64  address of the first row of the first lane
    lane_stride: i64  bytes from one lane's row to the next lane's
    stride:      i64  bytes from a row of a lane to its next
    count:       i64
    """
    for i in range(count):
        if lane_stride == ROW:
            _AHEAD(source + stride * (i + READ_AHEAD))
        _READ(slots + SLOT * i, source + stride * i, lane_stride)


@njit(**STEP)
def _twist(powers, bases, first, count):
    """Fill `powers`: TWIST small powers of the lanes' bases, then count / TWIST large ones times `first`.

    powers: i64  address of the slots
    bases:  i64  address of a slot
    first:  i64  address of two elements: what the large powers begin with, and 1
    count:  i64  powers in all
    """
    _SPREAD(powers, first + SLOT // 8)
    for i in range(1, TWIST):
        _MULTIPLY(powers + SLOT * i, powers + SLOT * (i - 1), bases)
    large = powers + SLOT * TWIST
    _SPREAD(large, first)
    if count > TWIST:
        step = powers + SLOT * (TWIST + count // TWIST)
        _MULTIPLY(step, powers + SLOT * (TWIST - 1), bases)
        for i in range(1, count // TWIST):
            _MULTIPLY(large + SLOT * i, large + SLOT * (i - 1), step)


@njit(**STEP)
def _write_twisted(target, lane_stride, stride, slots, order, powers):
    """Slots, put in natural order, times the twist, to rows of eight lanes.

    target:      i64       address of the first row of the first lane
    lane_stride: i64       bytes from one lane's row to the next lane's
    stride:      i64       bytes from a row of a lane to its next
    slots:       i64       address of the scratch
    order:       i64[n]    numbers with their bits reversed
    powers:      i64       address of what `_twist` has filled
    """
    large = powers + SLOT * TWIST
    for i in range(order.shape[0]):
        if lane_stride == ROW:
            _AHEAD(target + stride * (i + READ_AHEAD))
        _WRITE_TWISTED(
            target + stride * i,
            lane_stride,
            slots + SLOT * order[i],
            powers + SLOT * (i % TWIST),
            large + SLOT * (i // TWIST),
        )


@njit(**SERIAL)
def columns_pass(rows, groups, order, factors, bases, first):
    """The first pass of a transform: columns, twisted.

    rows:    u64[n, 4]      below 2 r; n = n1 · n2; in and out, out below 1.2 r
    groups:  i64[2]         the first group of eight columns, and the one behind the last
    order:   i64[n1]        numbers with their bits reversed
    factors: u64[k, 10]     known powers of the root of a column, in bit-reversed order; k at least n1/2
    bases:   u64[n2/8, 40]  slots: the power of the root by which each column is twisted
    first:   u64[2, 5]      what all values are multiplied by, and 1; times 2^260
    Cost:    n1/2 · log2 n1 products a column, and two a value.
    Threads: none inside; the GIL is free: calls for other groups may run beside it.   Errors: none.
    Source:  filecoin-project/ec-gpu ec-gpu-gen/src/fft_cpu.rs serial_fft, by its values.
    Twin:    tests/naive/ntt.py.
    """
    count = order.shape[0]
    width = rows.shape[0] // count
    scratch, slots = _slots(count)
    twist, powers = _slots(TWIST + count // TWIST + 2)
    for group in range(groups[0], groups[1]):
        at = rows.ctypes.data + 8 * ROW * group
        _read_group(slots, at, ROW, ROW * width, count)
        _transform(slots, count, factors.ctypes.data)
        _twist(powers, bases.ctypes.data + SLOT * group, first.ctypes.data, count)
        _write_twisted(at, ROW, ROW * width, slots, order, powers)
    scratch[0] = twist[0] = 0  # numba frees an array after its last use by name


@njit(**SERIAL)
def lines_pass(rows, groups, order, factors, scales, out):
    """The second pass of a transform: lines, scaled, to natural order.

    rows:    u64[n, 4]   below 2 r; n = n1 · n2
    groups:  i64[2]      the first group of eight lines, and the one behind the last
    order:   i64[n2]     numbers with their bits reversed
    factors: u64[k, 10]  known powers of the root of a line, in bit-reversed order; k at least n2/2
    scales:  u64[n2, 10] known factors: what each value of a line is multiplied by; or none
    out:     u64[n, 4]   output, canonical; another array than `rows`
    Cost:    n2/2 · log2 n2 products a line, and one a value.
    Threads: none inside; the GIL is free: calls for other groups may run beside it.   Errors: none.
    Source:  filecoin-project/ec-gpu ec-gpu-gen/src/fft_cpu.rs serial_fft, by its values.
    Twin:    tests/naive/ntt.py.
    """
    count = order.shape[0]
    height = rows.shape[0] // count
    scratch, slots = _slots(count)
    for group in range(groups[0], groups[1]):
        _read_group(slots, rows.ctypes.data + 8 * ROW * count * group, ROW * count, ROW, count)
        _transform(slots, count, factors.ctypes.data)
        for i in range(count):
            target = out.ctypes.data + ROW * (8 * group + height * i)
            if i < scales.shape[0]:
                _WRITE(target, ROW, slots + SLOT * order[i], scales.ctypes.data + KNOWN * i)
            else:
                _WRITE_PLAIN(target, ROW, slots + SLOT * order[i])
    scratch[0] = 0


@njit(**SERIAL)
def coset_pass(rows, groups, order, inverse_factors, scales, factors, bases, first):
    """Lines of coefficients made and scaled, and lines of values over the coset, twisted, made of them.

    rows:    u64[n, 4]      below 2 r; n = n1 · n2; in and out, out below 1.2 r
    groups:  i64[2]         the first group of eight lines, and the one behind the last
    order:   i64[n2]        numbers with their bits reversed
    inverse_factors: u64[k, 10]  known powers of the inverse of a line's root, in bit-reversed order
    scales:  u64[n2, 10]    known factors: what each coefficient of a line is multiplied by
    factors: u64[k, 10]     known powers of a line's root, in bit-reversed order
    bases:   u64[n1/8, 40]  slots: the power of the root by which each line is twisted
    first:   u64[2, 5]      what all values are multiplied by, and 1; times 2^260
    Cost:    n2 · log2 n2 products a line, and three a value.
    Threads: none inside; the GIL is free: calls for other groups may run beside it.   Errors: none.
    Source:  filecoin-project/bellperson src/domain.rs coset_fft.   Twin: tests/naive/ntt.py.
    """
    count = order.shape[0]
    scratch, slots = _slots(count)
    twist, powers = _slots(TWIST + count // TWIST + 2)
    for group in range(groups[0], groups[1]):
        at = rows.ctypes.data + 8 * ROW * count * group
        _read_group(slots, at, ROW * count, ROW, count)
        _transform(slots, count, inverse_factors.ctypes.data)
        for i in range(count):
            other = order[i]
            if i <= other:
                own, second = scales.ctypes.data + KNOWN * i, scales.ctypes.data + KNOWN * other
                _EXCHANGE(slots + SLOT * i, slots + SLOT * other, own, second)
        _transform(slots, count, factors.ctypes.data)
        _twist(powers, bases.ctypes.data + SLOT * group, first.ctypes.data, count)
        _write_twisted(at, ROW * count, ROW, slots, order, powers)
    scratch[0] = twist[0] = 0


@njit(**SERIAL)
def quotient_pass(sides, groups, order, factors, divisor, inverse_factors, bases, first):
    """Columns of values over the coset, a · b - c of them, and columns of its coefficients, twisted, in a.

    sides:   tuple of 3 u64[n, 4]  a, b and c, below 2 r; n = n1 · n2; a is overwritten, below 1.2 r
    groups:  i64[2]         the first group of eight columns, and the one behind the last
    order:   i64[n1]        numbers with their bits reversed
    factors: u64[k, 10]     known powers of a column's root, in bit-reversed order
    divisor: u64[1, 10]     known factor: what a · b - c is multiplied by
    inverse_factors: u64[k, 10]  known powers of its inverse, in bit-reversed order
    bases:   u64[n2/8, 40]  slots: the power of the root by which each column is twisted
    first:   u64[2, 5]      what all values are multiplied by, and 1; times 2^260
    Cost:    2 n1 · log2 n1 products a column, and four a value.
    Threads: none inside; the GIL is free: calls for other groups may run beside it.   Errors: none.
    Source:  filecoin-project/bellperson src/groth16/prover/native.rs execute_fft.   Twin: tests/naive/ntt.py.
    """
    a, b, c = sides
    count = order.shape[0]
    width = a.shape[0] // count
    scratch, slots = _slots(2 * count)
    second = slots + SLOT * count
    twist, powers = _slots(TWIST + count // TWIST + 2)
    for group in range(groups[0], groups[1]):
        column = 8 * ROW * group
        _read_group(slots, a.ctypes.data + column, ROW, ROW * width, count)
        _transform(slots, count, factors.ctypes.data)
        _read_group(second, b.ctypes.data + column, ROW, ROW * width, count)
        _transform(second, count, factors.ctypes.data)
        for i in range(count):
            _MULTIPLY(slots + SLOT * i, slots + SLOT * i, second + SLOT * i)
        _read_group(second, c.ctypes.data + column, ROW, ROW * width, count)
        _transform(second, count, factors.ctypes.data)
        for i in range(count):
            j = order[i]
            if i <= j:
                own, other = SLOT * i, SLOT * j
                _QUOTIENT(slots + own, slots + other, second + own, second + other, divisor.ctypes.data)
        _transform(slots, count, inverse_factors.ctypes.data)
        _twist(powers, bases.ctypes.data + SLOT * group, first.ctypes.data, count)
        _write_twisted(a.ctypes.data + column, ROW, ROW * width, slots, order, powers)
    scratch[0] = twist[0] = 0
