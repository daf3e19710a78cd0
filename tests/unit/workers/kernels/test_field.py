from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from tests.naive import field as naive
from tests.unit.workers.kernels.arrays import integers, nodes, random_scalars
from workers.kernels import field

VALUES = random_scalars(40, seed=7)
PAIRS = list(itertools.product(VALUES, VALUES))


def test_sums_equal_the_twin():
    left, right = nodes([a for a, _ in PAIRS]), nodes([b for _, b in PAIRS])
    out = np.empty_like(left)

    field.add_rows(left, right, out)

    assert integers(out) == [naive.add(a, b) for a, b in PAIRS]


def test_differences_equal_the_twin():
    left, right = nodes([a for a, _ in PAIRS]), nodes([b for _, b in PAIRS])
    out = np.empty_like(left)

    field.subtract_rows(left, right, out)

    assert integers(out) == [naive.subtract(a, b) for a, b in PAIRS]


def test_a_difference_may_be_written_over_its_minuend():
    sums, right = nodes([a for a, _ in PAIRS]), nodes([b for _, b in PAIRS])
    field.add_rows(sums, right, sums)

    field.subtract_rows(sums, right, sums)

    assert integers(sums) == [a for a, _ in PAIRS]


def test_254_bit_values_above_the_modulus_are_reduced():
    largest = (1 << 255) - 1
    left = nodes([largest, largest])
    out = np.empty_like(left)

    field.add_rows(left, left, out)

    assert integers(out) == [2 * largest % naive.MODULUS] * 2


NOT_CANONICAL = (naive.MODULUS, naive.MODULUS + 1, naive.MODULUS + (1 << 64), 1 << 255, (1 << 256) - 1)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 60])
def test_values_from_the_modulus_on_are_counted_as_by_the_twin(count):
    dice = random.Random(count)
    values = [dice.choice((*NOT_CANONICAL, *VALUES, dice.randrange(1 << 256))) for _ in range(count)]

    assert field.count_not_canonical(nodes(values)) == naive.count_not_canonical(values)


@pytest.mark.parametrize(
    ("value", "count"), [(0, 0), (1, 0), (naive.MODULUS - 1, 0), *((value, 1) for value in NOT_CANONICAL)]
)
def test_a_single_value_is_counted_if_it_is_not_below_the_modulus(value, count):
    assert field.count_not_canonical(nodes([value])) == naive.count_not_canonical([value]) == count
