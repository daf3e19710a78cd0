# mypy: allow-untyped-calls
"""Points of G1 and G2 with 64-bit limbs: many affine additions at once, and sums of buckets.

A point is x and y, two coordinates of 6 words (G1) or 12 (G2) in Montgomery form; the point at infinity is
all zeros, which is on neither curve.  Sums in projective form are complete, so they need no cases.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels.curve_fields import (
    FERMAT_EXPONENT,
    FOUR_1,
    FOUR_2,
    G1_STEPS,
    G1_WORDS,
    G2_STEPS,
    ONE_1,
    ONE_2,
    TWELVE_1,
    TWELVE_2,
)
from workers.kernels.flags import SERIAL, STEP

BATCH = 512
"""Pairs that share an inversion."""
NEGATE = np.uint32(1 << 31)
"""Bit of a point's index that stands for its negative."""
_INDEX = np.uint32((1 << 31) - 1)
_ORDINARY, _FIRST, _SECOND, _INFINITY = 0, 1, 2, 3
_MULTIPLY, _ADD, _SUBTRACT = G1_STEPS
_MULTIPLY_2, _ADD_2, _SUBTRACT_2 = G2_STEPS


@njit(**STEP)
def _is_zero(row):
    """Return whether all words are 0.

    row: u64[w]  any words
    """
    bits = np.uint64(0)
    for word in range(row.shape[0]):
        bits |= row[word]
    return bits == 0


@njit(**STEP)
def _copy(target, source):
    """target = source.

    target: u64[w]  output, every word written
    source: u64[w]
    """
    for word in range(target.shape[0]):
        target[word] = source[word]


@njit(**STEP)
def _invert_1(target, value):
    """target = 1 / value in the base field, by Fermat; 0 stays 0.

    target: u64[6]  output; may be `value`
    value:  u64[6]  Montgomery form
    """
    power = np.empty(G1_WORDS, np.uint64)
    _copy(power, ONE_1)
    at = power.ctypes.data
    for bit in range(64 * G1_WORDS - 1, -1, -1):
        _MULTIPLY(at, at, at)
        if FERMAT_EXPONENT[bit >> 6] >> np.uint64(bit & 63) & np.uint64(1):
            _MULTIPLY(at, at, value.ctypes.data)
    _copy(target, power)


@njit(**STEP)
def _invert_2(target, value):
    """target = 1 / value in the extension: the conjugate over the norm.

    target: u64[12]  output: real part, imaginary part
    value:  u64[12]  Montgomery form; not changed, not `target`
    """
    norm, square = np.empty(G1_WORDS, np.uint64), np.empty(G1_WORDS, np.uint64)
    real, imaginary = value[:G1_WORDS], value[G1_WORDS:]
    _MULTIPLY(norm.ctypes.data, real.ctypes.data, real.ctypes.data)
    _MULTIPLY(square.ctypes.data, imaginary.ctypes.data, imaginary.ctypes.data)
    _ADD(norm.ctypes.data, norm.ctypes.data, square.ctypes.data)
    _invert_1(norm, norm)
    negative = np.zeros(G1_WORDS, np.uint64)
    _SUBTRACT(negative.ctypes.data, negative.ctypes.data, imaginary.ctypes.data)
    _MULTIPLY(target[:G1_WORDS].ctypes.data, real.ctypes.data, norm.ctypes.data)
    _MULTIPLY(target[G1_WORDS:].ctypes.data, negative.ctypes.data, norm.ctypes.data)


@njit(**STEP)
def _invert(target, value):
    """target = 1 / value in the field of so many words; 0 stays 0.

    target: u64[w]  output; w is 6 (G1) or 12 (G2)
    value:  u64[w]  Montgomery form
    """
    if value.shape[0] == G1_WORDS:
        _invert_1(target, value)
    else:
        _invert_2(target, value)


