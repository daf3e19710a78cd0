"""Products by known factors hold their bounds for the largest values, which a transform seldom reaches."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from tests.naive.field import EDGES, MODULUS
from workers.kernels import llvm
from workers.kernels.cpu import has_lanes
from workers.kernels.ifma import BEGIN, END, LIMB_BITS
from workers.kernels.ifma import LANES as EIGHT
from workers.kernels.scalar_lanes import (
    LANES,
    LARGEST,
    brought_below,
    factor_ready,
    known_factors,
    multiply,
    multiply_known,
    rows_load,
    rows_store,
)

pytestmark = [
    pytest.mark.xdist_group("snark"),
    # The instructions themselves are tested: elsewhere the words of `test_ntt.py` do the work.
    pytest.mark.skipif(not has_lanes(), reason="this CPU has neither AVX-512 IFMA nor AVX2 with FMA"),
]
VALUES = (*EDGES[:6], MODULUS, 2 * MODULUS - 1, 17 * MODULUS + 5, LARGEST * MODULUS - 1, LARGEST * MODULUS)


def _emit_known(builder, target, value, factor):
    made = multiply_known(builder, factor_ready(builder, LANES.load(builder, value)), factor)
    LANES.store(builder, target, LANES.carried(builder, made, wraps=True))


def _emit_multiply(builder, target, value, factor):
    left = factor_ready(builder, LANES.load(builder, value))
    right = factor_ready(builder, LANES.load(builder, factor))
    LANES.store(builder, target, LANES.carried(builder, multiply(builder, left, right)))


def _emit_below(builder, target, value, _factor):
    LANES.store(builder, target, brought_below(builder, LANES.load(builder, value)))


def _emit_rows(builder, target, source, stride):
    rows_store(builder, rows_load(builder, source, stride), target, llvm.splat(llvm.I64, 32))


def compiled(emit):
    step = llvm.step(llvm.called(emit.__name__, emit))

    @njit
    def run(target, value, factor):
        control = np.empty(1, np.uint64)
        BEGIN(control.ctypes.data)
        step(target, value, factor)
        END(control.ctypes.data)
        control[0] = 0

    return run


def slot(values, *, spread=0):
    """Values of the lanes; `spread` is carried down from each limb, so that limbs are not what they were."""
    out = np.zeros((5, EIGHT), np.int64)
    for lane, value in enumerate(values):
        limbs = LANES.limbs_of(value)
        for k in range(1, 5):
            limbs[k] -= spread
            limbs[k - 1] += spread << LIMB_BITS
        out[:, lane] = limbs
    return out


def integers(made):
    return [sum(int(made[k, lane]) << LIMB_BITS * k for k in range(5)) for lane in range(EIGHT)]


def eights(values):
    return [[values[(at + lane) % len(values)] for lane in range(EIGHT)] for at in range(len(values))]


@pytest.mark.parametrize("spread", [0, 1, -1, 500])
@pytest.mark.parametrize("factor", [0, 1, 2, MODULUS - 1, MODULUS // 3])
def test_products_by_known_factors_leave_less_than_two_moduli(factor, spread):
    run, known, out = compiled(_emit_known), known_factors([factor]), slot([0] * EIGHT)
    for values in eights(VALUES):
        given = slot(values, spread=spread)
        run(out.ctypes.data, given.ctypes.data, known.ctypes.data)
        made = integers(out)
        assert [value % MODULUS for value in made] == [value * factor % MODULUS for value in values]
        assert max(made) < 2 * MODULUS


@pytest.mark.parametrize("spread", [0, -1, 500])
def test_products_of_two_values_stay_below_their_bound(spread):
    run, out = compiled(_emit_multiply), slot([0] * EIGHT)
    inverse = pow(LANES.radix, -1, MODULUS)
    for values in eights(VALUES):
        for factors in eights(VALUES):
            left, right = slot(values, spread=spread), slot(factors)
            run(out.ctypes.data, left.ctypes.data, right.ctypes.data)
            made = integers(out)
            pairs = list(zip(values, factors, strict=True))
            assert [value % MODULUS for value in made] == [a * b * inverse % MODULUS for a, b in pairs]
            bounds = [a * b // LANES.radix + MODULUS + (MODULUS >> 50) for a, b in pairs]
            assert all(value <= bound for value, bound in zip(made, bounds, strict=True))


@pytest.mark.parametrize("spread", [0, 1, 500])
def test_values_are_brought_below_the_modulus(spread):
    run, out = compiled(_emit_below), slot([0] * EIGHT)
    for values in eights(VALUES):
        given = slot(values, spread=spread)
        run(out.ctypes.data, given.ctypes.data, 0)
        assert integers(out) == [value % MODULUS for value in values]


@pytest.mark.parametrize("apart", [1, 3])
def test_rows_go_to_lanes_and_back(apart):
    run = compiled(_emit_rows)
    rows = np.random.default_rng(4).integers(0, 1 << 63, (8 * apart, 4), np.uint64)
    rows[0] = np.uint64((1 << 64) - 1)
    out = np.zeros((EIGHT, 4), np.uint64)
    run(out.ctypes.data, rows.ctypes.data, 32 * apart)
    assert np.array_equal(out, rows[::apart])
