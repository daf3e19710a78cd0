"""The scalar field of BLS12-381: its modulus, its two limb forms, sums of whole arrays.

Source: supranational/blst src/consts.c BLS12_381_r; rust-fil-proofs fr32/src/convert.rs: a node is u64[4],
little-endian limbs of the canonical integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit

from workers.kernels.flags import SERIAL, STEP

MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""r, the order of the group: 255 bits."""
WORD_BITS = 64
"""Limb size of the portable path: 4 limbs, Montgomery radix 2^256."""
LANE_BITS = 52
"""Limb size of the AVX-512 path: 5 limbs, Montgomery radix 2^260."""

_P0, _P1, _P2, _P3 = (np.uint64(MODULUS >> 64 * i & 0xFFFFFFFFFFFFFFFF) for i in range(4))


def limbs(
    values: Sequence[int], *, bits: int, montgomery: bool = True
) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return field elements as rows of 4 (64-bit) or 5 (52-bit) limbs, times the Montgomery radix if asked.

    values:     any integers; taken modulo r
    bits:       WORD_BITS or LANE_BITS
    montgomery: times 2^256 or 2^260, by the limbs
    returns:    u64[n, 4] or u64[n, 5], the lowest limb first; u64[0, …] for no values
    """
    count = 4 if bits == WORD_BITS else 5
    radix = 1 << count * bits if montgomery else 1
    mask = (1 << bits) - 1
    rows = [[(value * radix % MODULUS) >> bits * i & mask for i in range(count)] for value in values]
    return np.array(rows, np.uint64).reshape(-1, count)


@njit(**STEP)
def _less_than_modulus(a0, a1, a2, a3):
    """Return whether a four-limb number is below r.

    a0, a1, a2, a3: u64  limbs, the lowest first
    """
    if a3 != _P3:
        return a3 < _P3
    if a2 != _P2:
        return a2 < _P2
    if a1 != _P1:
        return a1 < _P1
    return a0 < _P0


@njit(**STEP)
def _subtract(a, b):
    """(a - b mod 2^256 as 4 limbs, borrow out: u64 0 or 1).

    At most one of the two borrows of a limb occurs: if a < b, the difference is at least 1.

    a, b: tuple of 4 u64  limbs, the lowest first
    """
    d0 = a[0] - b[0]
    w0 = np.uint64(a[0] < b[0])
    d1 = a[1] - b[1]
    w1 = np.uint64(a[1] < b[1]) | np.uint64(d1 < w0)
    d1 -= w0
    d2 = a[2] - b[2]
    w2 = np.uint64(a[2] < b[2]) | np.uint64(d2 < w1)
    d2 -= w1
    d3 = a[3] - b[3]
    w3 = np.uint64(a[3] < b[3]) | np.uint64(d3 < w2)
    d3 -= w2
    return (d0, d1, d2, d3), w3


@njit(**STEP)
def _add(a, b):
    """a + b of four-limb numbers whose sum is below 2^256.

    At most one of the two carries of a limb occurs, since 2 · (2^64 - 1) + 1 is below 2^65; the highest has
    none.

    a, b: tuple of 4 u64  limbs, the lowest first
    """
    s0 = a[0] + b[0]
    c0 = np.uint64(s0 < a[0])
    s1 = a[1] + b[1]
    c1 = np.uint64(s1 < a[1])
    s1 += c0
    c1 |= np.uint64(s1 < c0)
    s2 = a[2] + b[2]
    c2 = np.uint64(s2 < a[2])
    s2 += c1
    c2 |= np.uint64(s2 < c1)
    return (s0, s1, s2, a[3] + b[3] + c2)


@njit(**STEP)
def _reduced(value):
    """`value` below 2^256 brought below r; at most two subtractions.

    value: tuple of 4 u64  limbs, the lowest first
    """
    while not _less_than_modulus(value[0], value[1], value[2], value[3]):
        value, _ = _subtract(value, (_P0, _P1, _P2, _P3))
    return value


@njit(**STEP)
def _row(array, row):
    """Return a row as a tuple of four limbs.

    array: u64[n, 4]  limbs, the lowest first
    row:   i64
    """
    return (array[row, 0], array[row, 1], array[row, 2], array[row, 3])


@njit(**SERIAL)
def add_rows(left, right, out):
    """out = (left + right) mod r: a sector's encoding (label + data).

    left, right: u64[n, 4]  values below 2^255
    out:         u64[n, 4]  canonical; may be either input
    Cost:    one pass, no allocation.   Threads: none inside; the GIL is free.
    Errors:  none; `processors.pc2` has checked the shapes.
    Source:  rust-fil-proofs storage-proofs-porep/src/encode.rs encode.   Twin: tests/naive/field.py add.
    Golden:  sealed_sha256 of tests/golden/proofs/seal_2k_v1_1.json.
    """
    for row in range(out.shape[0]):
        value = _reduced(_add(_row(left, row), _row(right, row)))
        for i in range(4):
            out[row, i] = value[i]


@njit(**SERIAL)
def subtract_rows(left, right, out):
    """out = (left - right) mod r: the inverse of `add_rows` (unsealing).

    left:  u64[n, 4]  canonical
    right: u64[n, 4]  values below 2^255
    out:   u64[n, 4]  canonical; may be either input
    Cost:    one pass, no allocation.   Threads: none inside; the GIL is free.
    Errors:  none; `processors.unseal` has checked the shapes.
    Source:  rust-fil-proofs storage-proofs-porep/src/encode.rs decode.
    Twin:    tests/naive/field.py subtract.
    Golden:  unsealed_unpadded_sha256 of tests/golden/proofs/seal_2k_v1_1.json.
    """
    for row in range(out.shape[0]):
        value, borrow = _subtract(_row(left, row), _reduced(_row(right, row)))
        if borrow:
            value = _add(value, (_P0, _P1, _P2, _P3))
        for i in range(4):
            out[row, i] = value[i]


@njit(**SERIAL)
def count_not_canonical(rows):
    """Return how many nodes are not below r.

    rows: u64[n, 4]
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  rust-fil-proofs fr32/src/convert.rs bytes_into_fr.
    Twin:    tests/naive/field.py count_not_canonical.
    Golden:  none; the twin only.
    """
    count = 0
    for row in range(rows.shape[0]):
        if not _less_than_modulus(rows[row, 0], rows[row, 1], rows[row, 2], rows[row, 3]):
            count += 1
    return count