@njit(**STEP)
def _slope(steps, points, first, second, numerator, denominator):
    """Numerator and denominator of the line through two points; returns which case they are.

    steps:       tuple of 3 steps  multiply, add, subtract of the coordinates' field, by addresses
    points:      u64[n, 2w]  affine points
    first:       u32         index of a point; the highest bit negates it
    second:      u32         the same
    numerator:   u64[w]      output, written unless one point is infinity
    denominator: u64[w]      the same; not 0 in the ordinary case
    """
    multiply, add, subtract = steps
    words = numerator.shape[0]
    one, two = points[np.int64(first & _INDEX)], points[np.int64(second & _INDEX)]
    if _is_zero(two):
        return _FIRST
    if _is_zero(one):
        return _SECOND
    x_one, y_one = one[:words].ctypes.data, one[words:].ctypes.data
    x_two, y_two = two[:words].ctypes.data, two[words:].ctypes.data
    above, below = numerator.ctypes.data, denominator.ctypes.data
    subtract(below, x_two, x_one)
    opposite = (first ^ second) & NEGATE
    if opposite:
        add(above, y_two, y_one)
    else:
        subtract(above, y_two, y_one)
    if second & NEGATE:
        zero = np.zeros(words, np.uint64)
        subtract(above, zero.ctypes.data, above)
    if not _is_zero(denominator):
        return _ORDINARY
    if not _is_zero(numerator):
        return _INFINITY
    # the same point twice: 3 x² / 2 y
    multiply(below, x_one, x_one)
    add(above, below, below)
    add(above, above, below)
    add(below, y_one, y_one)
    if first & NEGATE:
        zero = np.zeros(words, np.uint64)
        subtract(below, zero.ctypes.data, below)
    return _ORDINARY


@njit(**STEP)
def _finish(steps, points, first, second, slope, target):
    """target = the sum of two points on a line of the given slope.

    steps:  tuple of 3 steps  multiply, add, subtract of the coordinates' field, by addresses
    points: u64[n, 2w]  affine points
    first:  u32         index of a point; the highest bit negates it
    second: u32         the same
    slope:  u64[w]      of the line through both
    target: u64[2w]     output; may be a row of `points`
    """
    multiply, add, subtract = steps
    words = slope.shape[0]
    one, two = points[np.int64(first & _INDEX)], points[np.int64(second & _INDEX)]
    x_one, y_one, x_two = one[:words].ctypes.data, one[words:].ctypes.data, two[:words].ctypes.data
    sum_ = np.empty(2 * words, np.uint64)
    x, y = sum_[:words].ctypes.data, sum_[words:].ctypes.data
    multiply(x, slope.ctypes.data, slope.ctypes.data)
    subtract(x, x, x_one)
    subtract(x, x, x_two)
    subtract(y, x_one, x)
    multiply(y, y, slope.ctypes.data)
    if first & NEGATE:
        add(y, y, y_one)
    else:
        subtract(y, y, y_one)
    _copy(target, sum_)


@njit(**STEP)
def _copy_signed(steps, points, index, target):
    """target = a point, negated if its index says so.

    steps:  tuple of 3 steps  multiply, add, subtract of the coordinates' field, by addresses
    points: u64[n, 2w]  affine points
    index:  u32         of a point; the highest bit negates it
    target: u64[2w]     output
    """
    words = target.shape[0] // 2
    source = points[np.int64(index & _INDEX)]
    _copy(target, source)
    if index & NEGATE and not _is_zero(source):
        zero = np.zeros(words, np.uint64)
        steps[2](target[words:].ctypes.data, zero.ctypes.data, source[words:].ctypes.data)


@njit(**STEP)
def _add_pairs(steps, unit, points, first, second, out, places):
    """`add_pairs_g1` for the field of `steps`: one inversion for BATCH pairs.

    steps:  tuple of 3 steps  multiply, add, subtract of the coordinates' field, by addresses
    unit:   u64[w]      1 in Montgomery form
    points: u64[n, 2w]  affine points
    first:  u32[p]      indices; the highest bit negates the point
    second: u32[p]      the same
    out:    u64[m, 2w]  output; may be `points` where no place is read later in the same call
    places: u32[p]      rows of `out`
    """
    multiply = steps[0]
    words, pairs = unit.shape[0], first.shape[0]
    numerators, denominators = np.empty((BATCH, words), np.uint64), np.empty((BATCH, words), np.uint64)
    prefixes, cases = np.empty((BATCH, words), np.uint64), np.empty(BATCH, np.uint8)
    running, inverse, slope = (
        np.empty(words, np.uint64),
        np.empty(words, np.uint64),
        np.empty(words, np.uint64),
    )
    for start in range(0, pairs, BATCH):
        count = min(BATCH, pairs - start)
        _copy(running, unit)
        for k in range(count):
            case = _slope(steps, points, first[start + k], second[start + k], numerators[k], denominators[k])
            cases[k] = case
            if case == _ORDINARY:
                _copy(prefixes[k], running)
                multiply(running.ctypes.data, running.ctypes.data, denominators[k].ctypes.data)
        _invert(inverse, running)
        for k in range(count - 1, -1, -1):
            target, case = out[np.int64(places[start + k])], cases[k]
            if case == _ORDINARY:
                multiply(slope.ctypes.data, inverse.ctypes.data, prefixes[k].ctypes.data)
                multiply(inverse.ctypes.data, inverse.ctypes.data, denominators[k].ctypes.data)
                multiply(slope.ctypes.data, slope.ctypes.data, numerators[k].ctypes.data)
                _finish(steps, points, first[start + k], second[start + k], slope, target)
            elif case == _FIRST:
                _copy_signed(steps, points, first[start + k], target)
            elif case == _SECOND:
                _copy_signed(steps, points, second[start + k], target)
            else:
                for word in range(2 * words):
                    target[word] = np.uint64(0)


