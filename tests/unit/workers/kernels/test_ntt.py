from __future__ import annotations

import ctypes
import hashlib
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.naive import ntt as naive
from tests.naive.field import EDGES, MODULUS
from tests.unit.workers.snark.golden_circuits import golden_circuit, golden_witness
from workers.kernels.cpu import FORCE_VARIABLE
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.r1cs import scale_rows
from workers.snark.domain import Domain
from workers.snark.prover import quotient_scalars
from workers.snark.witness import FROM_MONTGOMERY

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels


def rows_of(values):
    return limbs(list(values), bits=WORD_BITS)


def integers(rows):
    canonical = np.empty_like(rows)
    scale_rows(rows, FROM_MONTGOMERY, canonical)
    return plain(canonical)


def plain(rows):
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def some_values(count, seed):
    rng = random.Random(seed)
    return [*EDGES, *(rng.randrange(MODULUS) for _ in range(count))][:count]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("bits", [1, 3, 6, 7, 8])
def test_coefficients_equal_the_inverse_of_the_definition(bits):
    domain, values = Domain(bits), some_values(1 << bits, bits)
    coefficients = integers(domain.coefficients(rows_of(values)))
    assert naive.transform(coefficients, domain.root) == values


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("edge", EDGES)
def test_equal_values_are_a_polynomial_of_degree_zero(edge):
    coefficients = integers(Domain(9).coefficients(rows_of([edge] * 512)))
    assert coefficients == [edge, *[0] * 511]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("bits", [4, 7])
def test_the_quotient_divides_the_product_less_the_result(bits):
    domain, rng, size = Domain(bits), random.Random(1), 1 << bits
    a, b = some_values(size, 1), some_values(size, 2)
    c = [x * y % MODULUS for x, y in zip(a, b, strict=True)]
    sides = [rows_of(values) for values in (a, b, c)]
    polynomials = [integers(domain.coefficients(rows.copy())) for rows in sides]
    h = plain(domain.quotient(sides))
    assert h[-1] == 0
    x = rng.randrange(MODULUS)
    at = [naive.evaluate(polynomial, x) for polynomial in polynomials]
    left = (at[0] * at[1] - at[2]) % MODULUS
    assert left == naive.evaluate(h, x) * (pow(x, size, MODULUS) - 1) % MODULUS


@pytest.mark.parametrize("bits", [12, 13])
@pytest.mark.parametrize("fill", ["random", "largest", "alternating"])
def test_both_paths_agree_on_columns_of_several_tasks(bits, fill, monkeypatch):
    """Rows that hold no circuit, too: what is left of a · b - c is divided like the rest."""
    largest, size = MODULUS - 1, 1 << bits
    values = {
        "random": [some_values(size, seed) for seed in range(3)],
        "largest": [[largest] * size] * 3,
        "alternating": [[0, largest] * (size // 2), [largest, 1] * (size // 2), [largest, 0] * (size // 2)],
    }[fill]
    domain = Domain(bits)

    def both():
        made = domain.quotient([rows_of(side) for side in values], threads=2)
        return made, domain.coefficients(rows_of(values[0]))

    fast = both()
    monkeypatch.setenv(FORCE_VARIABLE, "portable")
    for one, other in zip(fast, both(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("rounding", [0, 0x400, 0x800, 0xC00], ids=["nearest", "down", "up", "zero"])
def test_a_thread_s_rounding_changes_no_coefficient_and_stays(rounding):
    libm, values = ctypes.CDLL("libm.so.6"), some_values(64, 3)
    domain = Domain(6)
    expected = domain.coefficients(rows_of(values))

    def work():
        libm.fesetround(rounding)
        before = libm.fegetround()
        made = domain.coefficients(rows_of(values))
        return made, libm.fegetround() - before

    with ThreadPoolExecutor(1) as thread:
        made, changed = thread.submit(work).result()
    assert np.array_equal(made, expected)
    assert changed == 0


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("name", ["window", "winning"])
def test_h_of_the_golden_circuits_is_the_golden_one(name):
    h = quotient_scalars(golden_witness(name))
    assert not h[-1].any()
    assert hashlib.sha256(h[:-1].tobytes()).hexdigest() == golden_circuit(name).golden["h_coeffs_sha256"]


@pytest.mark.usefixtures("path")
def test_progress_of_a_quotient_ends_with_all_of_its_steps():
    told = []
    sides = [rows_of(some_values(1 << 9, seed)) for seed in range(3)]
    Domain(9).quotient(sides, threads=2, progress=lambda *steps: told.append(steps))
    assert told == [(done, len(told)) for done in range(1, len(told) + 1)]
    assert len(told) >= 4
