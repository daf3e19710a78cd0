# mypy: allow-untyped-calls
"""Points of G1 and G2 with 64-bit limbs: many affine additions at once, copies and checks.

A point is x and y, two coordinates of 6 words (G1) or 12 (G2) in Montgomery form; the point at infinity is
all zeros, which is on neither curve.  `points_projective` sums buckets of them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels.curve_fields import (
    FOUR_1,
    FOUR_2,
    G1_STEPS,
    G2_STEPS,
    ONE_1,
    ONE_2,
    copy_words,
    invert,
    is_zero,
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
    if is_zero(two):
        return _FIRST
    if is_zero(one):
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
    if not is_zero(denominator):
        return _ORDINARY
    if not is_zero(numerator):
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
    copy_words(target, sum_)


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
    copy_words(target, source)
    if index & NEGATE and not is_zero(source):
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
        copy_words(running, unit)
        for k in range(count):
            case = _slope(steps, points, first[start + k], second[start + k], numerators[k], denominators[k])
            cases[k] = case
            if case == _ORDINARY:
                copy_words(prefixes[k], running)
                multiply(running.ctypes.data, running.ctypes.data, denominators[k].ctypes.data)
        invert(inverse, running)
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
    Errors:  none; `snark.multiexp` has made the indices.
    Source:  supranational/blst src/bulk_addition.c HEAD, TAIL.   Twin: tests/naive/curve.py point_add.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
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
    Errors:  none; `snark.multiexp` has made the indices.
    Source:  supranational/blst src/bulk_addition.c HEAD, TAIL.   Twin: tests/naive/curve.py point_add.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _add_pairs((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), ONE_2, points, first, second, out, places)


@njit(**SERIAL)
def copy_points_g1(points, indices, out, places):
    """out[places[k]] = points[indices[k]], negated if the index's highest bit is set.

    points:  u64[n, 12]  affine points
    indices: u32[p]      indices
    out:     u64[m, 12]  output
    places:  u32[p]      rows of `out`
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  negation as supranational/blst src/e1.c POINTonE1_cneg.   Twin: tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
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
    Source:  negation as supranational/blst src/e2.c POINTonE2_cneg.   Twin: tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    for k in range(indices.shape[0]):
        _copy_signed((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), points, indices[k], out[np.int64(places[k])])


@njit(**SERIAL)
def scale_coordinates(rows, factor):
    """rows = rows · factor / 2^384 mod p: into Montgomery form by 2^768 mod p, out of it by 1.

    rows:   u64[n, 6]  values below p
    factor: u64[6]     below p
    Cost:    one product a row.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  supranational/blst src/vect.h mul_mont_384.   Twin: tests/naive/curve.py parts_scale.
    Golden:  params.file_sha256 of tests/golden/proofs/r1cs_window_2k.json.
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
        if not is_zero(left):
            return row
    return -1


@njit(**SERIAL)
def first_off_curve_g1(points):
    """Return the first row that is no point of the curve, or -1; infinity is none.

    points: u64[n, 12]  coordinates below p in Montgomery form
    Cost:    3 products a point.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  supranational/blst src/e1.c POINTonE1_affine_on_curve.
    Twin:    tests/naive/curve.py is_on_curve.
    Golden:  test_toxic_waste of tests/golden/proofs/r1cs_window_2k.json: its generators are on the curve.
    """
    return _first_off_curve((_MULTIPLY, _ADD, _SUBTRACT), FOUR_1, points)


@njit(**SERIAL)
def first_off_curve_g2(points):
    """As `first_off_curve_g1`, for G2.

    points: u64[n, 24]  coordinates below p in Montgomery form
    Cost:    9 products a point.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  supranational/blst src/e2.c POINTonE2_affine_on_curve.
    Twin:    tests/naive/curve.py is_on_curve.
    Golden:  test_toxic_waste of tests/golden/proofs/r1cs_window_2k.json: its generators are on the curve.
    """
    return _first_off_curve((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), FOUR_2, points)