@njit(**SERIAL)
def add_pairs_g1(points, first, second, out, places):
    """out[places[k]] = points[first[k]] + points[second[k]]: all cases, one inversion a batch.

    points:        u64[n, 12]  affine points
    first, second: u32[p]      indices; the highest bit negates the point
    out:           u64[m, 12]  output; may be `points` where no place is read later in the same call
    places:        u32[p]      rows of `out`
    Cost:    6 products and a share of an inversion a pair.   Threads: none inside; the GIL is free.
    Errors:  none; `msm` and `fixed_base` have made the indices.
    Source:  spec snark section 5.1.   Twin: tests/naive/curve.py.
    """
    _add_pairs((_MULTIPLY, _ADD, _SUBTRACT), ONE_1, points, first, second, out, places)


@njit(**SERIAL)
def add_pairs_g2(points, first, second, out, places):
    """As `add_pairs_g1`, for points of G2: u64[n, 24].

    points:        u64[n, 24]  affine points
    first, second: u32[p]      indices; the highest bit negates the point
    out:           u64[m, 24]  output
    places:        u32[p]      rows of `out`
    Cost:    18 products and a share of an inversion a pair.   Threads: none inside; the GIL is free.
    Errors:  none; `msm` and `fixed_base` have made the indices.
    Source:  spec snark section 5.1.   Twin: tests/naive/curve.py.
    """
    _add_pairs((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), ONE_2, points, first, second, out, places)


@njit(**STEP)
def _add_projective(steps, thrice, total, other, t):
    """total += other, X : Y : Z, for curves y² = x³ + b; `thrice` is 3 b; t: scratch rows.

    steps:  tuple of 3 steps  multiply, add, subtract of the coordinates' field, by addresses
    thrice: u64[w]     3 b in Montgomery form
    total:  u64[3, w]  in and out
    other:  u64[3, w]  not `total`
    t:      u64[8, w]  scratch
    Source: Renes, Costello, Batina, eprint 2015/1060, algorithm 7; complete.
    """
    multiply, add, subtract = steps
    x1, y1, z1 = total[0].ctypes.data, total[1].ctypes.data, total[2].ctypes.data
    x2, y2, z2 = other[0].ctypes.data, other[1].ctypes.data, other[2].ctypes.data
    t0, t1, t2, t3, t4 = (
        t[0].ctypes.data,
        t[1].ctypes.data,
        t[2].ctypes.data,
        t[3].ctypes.data,
        t[4].ctypes.data,
    )
    x3, y3, z3, b3 = t[5].ctypes.data, t[6].ctypes.data, t[7].ctypes.data, thrice.ctypes.data
    multiply(t0, x1, x2)
    multiply(t1, y1, y2)
    multiply(t2, z1, z2)
    add(t3, x1, y1)
    add(t4, x2, y2)
    multiply(t3, t3, t4)
    add(t4, t0, t1)
    subtract(t3, t3, t4)
    add(t4, y1, z1)
    add(x3, y2, z2)
    multiply(t4, t4, x3)
    add(x3, t1, t2)
    subtract(t4, t4, x3)
    add(x3, x1, z1)
    add(y3, x2, z2)
    multiply(x3, x3, y3)
    add(y3, t0, t2)
    subtract(y3, x3, y3)
    add(x3, t0, t0)
    add(t0, x3, t0)
    multiply(t2, b3, t2)
    add(z3, t1, t2)
    subtract(t1, t1, t2)
    multiply(y3, b3, y3)
    multiply(x3, t4, y3)
    multiply(t2, t3, t1)
    subtract(x1, t2, x3)
    multiply(y3, y3, t0)
    multiply(t1, t1, z3)
    add(y1, t1, y3)
    multiply(t0, t0, t3)
    multiply(z3, z3, t4)
    add(z1, z3, t0)


