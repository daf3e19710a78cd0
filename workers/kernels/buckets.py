"""Pippenger's schedule: scalars become signed digits, points lie in buckets, buckets are halved by pairs."""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels.flags import SERIAL

_NEGATIVE = np.uint32(1 << 31)


@njit(**SERIAL)
def signed_digits(scalars, chosen, bits, digits, first, end):
    """Cut scalars into digits from -2^(bits-1) + 1 to 2^(bits-1), the lowest window first.

    scalars: u64[n, 4]        canonical scalars
    chosen:  u32[p]           which of them
    bits:    i64              size of a window, 2 to 16
    digits:  i32[windows, p]  output: twice the digit's size, plus 1 if it is negative
    first, end: i64           columns that are written: those of chosen[first:end]
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  supranational/blst src/multi_scalar.c; a carry stands for its booth_encode.
    Twin:    tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    half, low = 1 << (bits - 1), np.uint64((1 << bits) - 1)
    for k in range(first, end):
        row, carry = np.int64(chosen[k]), np.int64(0)
        for window in range(digits.shape[0]):
            start = window * bits
            word, shift = start >> 6, np.uint64(start & 63)
            value = np.uint64(0)
            if word < 4:
                value = scalars[row, word] >> shift
                if np.int64(shift) + bits > 64 and word < 3:
                    value |= scalars[row, word + 1] << (np.uint64(64) - shift)
            digit = np.int64(value & low) + carry
            carry = np.int64(digit > half)  # without a branch, as nobody can guess it
            digits[window, k] = abs(digit - (carry << bits)) << 1 | carry


@njit(**SERIAL)
def sort_into_buckets(digits, chosen, starts, lengths, order):
    """Sort points by the size of their digit; returns how many have one.

    digits:  i32[p]        one window of `signed_digits`
    chosen:  u32[p]        the points' indices
    starts:  i64[buckets]  output: where each bucket begins in `order`; bucket k has digit k + 1
    lengths: i64[buckets]  output: how many points it has
    order:   u32[p]        output: indices, the highest bit set where the digit is negative
    Cost:    two passes.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  the buckets of supranational/blst src/multi_scalar.c, filled by sorting.
    Twin:    tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    lengths[:] = 0
    for digit in digits:
        if digit >> 1:
            lengths[(digit >> 1) - 1] += 1
    total = 0
    for bucket in range(starts.shape[0]):
        starts[bucket] = total
        total += lengths[bucket]
    for k in range(digits.shape[0]):
        bucket = (digits[k] >> 1) - 1
        if bucket >= 0:
            order[starts[bucket]] = chosen[k] | (_NEGATIVE if digits[k] & 1 else np.uint32(0))
            starts[bucket] += 1
    for bucket in range(starts.shape[0]):
        starts[bucket] -= lengths[bucket]
    return total


@njit(**SERIAL)
def sort_at_random(drawn, bits, starts, lengths, order):
    """Sort all points into 2^bits buckets as random numbers say.

    drawn:   u32[p]        random numbers: the lowest bits are the bucket, the highest one the sign
    bits:    i64           of a bucket's number, at most 31
    starts:  i64[buckets]  output: where each bucket begins in `order`
    lengths: i64[buckets]  output: how many points it has
    order:   u32[p]        output: indices, the highest bit set where the point is negated
    Cost:    two passes.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  eprint 2015/247.   Twin: none; any order will do.
    Golden:  none; the order is drawn.
    """
    low = np.uint32((1 << bits) - 1)
    lengths[:] = 0
    for number in drawn:
        lengths[np.int64(number & low)] += 1
    total = 0
    for bucket in range(starts.shape[0]):
        starts[bucket] = total
        total += lengths[bucket]
    for k in range(drawn.shape[0]):
        into = np.int64(drawn[k] & low)
        order[starts[into]] = np.uint32(k) | drawn[k] & _NEGATIVE
        starts[into] += 1
    for bucket in range(starts.shape[0]):
        starts[bucket] -= lengths[bucket]


@njit(**SERIAL)
def pair_up(starts, lengths, order, pairs, singles):
    """Halve every bucket: neighbours become pairs, an odd one stays; the sums lie side by side afterwards.

    starts, lengths: i64[buckets]  changed to where the sums of each bucket will lie
    order:           u32[m]        indices, bucket by bucket
    pairs:           u32[3, m/2 + 1]        output: first, second, place of the sum
    singles:         u32[2, buckets + 1]    output: index and place of what has no partner
    Returns the numbers of pairs, of singles, and of rows afterwards.
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  supranational/blst src/bulk_addition.c ADDITION_BTREE, of each bucket.
    Twin:    tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    paired, single, place = 0, 0, 0
    for bucket in range(starts.shape[0]):
        begin, count = starts[bucket], lengths[bucket]
        starts[bucket] = place
        for k in range(count >> 1):
            pairs[0, paired], pairs[1, paired] = order[begin + 2 * k], order[begin + 2 * k + 1]
            pairs[2, paired] = place
            paired, place = paired + 1, place + 1
        if count & 1:
            singles[0, single], singles[1, single] = order[begin + count - 1], place
            single, place = single + 1, place + 1
        lengths[bucket] = (count + 1) >> 1
    return paired, single, place
