"""Number-theoretic transforms over the scalar field in lanes, eight transforms at a time.

A transform of n = n1 · n2 values is n2 transforms of n1 (columns), a product of each value by a power of the
root (twist), and n1 transforms of n2 (lines).  Eight columns or lines lie in the lanes of a scratch that the
cache holds; so the rows in memory stay words of 64 bits, and are read and written once in each pass.
Value k1 + n1 · k2 of the first transform of a pair stands in row k1 · n2 + k2, where the second begins.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels.flags import SERIAL
from workers.kernels.ifma import BEGIN, END
from workers.kernels.ntt_scratch import TWIST, read_group, slots_new, transform, twist_fill, write_twisted
from workers.kernels.ntt_steps import EXCHANGE, MULTIPLY, QUOTIENT, WRITE, WRITE_PLAIN
from workers.kernels.scalar_lanes import KNOWN, ROW, SLOT

MOST_LEVELS = 14
"""Of a transform in a scratch.  Values that enter it are below 2 r, so those that leave it are below 32 r:
the first two levels add 6 r, each other 2 r; see `scalar_lanes.LARGEST`."""


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
    Twin:    tests/naive/ntt.py transform.
    Golden:  h_coeffs_sha256 of tests/golden/proofs/r1cs_window_2k.json, r1cs_winning_2k.json.
    """
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    count = order.shape[0]
    width = rows.shape[0] // count
    scratch, slots = slots_new(count)
    twist, powers = slots_new(TWIST + count // TWIST + 2)
    for group in range(groups[0], groups[1]):
        at = rows.ctypes.data + 8 * ROW * group
        read_group(slots, at, ROW, ROW * width, count)
        transform(slots, count, factors.ctypes.data)
        twist_fill(powers, bases.ctypes.data + SLOT * group, first.ctypes.data, count)
        write_twisted(at, ROW, ROW * width, slots, order, powers)
    END(control.ctypes.data)
    control[0] = scratch[0] = twist[0] = 0  # numba frees an array after its last use by name


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
    Twin:    tests/naive/ntt.py transform.
    Golden:  h_coeffs_sha256 of tests/golden/proofs/r1cs_window_2k.json, r1cs_winning_2k.json.
    """
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    count = order.shape[0]
    height = rows.shape[0] // count
    scratch, slots = slots_new(count)
    for group in range(groups[0], groups[1]):
        read_group(slots, rows.ctypes.data + 8 * ROW * count * group, ROW * count, ROW, count)
        transform(slots, count, factors.ctypes.data)
        for i in range(count):
            target = out.ctypes.data + ROW * (8 * group + height * i)
            if i < scales.shape[0]:
                WRITE(target, ROW, slots + SLOT * order[i], scales.ctypes.data + KNOWN * i)
            else:
                WRITE_PLAIN(target, ROW, slots + SLOT * order[i])
    END(control.ctypes.data)
    control[0] = scratch[0] = 0


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
    Source:  filecoin-project/bellperson src/domain.rs coset_fft.   Twin: tests/naive/ntt.py evaluate.
    Golden:  h_coeffs_sha256 of tests/golden/proofs/r1cs_window_2k.json, r1cs_winning_2k.json.
    """
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    count = order.shape[0]
    scratch, slots = slots_new(count)
    twist, powers = slots_new(TWIST + count // TWIST + 2)
    for group in range(groups[0], groups[1]):
        at = rows.ctypes.data + 8 * ROW * count * group
        read_group(slots, at, ROW * count, ROW, count)
        transform(slots, count, inverse_factors.ctypes.data)
        for i in range(count):
            other = order[i]
            if i <= other:
                own, second = scales.ctypes.data + KNOWN * i, scales.ctypes.data + KNOWN * other
                EXCHANGE(slots + SLOT * i, slots + SLOT * other, own, second)
        transform(slots, count, factors.ctypes.data)
        twist_fill(powers, bases.ctypes.data + SLOT * group, first.ctypes.data, count)
        write_twisted(at, ROW * count, ROW, slots, order, powers)
    END(control.ctypes.data)
    control[0] = scratch[0] = twist[0] = 0


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
    Source:  filecoin-project/bellperson src/groth16/prover/native.rs execute_fft.
    Twin:    tests/naive/ntt.py evaluate.
    Golden:  h_coeffs_sha256 of tests/golden/proofs/r1cs_window_2k.json, r1cs_winning_2k.json.
    """
    a, b, c = sides
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    count = order.shape[0]
    width = a.shape[0] // count
    scratch, slots = slots_new(2 * count)
    second = slots + SLOT * count
    twist, powers = slots_new(TWIST + count // TWIST + 2)
    for group in range(groups[0], groups[1]):
        column = 8 * ROW * group
        read_group(slots, a.ctypes.data + column, ROW, ROW * width, count)
        transform(slots, count, factors.ctypes.data)
        read_group(second, b.ctypes.data + column, ROW, ROW * width, count)
        transform(second, count, factors.ctypes.data)
        for i in range(count):
            MULTIPLY(slots + SLOT * i, slots + SLOT * i, second + SLOT * i)
        read_group(second, c.ctypes.data + column, ROW, ROW * width, count)
        transform(second, count, factors.ctypes.data)
        for i in range(count):
            j = order[i]
            if i <= j:
                own, other = SLOT * i, SLOT * j
                QUOTIENT(slots + own, slots + other, second + own, second + other, divisor.ctypes.data)
        transform(slots, count, inverse_factors.ctypes.data)
        twist_fill(powers, bases.ctypes.data + SLOT * group, first.ctypes.data, count)
        write_twisted(a.ctypes.data + column, ROW, ROW * width, slots, order, powers)
    END(control.ctypes.data)
    control[0] = scratch[0] = twist[0] = 0
