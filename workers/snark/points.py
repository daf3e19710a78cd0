"""Points of G1 and G2 as arrays: to and from their bytes, and sums of many multiples of them.

A point is a row of words in Montgomery form; the point at infinity is all zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.groth16.curve import (
    COMPRESSED_FLAG,
    COORDINATE_BYTES,
    CURVE_CONSTANT,
    FIELD_MODULUS,
    LARGER_Y_FLAG,
)
from workers.kernels import points_projective
from workers.kernels.cpu import has_lanes
from workers.kernels.curve_fields import G1_WORDS, G2_WORDS
from workers.snark.arithmetic import LANES_1, LANES_2, PORTABLE_1, PORTABLE_2

if TYPE_CHECKING:
    from workers.snark.arithmetic import Lanes, Path, Portable
    from workers.snark.arrays import Flags, Words

TO_MONTGOMERY, FROM_MONTGOMERY = (1 << 768) % FIELD_MODULUS, 1
"""Factors of a path's `scale`."""


class BadPoints(ValueError):
    """Bytes that are no points of the group."""


@dataclass(frozen=True, slots=True)
class Group:
    """G1 or G2: how its points lie in arrays, and what adds them."""

    name: str
    """For sentences."""
    words: int
    """Words of a point."""
    point_bytes: int
    """Bytes of an uncompressed point."""
    portable: Portable
    """Sums in words."""
    lanes: Lanes
    """Sums in lanes."""
    join_windows: Callable[..., None]
    """See `points_projective.join_windows_g1`."""

    @property
    def path(self) -> Path:
        """Return what adds points on this machine."""
        return self.lanes if has_lanes() else self.portable


G1 = Group("G1", 2 * G1_WORDS, 2 * COORDINATE_BYTES, PORTABLE_1, LANES_1, points_projective.join_windows_g1)
G2 = Group("G2", 2 * G2_WORDS, 4 * COORDINATE_BYTES, PORTABLE_2, LANES_2, points_projective.join_windows_g2)

FLAGS = 0xE0
"""Flags in the first byte of a compressed point."""

_MODULUS_WORDS = [FIELD_MODULUS >> 64 * place & 0xFFFF_FFFF_FFFF_FFFF for place in range(G1_WORDS)]


def points_decode(group: Group, data: bytes | memoryview, *, first: int = 0) -> Words:
    """Return uncompressed points as rows.

    Raises BadPoints with the number of the first that is not on the curve, or the point at infinity, which no
    parameters hold; numbers count from `first`.  `subgroups` says whether points are in the subgroup.
    """
    count = len(data) // group.point_bytes
    if count * group.point_bytes != len(data):
        raise BadPoints(f"{len(data)} bytes are not whole points of {group.name}")
    coordinates = np.frombuffer(data, np.uint8).reshape(count, -1, COORDINATE_BYTES)
    if group is G2:  # the coefficient of u comes first
        coordinates = coordinates[:, [1, 0, 3, 2]]
    little = np.ascontiguousarray(coordinates[:, :, ::-1])
    rows: Words = little.view("<u8").reshape(-1, G1_WORDS).astype(np.uint64)
    large = np.nonzero(~_below_modulus(rows))[0]
    if len(large):
        number = first + int(large[0]) * COORDINATE_BYTES // group.point_bytes
        raise BadPoints(f"point {number} of {group.name}: a coordinate is not below the modulus")
    group.path.scale(rows, TO_MONTGOMERY)
    points = rows.reshape(count, group.words)
    off = group.path.first_off_curve(points)
    if off >= 0:
        raise BadPoints(f"point {first + off} of {group.name} is not on the curve")
    return points


def points_encode(group: Group, points: Words) -> bytes:
    """Return rows as uncompressed points."""
    rows = points.reshape(-1, G1_WORDS).copy()
    group.path.scale(rows, FROM_MONTGOMERY)
    big = rows.astype("<u8").view(np.uint8).reshape(len(points), -1, COORDINATE_BYTES)[:, :, ::-1]
    if group is G2:
        big = big[:, [1, 0, 3, 2]]
    return np.ascontiguousarray(big).tobytes()


