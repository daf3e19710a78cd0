"""How points of a group are added: in lanes where the machine has them, else in 64-bit words.

Points rest in words on every machine: u64[n, words], Montgomery form of 2^384, below the modulus, all zeros
for infinity.  Sums are made of rows in a path's own form: `rows_of` makes them of points, `points_of` makes
points of them; in the portable path they are the same.  A row in lanes takes a third more memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.kernels import (
    point_copies_lanes,
    points_lanes,
    points_projective,
    points_words,
    rows_lanes,
    sums_lanes,
)
from workers.kernels.curve_lanes import FIELD
from workers.kernels.ifma import LANES
from workers.snark.threads import each_of

if TYPE_CHECKING:
    from workers.snark.arrays import Codes, Integers, Words

_ALIGNMENT = 64
"""Bytes: rows in lanes begin where cache lines do."""


@dataclass(frozen=True, slots=True)
class Portable:
    """Sums in 64-bit words."""

    words: int
    """Words of a point."""
    add_pairs: Callable[..., None]
    """See `points_words.add_pairs_g1`."""
    copy_points: Callable[..., None]
    """See `points_words.copy_points_g1`."""
    first_off_curve: Callable[..., int]
    """See `points_words.first_off_curve_g1`."""
    _sum_buckets: Callable[..., None]
    """See `points_projective.sum_buckets_g1`."""

    def rows_empty(self, count: int) -> Words:
        """Return rows with anything in them."""
        return np.empty((count, self.words), np.uint64)

    def rows_of(self, points: Words, chosen: Codes, *, threads: int = 1) -> tuple[Words, Codes]:  # noqa: ARG002
        """Return rows, and where in them the chosen points are."""
        return points, chosen

    def points_of(self, rows: Words) -> Words:
        """Return rows as points."""
        return rows

    def sum_buckets(self, rows: Words, starts: Integers, lengths: Integers, total: Words) -> None:
        """Write Σ (k + 1) · bucket k as X, Y, Z; a bucket's sum is the row where it starts."""
        self._sum_buckets(rows, np.where(lengths > 0, starts, -1), total)

    def scale(self, coordinates: Words, factor: int) -> None:
        """Multiply parts of coordinates, as they are, by factor / 2^384 in place."""
        words = [factor >> 64 * place & 0xFFFF_FFFF_FFFF_FFFF for place in range(coordinates.shape[1])]
        points_words.scale_coordinates(coordinates, np.array(words, np.uint64))


@dataclass(frozen=True, slots=True)
class Lanes:
    """Sums of 8 pairs at once."""

    words: int
    """Words of a point at rest."""
    row_words: int
    """Words of a row."""
    add_pairs: Callable[..., None]
    """See `points_lanes.add_pairs_lanes_g1`."""
    copy_points: Callable[..., None]
    """See `point_copies_lanes.copy_points_lanes_g1`."""
    first_off_curve: Callable[..., int]
    """See `rows_lanes.first_off_curve_lanes_g1`."""
    _pack: Callable[..., None]
    """See `rows_lanes.pack_lanes_g1`."""
    _unpack: Callable[..., None]
    """See `rows_lanes.unpack_lanes_g1`."""
    _sum_buckets: Callable[..., None]
    """See `sums_lanes.sum_buckets_lanes_g1`."""
    _join_eighths: Callable[..., None]
    """See `points_projective.join_eighths_g1`."""

    def rows_empty(self, count: int) -> Words:
        """Return rows with anything in them."""
        memory = np.empty(count * self.row_words + _ALIGNMENT // 8, np.uint64)
        first = -memory.ctypes.data % _ALIGNMENT // 8
        return memory[first : first + count * self.row_words].reshape(count, self.row_words)

    def rows_of(self, points: Words, chosen: Codes, *, threads: int = 1) -> tuple[Words, Codes]:
        """Return rows, and where in them the chosen points are."""
        rows = self.rows_empty(_full_groups(len(chosen)))
        part = max(LANES, _full_groups(-(-len(chosen) // threads)))

        def pack(first: int) -> None:
            self._pack(points, chosen[first : first + part], rows[first : first + part])

        for _ in each_of(pack, range(0, len(chosen), part), threads=threads):
            pass
        return rows[: len(chosen)], np.arange(len(chosen), dtype=np.uint32)

    def points_of(self, rows: Words) -> Words:
        """Return rows as points."""
        count, full = len(rows), _full_groups(len(rows))
        if count < full:
            padded = self.rows_empty(full)
            padded[:count] = rows
            rows = padded
        points = np.empty((full, self.words), np.uint64)
        self._unpack(rows, points)
        return points[:count]

    def sum_buckets(self, rows: Words, starts: Integers, lengths: Integers, total: Words) -> None:
        """Write Σ (k + 1) · bucket k as X, Y, Z; a bucket's sum is the row where it starts."""
        buckets = np.where(lengths > 0, starts.astype(np.uint32), sums_lanes.EMPTY)
        sums = np.empty((2, 3, LANES, total.shape[1]), np.uint64)
        self._sum_buckets(rows, buckets, sums)
        self._join_eighths(sums, (len(buckets) // LANES).bit_length() - 1, total)

    def scale(self, coordinates: Words, factor: int) -> None:
        """Multiply parts of coordinates, as they are, by factor / 2^384 in place."""
        shifted = (factor << 52 * FIELD.limbs - 384) % FIELD.modulus
        limbs = np.repeat(np.array(FIELD.limbs_of(shifted), np.uint64), LANES).reshape(-1, LANES)
        full = len(coordinates) // LANES * LANES
        rows_lanes.scale_coordinates_lanes(coordinates[:full], limbs)
        if full < len(coordinates):
            rest = np.zeros((LANES, coordinates.shape[1]), np.uint64)
            rest[: len(coordinates) - full] = coordinates[full:]
            rows_lanes.scale_coordinates_lanes(rest, limbs)
            coordinates[full:] = rest[: len(coordinates) - full]


Path = Portable | Lanes


def _full_groups(count: int) -> int:
    return -(-count // LANES) * LANES


PORTABLE_1 = Portable(
    12,
    points_words.add_pairs_g1,
    points_words.copy_points_g1,
    points_words.first_off_curve_g1,
    points_projective.sum_buckets_g1,
)
PORTABLE_2 = Portable(
    24,
    points_words.add_pairs_g2,
    points_words.copy_points_g2,
    points_words.first_off_curve_g2,
    points_projective.sum_buckets_g2,
)
LANES_1 = Lanes(
    12,
    16,
    points_lanes.add_pairs_lanes_g1,
    point_copies_lanes.copy_points_lanes_g1,
    rows_lanes.first_off_curve_lanes_g1,
    rows_lanes.pack_lanes_g1,
    rows_lanes.unpack_lanes_g1,
    sums_lanes.sum_buckets_lanes_g1,
    points_projective.join_eighths_g1,
)
LANES_2 = Lanes(
    24,
    32,
    points_lanes.add_pairs_lanes_g2,
    point_copies_lanes.copy_points_lanes_g2,
    rows_lanes.first_off_curve_lanes_g2,
    rows_lanes.pack_lanes_g2,
    rows_lanes.unpack_lanes_g2,
    sums_lanes.sum_buckets_lanes_g2,
    points_projective.join_eighths_g2,
)