@njit(**STEP)
def _sum_buckets(steps, unit, thrice, points, buckets, total):
    """`sum_buckets_g1` for the field of `steps`.

    steps:   tuple of 3 steps  multiply, add, subtract of the coordinates' field, by addresses
    unit:    u64[w]      1 in Montgomery form
    thrice:  u64[w]      3 b in Montgomery form
    points:  u64[n, 2w]  affine points
    buckets: i64[b]      the row that holds each bucket's sum, or -1 for an empty one
    total:   u64[3, w]   output: X, Y, Z
    """
    words = unit.shape[0]
    running, bucket = np.zeros((3, words), np.uint64), np.zeros((3, words), np.uint64)
    scratch = np.empty((8, words), np.uint64)
    _copy(running[1], unit)
    for coordinate in range(3):
        for word in range(words):
            total[coordinate, word] = np.uint64(0)
    _copy(total[1], unit)
    _copy(bucket[2], unit)
    for number in range(buckets.shape[0] - 1, -1, -1):
        index = buckets[number]
        if index >= 0 and not _is_zero(points[index]):
            _copy(bucket[0], points[index, :words])
            _copy(bucket[1], points[index, words:])
            _add_projective(steps, thrice, running, bucket, scratch)
        _add_projective(steps, thrice, total, running, scratch)


@njit(**SERIAL)
def sum_buckets_g1(points, buckets, total):
    """total = Σ (k + 1) · bucket k.

    points:  u64[n, 12]  affine points
    buckets: i64[b]      the row that holds each bucket's sum, or -1 for an empty one
    total:   u64[3, 6]   output: X, Y, Z of the projective sum
    Cost:    two complete additions (12 products each) a bucket.   Threads: none inside; the GIL is free.
    Errors:  none; `msm` has made the rows.
    Source:  spec snark section 5.1.   Twin: tests/naive/curve.py.
    """
    _sum_buckets((_MULTIPLY, _ADD, _SUBTRACT), ONE_1, TWELVE_1, points, buckets, total)


@njit(**SERIAL)
def sum_buckets_g2(points, buckets, total):
    """As `sum_buckets_g1`, for points of G2.

    points:  u64[n, 24]  affine points
    buckets: i64[b]      the row that holds each bucket's sum, or -1 for an empty one
    total:   u64[3, 12]  output: X, Y, Z of the projective sum
    Cost:    two complete additions a bucket.   Threads: none inside; the GIL is free.
    Errors:  none; `msm` has made the rows.
    Source:  spec snark section 5.1.   Twin: tests/naive/curve.py.
    """
    _sum_buckets((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), ONE_2, TWELVE_2, points, buckets, total)


@njit(**STEP)
def _join_windows(steps, unit, thrice, totals, bits):
    """Return Σ 2^(bits · i) · totals[i] as u64[3, w], projective.

    steps:  tuple of 3 steps  multiply, add, subtract of the coordinates' field, by addresses
    unit:   u64[w]              1 in Montgomery form
    thrice: u64[w]              3 b in Montgomery form
    totals: u64[windows, 3, w]  projective points
    bits:   i64                 size of a window
    """
    words = unit.shape[0]
    running, scratch = np.zeros((3, words), np.uint64), np.empty((8, words), np.uint64)
    doubled = np.empty((3, words), np.uint64)
    _copy(running[1], unit)
    for window in range(totals.shape[0] - 1, -1, -1):
        for _ in range(bits):
            for coordinate in range(3):
                _copy(doubled[coordinate], running[coordinate])
            _add_projective(steps, thrice, running, doubled, scratch)
        _add_projective(steps, thrice, running, totals[window], scratch)
    return running


@njit(**STEP)
def _to_affine(steps, running, out):
    """out = x, y of a projective point; zeros for infinity.

    steps:   tuple of 3 steps  multiply, add, subtract of the coordinates' field, by addresses
    running: u64[3, w]  X, Y, Z
    out:     u64[2w]    output, every word written
    """
    words = running.shape[1]
    if _is_zero(running[2]):
        for word in range(2 * words):
            out[word] = np.uint64(0)
        return
    inverse = np.empty(words, np.uint64)
    _invert(inverse, running[2])
    for coordinate in range(2):
        target = out[coordinate * words : (coordinate + 1) * words]
        steps[0](target.ctypes.data, running[coordinate].ctypes.data, inverse.ctypes.data)


