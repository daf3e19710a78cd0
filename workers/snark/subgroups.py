"""Whether points lie in the subgroup of prime order, which being on the curve does not say.

The cofactors of both groups have factors as small as 3, so a sum of random multiples alone would miss a bad
point once in three times.  Each point is added, with a random sign, to one of many buckets drawn at random:
a bad point makes its bucket bad unless others cancel it, once in twice the number of buckets; a few rounds
leave 2^-64.
Source: Barreto et al. eprint 2015/247 (batch subgroup checks); r = x^4 - x^2 + 1 for the curve's x.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import numpy as np

from workers.kernels.points_words import NEGATE
from workers.snark.multiexp import bucket_sums

if TYPE_CHECKING:
    from workers.snark.arrays import Codes, Integers, Words
    from workers.snark.points import Group

CURVE_X = 0xD201_0000_0001_0000
"""Absolute value of the parameter of BLS12-381."""
MISS_BITS = 64
"""A file with bad points is taken for a good one with a chance of 2^-64."""
FEW_POINTS = 256
"""So many are each multiplied by the group's order."""
BUCKET_COST = 8
"""Bits: multiplying a bucket by the order costs about 2^8 additions."""


def first_outside_subgroup(group: Group, points: Words) -> int:
    """Return a row that is not in the subgroup, or -1.

    points: affine points of the curve; infinity is in the subgroup.
    """
    if len(points) <= FEW_POINTS:
        outside = np.nonzero(_is_outside(group, points))[0]
        return int(outside[0]) if len(outside) else -1
    bits = max(1, len(points).bit_length() - BUCKET_COST)
    for _ in range(-(-MISS_BITS // (bits + 1))):
        row = _round(group, points, bits)
        if row >= 0:
            return row
    return -1


def _round(group: Group, points: Words, bits: int) -> int:
    """Add all points up in 2^bits buckets; return a bad point of a bad bucket, or -1."""
    drawn = np.frombuffer(secrets.token_bytes(4 * len(points)), np.uint32)
    buckets = drawn & np.uint32((1 << bits) - 1)
    order = np.argsort(buckets, kind="stable").astype(np.uint32)
    lengths = np.bincount(buckets, minlength=1 << bits).astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    places, counts = starts.copy(), lengths.copy()
    sums = bucket_sums(group, points, starts, lengths, order | drawn[order] & NEGATE)
    used = np.nonzero(counts)[0]
    bad = used[_is_outside(group, sums[starts[used]])]
    return _culprit(group, points, order, places[bad], counts[bad])


def _culprit(group: Group, points: Words, order: Codes, starts: Integers, counts: Integers) -> int:
    """Return a bad point of one of the buckets; a sum that is outside has one."""
    for start, count in zip(starts, counts, strict=True):
        rows = order[start : start + count]
        outside = np.nonzero(_is_outside(group, points[rows]))[0]
        if len(outside):
            return int(rows[outside[0]])
    return -1


def _is_outside(group: Group, points: Words) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return for each point whether its multiple by the order, P + x²(x² P) - x² P, is not infinity."""
    once = _times_x(group, _times_x(group, points))
    twice = _times_x(group, _times_x(group, once))
    rows = np.concatenate([twice, points])
    own = np.arange(len(points), dtype=np.uint32)
    total = np.zeros_like(points)
    group.add_pairs(rows, own, own + np.uint32(len(points)), total, own)
    return np.asarray((total != once).any(axis=1))


def _times_x(group: Group, points: Words) -> Words:
    rows = np.concatenate([points, points])
    own = np.arange(len(points), dtype=np.uint32)
    base = own + np.uint32(len(points))
    for bit in f"{CURVE_X:b}"[1:]:
        group.add_pairs(rows, own, own, rows, own)
        if bit == "1":
            group.add_pairs(rows, own, base, rows, own)
    result: Words = rows[: len(points)]
    return result
