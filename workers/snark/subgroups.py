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

from workers.kernels.buckets import sort_at_random
from workers.kernels.points_words import NEGATE
from workers.snark.multiexp import Room, bucket_sums

if TYPE_CHECKING:
    from workers.snark.arithmetic import Path
    from workers.snark.arrays import Codes, Integers, Words
    from workers.snark.points import Group

CURVE_X = 0xD201_0000_0001_0000
"""Absolute value of the parameter of BLS12-381."""
MISS_BITS = 64
"""A file with bad points is taken for a good one with a chance of 2^-64."""
FEW_POINTS = 256
"""So many are each multiplied by the group's order."""
BUCKET_COST = 400
"""Additions that multiplying a bucket by the order costs: 252 doublings, half as long again, and 20."""


def first_outside_subgroup(group: Group, points: Words) -> int:
    """Return a row that is not in the subgroup, or -1.

    points: affine points of the curve; infinity is in the subgroup.
    """
    if len(points) <= FEW_POINTS:
        outside = np.nonzero(_is_outside(group.path, _rows_of(group.path, points)))[0]
        return int(outside[0]) if len(outside) else -1
    rows = _rows_of(group.path, points)
    bits = min(range(1, 31), key=lambda width: _rounds(width) * (len(points) + (BUCKET_COST << width)))
    for _ in range(_rounds(bits)):
        row = _round(group.path, rows, len(points), bits)
        if row >= 0:
            return row
    return -1


def _rounds(bits: int) -> int:
    """Return how many rounds with 2^bits buckets leave 2^-64."""
    return -(-MISS_BITS // (bits + 1))


def _rows_of(path: Path, points: Words) -> Words:
    return path.rows_of(points, np.arange(len(points), dtype=np.uint32))[0]


def _round(path: Path, rows: Words, count: int, bits: int) -> int:
    """Add all points up in 2^bits buckets; return a bad point of a bad bucket, or -1."""
    drawn = np.frombuffer(secrets.token_bytes(4 * count), np.uint32)
    starts, lengths = np.zeros(1 << bits, np.int64), np.zeros(1 << bits, np.int64)
    order = np.empty(count, np.uint32)
    sort_at_random(drawn, bits, starts, lengths, order)
    places, counts = starts.copy(), lengths.copy()
    sums = bucket_sums(Room(path), rows, starts, lengths, order)
    used = np.nonzero(counts)[0]
    bad = used[_is_outside(path, sums[starts[used]])]
    return _point_outside(path, rows, order & ~NEGATE, places[bad], counts[bad])


def _point_outside(path: Path, rows: Words, order: Codes, starts: Integers, counts: Integers) -> int:
    """Return a bad point of one of the buckets; a sum that is outside has one."""
    for start, count in zip(starts, counts, strict=True):
        own = order[start : start + count]
        outside = np.nonzero(_is_outside(path, rows[own]))[0]
        if len(outside):
            return int(own[outside[0]])
    return -1


def _is_outside(path: Path, rows: Words) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return for each row whether its multiple by the order, P + x²(x² P) - x² P, is not infinity."""
    once = _times_x(path, _times_x(path, rows))
    twice = _times_x(path, _times_x(path, once))
    both = np.concatenate([twice, rows])
    own = np.arange(len(rows), dtype=np.uint32)
    total = path.rows_empty(len(rows))
    path.add_pairs(both, own, own + np.uint32(len(rows)), total, own)
    return np.asarray((path.points_of(total) != path.points_of(once)).any(axis=1))


def _times_x(path: Path, points: Words) -> Words:
    rows = np.concatenate([points, points])
    own = np.arange(len(points), dtype=np.uint32)
    base = own + np.uint32(len(points))
    for bit in f"{CURVE_X:b}"[1:]:
        path.add_pairs(rows, own, own, rows, own)
        if bit == "1":
            path.add_pairs(rows, own, base, rows, own)
    result: Words = rows[: len(points)]
    return result
