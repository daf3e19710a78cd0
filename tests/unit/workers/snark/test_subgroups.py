"""Points that are on the curve and in no group of prime order are found among many good ones."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.naive import curve
from tests.unit.workers.snark.golden_circuits import golden_secrets
from workers.kernels.field import MODULUS, WORD_BITS, limbs
from workers.snark.multiexp import multiples
from workers.snark.points import G1, G2, points_decode
from workers.snark.subgroups import FEW_POINTS, first_outside_subgroup

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

G1_COFACTOR = 0x396C8C005555E1568C00AAAB0000AAAB
COFACTOR_PRIME = 3
"""The smallest prime in it."""


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


@pytest.fixture(params=[G1, G2], ids=lambda group: group.name)
def group(request, path):
    return request.param


@pytest.fixture
def good(group):
    """More points than are checked one by one, a few of them infinity."""
    secrets = golden_secrets("window")
    scalars = limbs(list(range(1, FEW_POINTS + 200)), bits=WORD_BITS, montgomery=False)
    points = multiples(group, secrets.g1 if group is G1 else secrets.g2, scalars)
    points[7] = 0
    return points


@pytest.mark.parametrize("count", [0, 1, 9, FEW_POINTS, FEW_POINTS + 199])
def test_points_of_the_subgroup_are_found_good(group, good, count):
    assert first_outside_subgroup(group, good[:count]) == -1


@pytest.mark.parametrize("count", [9, FEW_POINTS + 199])
def test_a_single_point_outside_the_subgroup_is_named(group, good, count):
    good[5] = row_of(group, outside_point(group, 1))
    assert first_outside_subgroup(group, good[:count]) == 5


@pytest.mark.usefixtures("path")
def test_points_of_small_order_that_cancel_are_found():
    """Two opposite points of order 3: a sum of all points with equal factors would be a good one."""
    small, seed = None, 2
    while small is None:
        factor = MODULUS * G1_COFACTOR // COFACTOR_PRIME
        small, seed = curve.point_multiply(outside_point(G1, seed), factor), seed + 1
    assert curve.point_multiply(small, COFACTOR_PRIME) is None
    points = multiples(
        G1,
        golden_secrets("window").g1,
        limbs(list(range(1, FEW_POINTS + 200)), bits=WORD_BITS, montgomery=False),
    )
    points[40] = row_of(G1, small)
    points[300] = row_of(G1, curve.point_negative(small))
    assert first_outside_subgroup(G1, np.ascontiguousarray(points)) in (40, 300)
