"""Points of the curve outside its subgroup."""

from __future__ import annotations

import random

from tests.naive import curve
from workers.kernels.field import MODULUS
from workers.snark.points import G1, points_decode


def root(value, group):
    """A square root in the field of the group, or None."""
    if group is G1:
        single = pow(value[0], (curve.P + 1) // 4, curve.P)
        return (single,) if single * single % curve.P == value[0] else None
    a1 = power(value, (curve.P - 3) // 4)
    alpha = curve.multiply(a1, curve.multiply(a1, value))
    found = curve.multiply(a1, value)
    if alpha == (curve.P - 1, 0):
        found = (-found[1] % curve.P, found[0])
    else:
        found = curve.multiply(power(curve.add((1, 0), alpha), (curve.P - 1) // 2), found)
    return found if curve.multiply(found, found) == value else None


def power(value, exponent):
    result: curve.Element = (1, 0)
    for bit in f"{exponent:b}":
        result = curve.multiply(result, result)
        if bit == "1":
            result = curve.multiply(result, value)
    return result


def outside_point(group, seed):
    """A point of the curve that its order does not make infinity."""
    rng = random.Random(seed)
    while True:
        x = tuple(rng.randrange(curve.P) for _ in range(1 if group is G1 else 2))
        constant = (4,) if group is G1 else (4, 4)
        y = root(curve.add(curve.multiply(curve.multiply(x, x), x), constant), group)
        if y is not None and curve.point_multiply((x, y), MODULUS) is not None:
            return x, y


def row_of(group, point):
    x, y = point
    parts = [*x[::-1], *y[::-1]]
    return points_decode(group, b"".join(part.to_bytes(48, "big") for part in parts))[0]