@njit(**SERIAL)
def join_windows_g1(totals, bits, out):
    """out = Σ 2^(bits · w) · totals[w].

    totals: u64[windows, 3, 6]  projective points
    bits:   i64                 size of a window
    out:    u64[12]             output: the affine sum
    Cost:    `bits` + 1 complete additions a window, one inversion.   Threads: none inside; the GIL is free.
    Errors:  none.   Source: spec snark section 5.1.   Twin: tests/naive/curve.py.
    """
    _to_affine(
        (_MULTIPLY, _ADD, _SUBTRACT),
        _join_windows((_MULTIPLY, _ADD, _SUBTRACT), ONE_1, TWELVE_1, totals, bits),
        out,
    )


@njit(**SERIAL)
def join_windows_g2(totals, bits, out):
    """As `join_windows_g1`, for points of G2.

    totals: u64[windows, 3, 12]  projective points
    bits:   i64                  size of a window
    out:    u64[24]              output: the affine sum
    Cost:    `bits` + 1 complete additions a window, one inversion.   Threads: none inside; the GIL is free.
    Errors:  none.   Source: spec snark section 5.1.   Twin: tests/naive/curve.py.
    """
    _to_affine(
        (_MULTIPLY_2, _ADD_2, _SUBTRACT_2),
        _join_windows((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), ONE_2, TWELVE_2, totals, bits),
        out,
    )


@njit(**SERIAL)
def copy_points_g1(points, indices, out, places):
    """out[places[k]] = points[indices[k]], negated if the index's highest bit is set.

    points:  u64[n, 12]  affine points
    indices: u32[p]      indices
    out:     u64[m, 12]  output
    places:  u32[p]      rows of `out`
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  spec snark section 5.1.   Twin: tests/naive/curve.py.
    """
    for k in range(indices.shape[0]):
        _copy_signed((_MULTIPLY, _ADD, _SUBTRACT), points, indices[k], out[np.int64(places[k])])


@njit(**SERIAL)
def copy_points_g2(points, indices, out, places):
    """As `copy_points_g1`, for points of G2.

    points:  u64[n, 24]  affine points
    indices: u32[p]      indices
    out:     u64[m, 24]  output
    places:  u32[p]      rows of `out`
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  spec snark section 5.1.   Twin: tests/naive/curve.py.
    """
    for k in range(indices.shape[0]):
        _copy_signed((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), points, indices[k], out[np.int64(places[k])])


@njit(**SERIAL)
def scale_coordinates(rows, factor):
    """rows = rows · factor / 2^384 mod p: into Montgomery form by 2^768 mod p, out of it by 1.

    rows:   u64[n, 6]  values below p
    factor: u64[6]     below p
    Cost:    one product a row.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  spec snark section 5.1.   Twin: tests/naive/curve.py.
    """
    for row in range(rows.shape[0]):
        at = rows[row].ctypes.data
        _MULTIPLY(at, at, factor.ctypes.data)


@njit(**STEP)
def _first_off_curve(steps, constant, points):
    """Return the first row with y² ≠ x³ + b, or -1.

    steps:    tuple of 3 steps  multiply, add, subtract of the coordinates' field, by addresses
    constant: u64[w]      b in Montgomery form
    points:   u64[n, 2w]  affine points
    """
    multiply, add, subtract = steps
    words = constant.shape[0]
    left, right = np.empty(words, np.uint64), np.empty(words, np.uint64)
    for row in range(points.shape[0]):
        x, y = points[row, :words].ctypes.data, points[row, words:].ctypes.data
        multiply(left.ctypes.data, y, y)
        multiply(right.ctypes.data, x, x)
        multiply(right.ctypes.data, right.ctypes.data, x)
        add(right.ctypes.data, right.ctypes.data, constant.ctypes.data)
        subtract(left.ctypes.data, left.ctypes.data, right.ctypes.data)
        if not _is_zero(left):
            return row
    return -1


@njit(**SERIAL)
def first_off_curve_g1(points):
    """Return the first row that is no point of the curve, or -1; infinity is none.

    points: u64[n, 12]  coordinates below p in Montgomery form
    Cost:    3 products a point.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  spec snark section 2.2.   Twin: tests/naive/curve.py.
    """
    return _first_off_curve((_MULTIPLY, _ADD, _SUBTRACT), FOUR_1, points)


@njit(**SERIAL)
def first_off_curve_g2(points):
    """As `first_off_curve_g1`, for G2.

    points: u64[n, 24]  coordinates below p in Montgomery form
    Cost:    9 products a point.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  spec snark section 2.2.   Twin: tests/naive/curve.py.
    """
    return _first_off_curve((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), FOUR_2, points)
