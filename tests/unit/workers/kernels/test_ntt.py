from __future__ import annotations

import random

import numpy as np
import pytest

from tests.naive import ntt as naive
from tests.naive.field import EDGES, MODULUS
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.r1cs import scale_rows
from workers.snark.domain import Domain
from workers.snark.witness import FROM_MONTGOMERY

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels


def rows_of(values):
    return limbs(list(values), bits=WORD_BITS)


def integers(rows):
    plain = np.empty_like(rows)
    scale_rows(rows, FROM_MONTGOMERY, plain)
    return [int.from_bytes(row.tobytes(), "little") for row in plain]


def some_values(count, seed):
    rng = random.Random(seed)
    return [*EDGES, *(rng.randrange(MODULUS) for _ in range(count))][:count]


@pytest.mark.parametrize("bits", [1, 3, 6])
def test_coefficients_equal_the_inverse_of_the_definition(bits):
    domain, values = Domain(bits), some_values(1 << bits, bits)
    coefficients = integers(domain.coefficients(rows_of(values)))
    assert naive.transform(coefficients, domain.root) == values


def test_the_quotient_divides_the_product_less_the_result():
    domain, rng = Domain(4), random.Random(1)
    a, b = some_values(16, 1), some_values(16, 2)
    c = [x * y % MODULUS for x, y in zip(a, b, strict=True)]
    sides = [rows_of(values) for values in (a, b, c)]
    polynomials = [integers(domain.coefficients(rows.copy())) for rows in sides]
    h = integers(domain.quotient(sides))
    assert h[-1] == 0
    x = rng.randrange(MODULUS)
    at = [naive.evaluate(polynomial, x) for polynomial in polynomials]
    assert (at[0] * at[1] - at[2]) % MODULUS == naive.evaluate(h, x) * (pow(x, 16, MODULUS) - 1) % MODULUS
