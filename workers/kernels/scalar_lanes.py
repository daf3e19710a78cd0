# mypy: allow-untyped-calls
"""The scalar field in lanes: rows of words to lanes and back, and products by factors known beforehand.

A known factor w comes with floor(w · 2^260 / r).  The high half of value times that is the quotient of
value · w by r, or at most one less where value is below 34 r; the remainder needs low halves only.  That is
94 operations where a Montgomery product is 120, and no long chain.  Source: Shoup's trick as in NTL.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types

from workers.kernels import llvm
from workers.kernels.field import MODULUS
from workers.kernels.ifma import LIMB, LIMB_BITS, LaneField, halved, multiply_add
from workers.kernels.llvm import I64, V8

LANES = LaneField("fr", MODULUS, 5)
SLOT = LANES.slot
ROW = 32
"""Bytes of a row of words."""
KNOWN = 2 * 8 * LANES.limbs
"""Bytes of a known factor."""
LARGEST = 34
"""Values that a known factor multiplies are at most so many moduli; remainders are below two."""
_STRIDE = LANES.limbs_of((MODULUS * LANES.inverse + 1) >> LIMB_BITS)
_V4 = ir.VectorType(I64, 4)
_FIRST, _SECOND = [0, 1, 2, 3], [4, 5, 6, 7]


def known_factors(values: Sequence[int]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return u64[n, 10]: limbs of each factor, then of its quotient.

    values: below r, not in Montgomery form;  the quotient is floor(value · 2^260 / r), of five limbs too
    """
    rows = [LANES.limbs_of(value) + LANES.limbs_of((value << LIMB_BITS * 5) // MODULUS) for value in values]
    return np.array(rows, np.uint64).reshape(-1, 2 * LANES.limbs)


def rows_load(builder, address, stride):
    """Rows of eight lanes, `stride` bytes apart, as limbs.

    address: i64  of the row of lane 0: u64[4], below 2^256, any alignment;  stride: i64
    returns: 5 limbs, carried

    Three riffles of four pairs of rows turn them: word w of all rows then is vector w.
    """
    rows = []
    for _ in range(8):
        rows.append(llvm.load(builder, address, 0, _V4))
        address = builder.add(address, stride)
    pairs = [builder.shuffle_vector(*rows[at : at + 2], llvm.mask(_FIRST + _SECOND)) for at in (0, 2, 4, 6)]
    for _ in range(3):
        pairs = llvm.interleaved(builder, pairs)
    return LANES.from_words(builder, pairs)


def rows_store(builder, value, address, stride):
    """Carried limbs below 2^256 as rows of words.

    value:   5 limbs;  address: i64  of the row of lane 0, output;  stride: i64  bytes to the next lane's
    """
    words = LANES.to_words(builder, value, 4)
    for _ in range(2):
        words = llvm.interleaved(builder, words)
    for pair in words:
        for half in (_FIRST, _SECOND):
            llvm.store(builder, builder.shuffle_vector(pair, pair, llvm.mask(half)), address, 0)
            address = builder.add(address, stride)


def spread(builder, address, offset=0):
    """Limbs of one element in all lanes.

    address: i64  of u64[5];  offset: bytes from it
    """
    limbs = [llvm.load(builder, address, offset + 8 * k, I64) for k in range(LANES.limbs)]
    return [llvm.spread(builder, limb, 8) for limb in limbs]


def factor_ready(builder, value):
    """Limbs whose low 52 bits are those of the carried value: all that a multiply-add reads.

    value: 5 signed limbs
    Cheaper than `LANES.carried`: what is above 52 bits stays, and is ignored.
    """
    out = list(value)
    for k in range(LANES.limbs - 1):
        out[k + 1] = builder.add(out[k + 1], builder.ashr(out[k], llvm.splat(V8, LIMB_BITS)))
    return out


def multiply_known(builder, value, factor):
    """value · factor less a multiple of r: below 2 r, not carried and modulo 2^260.

    value:  limbs that are ready as a factor, at most 34 r
    factor: address of a known factor

    Of the product that gives the quotient limbs 0 to 3 are not made: what they could carry is part of the one
    by which the quotient may be too small.  The remainder is below 2^260, so low limbs are enough of both
    products; adding quotient · (2^260 - r) takes quotient · r away.
    """
    limbs = spread(builder, factor), spread(builder, factor, 8 * LANES.limbs)
    return halved(builder, partial(_multiply_known, builder), value, *limbs)


def _multiply_known(builder, value, known, quotients):
    """`multiply_known` of lanes that lie in one register."""
    count, type_ = LANES.limbs, value[0].type
    terms = [(i, j, part) for i in range(count) for j in range(count) for part in (0, 1)]
    high = [llvm.splat(type_, 0)] * (2 * count)
    for i, j, part in terms:
        at = i + j + part
        if at >= count - 1:
            high[at] = multiply_add(builder, part, high[at], value[i], quotients[j])
    for k in range(count - 1, 2 * count - 1):
        high[k + 1] = builder.add(high[k + 1], builder.lshr(high[k], llvm.splat(type_, LIMB_BITS)))
    complement = LANES.constant(LANES.radix - MODULUS, type_)
    out = [llvm.splat(type_, 0)] * count
    for left, right in ((value, known), (high[count:], complement)):
        for i, j, part in terms:
            at = i + j + part
            if at < count:
                out[at] = multiply_add(builder, part, out[at], left[i], right[j])
    return out


def multiply(builder, left, right):
    """left · right / 2^260 plus at most a little more than r, not carried; both are ready as factors.

    The first steps add multiples of 2^52 · _STRIDE - 1, itself a multiple of r, so that a limb is its own
    quotient: there is one multiply-add from a limb to the next where Montgomery's step has two.  What they
    leave is a limb longer than r, so the last two steps are Montgomery's.
    """
    return halved(builder, partial(_multiply, builder), left, right)


def _multiply(builder, left, right):
    """`multiply` of lanes that lie in one register."""
    count, type_ = LANES.limbs, left[0].type
    sums = [llvm.splat(type_, 0)] * (2 * count)
    for i in range(count):
        for j in range(count):
            for part in (0, 1):
                sums[i + j + part] = multiply_add(builder, part, sums[i + j + part], left[i], right[j])
    for i in range(count):
        quotient, factors = sums[i], _STRIDE
        carry = quotient
        if i >= count - 2:
            inverse = llvm.splat(type_, LANES.inverse)
            quotient = multiply_add(builder, 0, llvm.splat(type_, 0), sums[i], inverse)
            # the limb becomes a multiple of 2^52, if not 0: its carry is rounded up
            carry, factors = builder.add(sums[i], llvm.splat(type_, LIMB)), LANES.words
        sums[i + 1] = builder.add(sums[i + 1], builder.lshr(carry, llvm.splat(type_, LIMB_BITS)))
        for j, factor in enumerate(factors):
            for part in (0, 1):
                at = i + j + part + (factors is _STRIDE)
                if at > i:
                    sums[at] = multiply_add(builder, part, sums[at], quotient, llvm.splat(type_, factor))
    return sums[count:]


def lowered(builder, value):
    """A value of at most 34 r, not carried and modulo 2^260, brought below 1.4 r, carried.

    The quotient is estimated by the highest limb, and never above the true one.
    """
    out = LANES.carried(builder, value, wraps=True)
    estimate = llvm.splat(V8, LANES.quotient_factor)
    quotient = multiply_add(builder, 1, llvm.splat(V8, 0), out[-1], estimate)
    for part in (0, 1):
        for j in range(LANES.limbs - part):
            factor = llvm.splat(V8, LANES.complement[j])
            out[j + part] = multiply_add(builder, part, out[j + part], quotient, factor)
    return LANES.carried(builder, out, wraps=True)


def brought_below(builder, value):
    """As `lowered`, below r: 1.4 r is below two moduli, so one subtraction is enough."""
    return LANES.canonical(builder, lowered(builder, value))
