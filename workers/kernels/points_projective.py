# mypy: allow-untyped-calls
"""Sums of points of G1 and G2 in projective form: the buckets of a window, and the windows of a product.

Points are as in `points_words`.  The addition is complete: it needs no cases, and one inversion at the end.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels.curve_fields import (
    G1_STEPS,
    G2_STEPS,
    ONE_1,
    ONE_2,
    TWELVE_1,
    TWELVE_2,
    copy_words,
    invert,
    is_zero,
)
from workers.kernels.flags import SERIAL, STEP

_MULTIPLY, _ADD, _SUBTRACT = G1_STEPS
_MULTIPLY_2, _ADD_2, _SUBTRACT_2 = G2_STEPS


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
    copy_words(running[1], unit)
    for coordinate in range(3):
        for word in range(words):
            total[coordinate, word] = np.uint64(0)
    copy_words(total[1], unit)
    copy_words(bucket[2], unit)
    for number in range(buckets.shape[0] - 1, -1, -1):
        index = buckets[number]
        if index >= 0 and not is_zero(points[index]):
            copy_words(bucket[0], points[index, :words])
            copy_words(bucket[1], points[index, words:])
            _add_projective(steps, thrice, running, bucket, scratch)
        _add_projective(steps, thrice, total, running, scratch)


@njit(**SERIAL)
def sum_buckets_g1(points, buckets, total):
    """total = Σ (k + 1) · bucket k.

    points:  u64[n, 12]  affine points
    buckets: i64[b]      the row that holds each bucket's sum, or -1 for an empty one
    total:   u64[3, 6]   output: X, Y, Z of the projective sum
    Cost:    two complete additions (12 products each) a bucket.   Threads: none inside; the GIL is free.
    Errors:  none; `snark.multiexp` has made the rows.
    Source:  supranational/blst src/multi_scalar.c, _integrate_buckets.
    Twin:    tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _sum_buckets((_MULTIPLY, _ADD, _SUBTRACT), ONE_1, TWELVE_1, points, buckets, total)


@njit(**SERIAL)
def sum_buckets_g2(points, buckets, total):
    """As `sum_buckets_g1`, for points of G2.

    points:  u64[n, 24]  affine points
    buckets: i64[b]      the row that holds each bucket's sum, or -1 for an empty one
    total:   u64[3, 12]  output: X, Y, Z of the projective sum
    Cost:    two complete additions a bucket.   Threads: none inside; the GIL is free.
    Errors:  none; `snark.multiexp` has made the rows.
    Source:  supranational/blst src/multi_scalar.c, _integrate_buckets.
    Twin:    tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _sum_buckets((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), ONE_2, TWELVE_2, points, buckets, total)


@njit(**STEP)
def _join_eighths(steps, thrice, sums, doublings, total):
    """`join_eighths_g1` for the field of `steps`.

    steps:     tuple of 3 steps  multiply, add, subtract of the coordinates' field, by addresses
    thrice:    u64[w]           3 b in Montgomery form
    sums:      u64[2, 3, 8, w]  projective points
    doublings: i64              log2 of an eighth's buckets
    total:     u64[3, w]        output: X, Y, Z
    """
    words, eighths = thrice.shape[0], sums.shape[2]
    running, scratch = np.empty((3, words), np.uint64), np.empty((8, words), np.uint64)
    other = np.empty((3, words), np.uint64)
    for coordinate in range(3):
        copy_words(running[coordinate], sums[0, coordinate, eighths - 1])
        copy_words(total[coordinate], running[coordinate])
    for eighth in range(eighths - 2, 0, -1):
        for coordinate in range(3):
            copy_words(other[coordinate], sums[0, coordinate, eighth])
        _add_projective(steps, thrice, running, other, scratch)
        _add_projective(steps, thrice, total, running, scratch)
    for _ in range(doublings):
        for coordinate in range(3):
            copy_words(other[coordinate], total[coordinate])
        _add_projective(steps, thrice, total, other, scratch)
    for eighth in range(eighths):
        for coordinate in range(3):
            copy_words(other[coordinate], sums[1, coordinate, eighth])
        _add_projective(steps, thrice, total, other, scratch)


@njit(**SERIAL)
def join_eighths_g1(sums, doublings, total):
    """total = Σ k · 2^doublings · sums[0, :, k] + sums[1, :, k]: what `sum_buckets_lanes_g1` leaves.

    sums:      u64[2, 3, 8, 6]  projective points
    doublings: i64              log2 of an eighth's buckets
    total:     u64[3, 6]        output: X, Y, Z
    Cost:    20 complete additions and the doublings.   Threads: none inside; the GIL is free.
    Errors:  none.
    Source:  supranational/blst src/multi_scalar.c, _integrate_buckets.
    Twin:    tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _join_eighths((_MULTIPLY, _ADD, _SUBTRACT), TWELVE_1, sums, doublings, total)


@njit(**SERIAL)
def join_eighths_g2(sums, doublings, total):
    """As `join_eighths_g1`, for points of G2.

    sums:      u64[2, 3, 8, 12]  projective points
    doublings: i64               log2 of an eighth's buckets
    total:     u64[3, 12]        output: X, Y, Z
    Cost:    20 complete additions and the doublings.   Threads: none inside; the GIL is free.
    Errors:  none.
    Source:  supranational/blst src/multi_scalar.c, _integrate_buckets.
    Twin:    tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _join_eighths((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), TWELVE_2, sums, doublings, total)


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
    copy_words(running[1], unit)
    for window in range(totals.shape[0] - 1, -1, -1):
        for _ in range(bits):
            for coordinate in range(3):
                copy_words(doubled[coordinate], running[coordinate])
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
    if is_zero(running[2]):
        for word in range(2 * words):
            out[word] = np.uint64(0)
        return
    inverse = np.empty(words, np.uint64)
    invert(inverse, running[2])
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
    Errors:  none.
    Source:  supranational/blst src/multi_scalar.c, s_mult_pippenger.   Twin: tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
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
    Errors:  none.
    Source:  supranational/blst src/multi_scalar.c, s_mult_pippenger.   Twin: tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _to_affine(
        (_MULTIPLY_2, _ADD_2, _SUBTRACT_2),
        _join_windows((_MULTIPLY_2, _ADD_2, _SUBTRACT_2), ONE_2, TWELVE_2, totals, bits),
        out,
    )
