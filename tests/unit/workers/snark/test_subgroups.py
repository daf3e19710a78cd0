"""Points that are on the curve and in no group of prime order are found among many good ones."""

from __future__ import annotations

import numpy as np
import pytest

from tests.naive import curve
from tests.unit.workers.snark.golden_circuits import golden_secrets
from tests.unit.workers.snark.subgroups import outside_point, row_of
from workers.kernels.field import MODULUS, WORD_BITS, limbs
from workers.snark.multiples import multiples
from workers.snark.points import G1, G2
from workers.snark.subgroups import FEW_POINTS, first_outside_subgroup

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

G1_COFACTOR = 0x396C8C005555E1568C00AAAB0000AAAB
COFACTOR_PRIME = 3
"""The smallest prime in it."""


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