def point_compress(group: Group, point: Words) -> bytes:
    """Return a point's compressed bytes: x, with a flag if y is the larger of y and -y.  Raises BadPoints."""
    data = points_encode(group, point.reshape(1, -1))
    x, y = data[: len(data) // 2], data[len(data) // 2 :]
    parts = [
        int.from_bytes(y[at : at + COORDINATE_BYTES], "big") for at in range(0, len(y), COORDINATE_BYTES)
    ]
    if not any(x) and not any(y):
        raise BadPoints("the point at infinity is in no proof")
    deciding = parts[0] or parts[-1]
    flags = COMPRESSED_FLAG | (LARGER_Y_FLAG if deciding > (FIELD_MODULUS - 1) // 2 else 0)
    return bytes((x[0] | flags,)) + x[1:]


def points_decompress(group: Group, data: bytes) -> Words:
    """Return compressed points as rows, none of them the point at infinity.

    Raises BadPoints with the number of the first that is on no curve; subgroups are not looked at.
    """
    width = group.point_bytes // 2
    parts: list[bytes] = []
    for number, at in enumerate(range(0, len(data), width)):
        x, y = data[at : at + width], None
        if len(x) == width and x[0] & FLAGS in (COMPRESSED_FLAG, COMPRESSED_FLAG | LARGER_Y_FLAG):
            is_larger, x = bool(x[0] & LARGER_Y_FLAG), bytes((x[0] & ~FLAGS,)) + x[1:]
            y = _y_of(group, x, is_larger=is_larger)
        if y is None:
            raise BadPoints(f"point {number} of {group.name} is not on the curve")
        parts += [x, y]
    return points_decode(group, b"".join(parts))


def _y_of(group: Group, x: bytes, *, is_larger: bool) -> bytes | None:
    """Return y of a point, None where its square is none."""
    low = int.from_bytes(x[-COORDINATE_BYTES:], "big")
    roots: tuple[tuple[int, ...], tuple[int, ...]] | None
    if group is G1:
        y = _root((low**3 + CURVE_CONSTANT) % FIELD_MODULUS)
        roots = None if y is None else ((y,), (-y % FIELD_MODULUS,))
    else:
        high = int.from_bytes(x[:COORDINATE_BYTES], "big")
        roots = _roots_2(
            (low**3 - 3 * low * high * high + CURVE_CONSTANT) % FIELD_MODULUS,
            (3 * low * low * high - high**3 + CURVE_CONSTANT) % FIELD_MODULUS,
        )
    if roots is None:
        return None
    one, other = sorted(roots, key=lambda root: next((part for part in root if part), 0))
    chosen = other if is_larger else one
    return b"".join(part.to_bytes(COORDINATE_BYTES, "big") for part in chosen)


def _root(square: int) -> int | None:
    """Return a square root; the modulus is 3 modulo 4."""
    root = pow(square, (FIELD_MODULUS + 1) // 4, FIELD_MODULUS)
    return root if root * root % FIELD_MODULUS == square else None


def _roots_2(low: int, high: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return both roots of low + high · u, each the coefficient of u first."""
    length = _root((low * low + high * high) % FIELD_MODULUS)
    if length is None:
        return None
    half = pow(2, -1, FIELD_MODULUS)
    first = _root((low + length) * half % FIELD_MODULUS)
    if first is None:
        first = _root((low - length) * half % FIELD_MODULUS)
    if first is None:
        return None
    if first == 0:  # a multiple of u alone
        second = _root(-low % FIELD_MODULUS)
        return None if second is None else ((second, 0), (-second % FIELD_MODULUS, 0))
    second = high * half * pow(first, -1, FIELD_MODULUS) % FIELD_MODULUS
    return (second, first), (-second % FIELD_MODULUS, -first % FIELD_MODULUS)


def _below_modulus(rows: Words) -> Flags:
    below = np.zeros(len(rows), np.bool_)
    undecided = np.ones(len(rows), np.bool_)
    for place in range(G1_WORDS - 1, -1, -1):
        limit = np.uint64(_MODULUS_WORDS[place])
        below |= undecided & (rows[:, place] < limit)
        undecided &= rows[:, place] == limit
    return below
