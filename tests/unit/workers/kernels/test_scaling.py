from __future__ import annotations

import itertools

import numpy as np

from tests.naive import field as naive
from tests.unit.workers.kernels.arrays import integers, nodes, random_scalars
from workers.kernels import scaling
from workers.kernels.field import limbs

VALUES = random_scalars(30, seed=11)
PAIRS = list(itertools.product(VALUES, VALUES))
FACTORS = [3, naive.MODULUS - 1, pow(5, 100, naive.MODULUS), 1]
SHIFT, FIRST = 8, 70
KEYS, DATA = nodes([a for a, _ in PAIRS]), nodes([b for _, b in PAIRS])
ENCODED = [naive.add_scaled(key, data, FACTORS[(FIRST + i) >> SHIFT]) for i, (key, data) in enumerate(PAIRS)]


def test_encoding_equals_the_twin():
    out = np.empty_like(KEYS)

    scaling.encode_rows(KEYS, DATA, limbs(FACTORS, bits=64), SHIFT, FIRST, out)

    assert integers(out) == ENCODED


def test_removing_the_data_gives_the_key_back():
    out = np.empty_like(KEYS)

    scaling.remove_rows(nodes(ENCODED), DATA, limbs(FACTORS, bits=64), SHIFT, FIRST, out)

    assert integers(out) == [key for key, _ in PAIRS]


def test_decoding_gives_the_data_back():
    out = np.empty_like(KEYS)
    inverses = limbs([pow(factor, -1, naive.MODULUS) for factor in FACTORS], bits=64)

    scaling.decode_rows(nodes(ENCODED), KEYS, inverses, SHIFT, FIRST, out)

    assert integers(out) == [data for _, data in PAIRS]
