"""The text of PTX for cards, carried out instruction by instruction."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.naive.field import EDGES, MODULUS
from tests.unit.workers.kernels.arrays import random_scalars
from tests.unit.workers.kernels.ptx import ptx_run
from workers.kernels.field_ptx import COORDINATES, SCALARS, CardField

LEFT, RIGHT, PLAIN, OUT = ([f"%{name}{i}" for i in range(SCALARS.words)] for name in ("x", "y", "a", "w"))
SUM_OF_PRODUCTS, ONE_PRODUCT = 12, 3
"""Bounds of the two reductions with something added."""


def words_of(names: list[str], value: int) -> dict[str, int]:
    return {name: value >> 32 * i & 0xFFFFFFFF for i, name in enumerate(names)}


def sum_reduced(pairs: list[tuple[int, int]], plain: int | None, *, bound: int) -> int:
    registers = dict.fromkeys(SCALARS.sum_names(), 0)
    for left, right in pairs:
        registers |= words_of(LEFT, left) | words_of(RIGHT, right)
        ptx_run(SCALARS.product_lines(LEFT, RIGHT), registers)
    registers |= words_of(PLAIN, plain or 0)
    ptx_run(SCALARS.reduction_lines(OUT, [] if plain is None else PLAIN, bound), registers)
    return sum(registers[name] << 32 * i for i, name in enumerate(OUT))


def expected(pairs: list[tuple[int, int]], plain: int | None) -> int:
    total = sum(left * right for left, right in pairs)
    return (total * pow(1 << 256, -1, MODULUS) + (plain or 0)) % MODULUS


@pytest.mark.parametrize("plain", [None, 0, 1, MODULUS - 1])
@pytest.mark.parametrize("left", EDGES)
def test_a_product_of_edges_equals_integers(left, plain):
    bound = ONE_PRODUCT - (plain is None)
    for right in EDGES:
        assert sum_reduced([(left, right)], plain, bound=bound) == expected([(left, right)], plain)


def test_random_products_equal_integers():
    values = random_scalars(300, seed=11)
    for left, right, plain in zip(values[::3], values[1::3], values[2::3], strict=True):
        assert sum_reduced([(left, right)], plain, bound=ONE_PRODUCT) == expected([(left, right)], plain)


@pytest.mark.parametrize("count", [2, 11, 22])
def test_a_sum_of_the_largest_products_is_reduced_once(count):
    pairs = [(MODULUS - 1, MODULUS - 1)] * count

    assert sum_reduced(pairs, MODULUS - 1, bound=SUM_OF_PRODUCTS) == expected(pairs, MODULUS - 1)


def test_sums_of_random_products_equal_integers():
    for seed in range(10):
        values = random_scalars(45, seed=seed)
        pairs = list(zip(values[:22], values[22:44], strict=True))
        assert sum_reduced(pairs, values[44], bound=SUM_OF_PRODUCTS) == expected(pairs, values[44])
        assert sum_reduced(pairs, None, bound=SUM_OF_PRODUCTS - 1) == expected(pairs, None)


FIELDS = pytest.mark.parametrize("field", [SCALARS, COORDINATES], ids=["scalars", "coordinates"])


def two_made(field: CardField, write: Any, left: int, right: int) -> int:
    names = [[f"%{name}{i}" for i in range(field.words)] for name in "wxy"]
    registers = words_of(names[1], left) | words_of(names[2], right)
    ptx_run(write(*names), registers)
    return sum(registers[name] << 32 * i for i, name in enumerate(names[0]))


@FIELDS
def test_products_sums_and_differences_equal_integers(field):
    p, rng = field.modulus, random.Random(7)
    values = [0, 1, 2, p - 1, p - 2, (1 << 32) - 1, p >> 1, p - (p >> 1), (1 << 32 * (field.words - 1)) - 1]
    pairs = [(one, two) for one in values for two in values]
    pairs += [(rng.randrange(p), rng.randrange(p)) for _ in range(30)]
    inverse = pow(1 << 32 * field.words, -1, p)
    for left, right in pairs:
        assert two_made(field, field.multiply_lines, left, right) == left * right * inverse % p
        assert two_made(field, field.add_lines, left, right) == (left + right) % p
        assert two_made(field, field.subtract_lines, left, right) == (left - right) % p
