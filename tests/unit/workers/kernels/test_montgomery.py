"""Products of words, by each way that this CPU has: any words times an element."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from workers.kernels import llvm, montgomery
from workers.kernels.cpu import WORDS_BY_ADX
from workers.kernels.montgomery import COORDINATES, SCALARS

pytestmark = pytest.mark.xdist_group("snark")
WAYS = {"portable": False} | ({"adx": True} if WORDS_BY_ADX else {})


def rows_of(values, words):
    return np.array([[value >> 64 * k & (1 << 64) - 1 for k in range(words)] for value in values], np.uint64)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("field", [SCALARS, COORDINATES], ids=["scalars", "coordinates"])
def test_products_of_words_equal_those_of_integers(field, way, monkeypatch):
    monkeypatch.setattr(montgomery, "WORDS_BY_ADX", WAYS[way])

    def emit(builder, target, left, right):
        field.store(builder, target, field.multiply_at(builder, left, right))

    def emit_add(builder, target, left, right):
        words = [field.load(builder, address) for address in (left, right)]
        field.store(builder, target, field.multiply(builder, *words, words[1]))

    step, step_add = llvm.step(emit), llvm.step(emit_add)

    @njit
    def run(left, right, out):
        for row in range(left.shape[0]):
            one, two = left[row].ctypes.data, right[row].ctypes.data
            step(out[row, 0].ctypes.data, one, two)
            step_add(out[row, 1].ctypes.data, one, two)

    modulus, ones = field.modulus, (1 << 64) - 1
    dice = np.random.default_rng(2)
    some = [int.from_bytes(dice.bytes(field.slot), "little") for _ in range(40)]
    elements = [
        0,
        1,
        modulus - 1,
        ones,
        modulus - (1 << 64),
        field.radix % modulus,
        *(v % modulus for v in some),
    ]
    any_words = [*elements[:6], field.radix - 1, modulus, field.radix - (1 << 64), *some]
    pairs = [(one, two) for one in any_words for two in elements[:12]]
    left, right = (rows_of(side, field.limbs) for side in zip(*pairs, strict=True))
    out = np.empty((len(pairs), 2, field.limbs), np.uint64)
    run(left, right, out)
    made = [[int.from_bytes(words.tobytes(), "little") for words in row] for row in out]
    inverse = pow(field.radix, -1, modulus)
    products = [one * two * inverse % modulus for one, two in pairs]
    sums = [(product + two) % modulus for product, (_, two) in zip(products, pairs, strict=True)]
    assert made == [list(both) for both in zip(products, sums, strict=True)]
