from __future__ import annotations

import random

import pytest
from blspy import G1Element

from poolsite.filecoin.groth16.curve import (
    FIELD_MODULUS,
    BadPoint,
    g1_combination,
    g1_from_compressed,
    g1_from_uncompressed,
    g2_from_compressed,
    g2_from_uncompressed,
)
from poolsite.filecoin.scalars import SCALAR_MODULUS
from tests.unit.filecoin.golden_proofs import golden
from tests.unit.filecoin.groth16.simulated import multiple, uncompressed

KEY = bytes.fromhex(golden("groth16_window_2k")["vk"])
GENERATOR = G1Element.generator()


def test_a_point_is_read_from_both_forms():
    for factor in (1, 2, 3, 12345, SCALAR_MODULUS - 1):
        point = multiple(GENERATOR, factor)
        assert g1_from_uncompressed(uncompressed(point)) == point
        assert g1_from_compressed(bytes(point)) == point


def test_both_signs_of_a_point_of_g2_are_read():
    data = KEY[192:384]
    minus_y = b"".join(
        (FIELD_MODULUS - int.from_bytes(data[at : at + 48], "big")).to_bytes(48, "big") for at in (96, 144)
    )
    plus, minus = g2_from_uncompressed(data), g2_from_uncompressed(data[:96] + minus_y)

    assert plus == minus.negate()
    assert plus != minus


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(48),
        bytes([0xC0]) + bytes(47),
        bytes([0x80]) + bytes(46) + b"\x01",
        bytes([0x80]) + bytes(46) + b"\x04",
        bytes([0x9A]) + b"\xff" * 47,
        bytes(GENERATOR) + b"\0",
    ],
    ids=["empty", "zeros", "infinity", "not on the curve", "not in the subgroup", "above p", "too long"],
)
def test_bytes_that_are_no_point_of_g1_are_refused(data):
    with pytest.raises(BadPoint):
        g1_from_compressed(data)


@pytest.mark.parametrize("data", [b"", bytes([0xC0]) + bytes(95), bytes([0x80]) + bytes(94) + b"\x02"])
def test_bytes_that_are_no_point_of_g2_are_refused(data):
    with pytest.raises(BadPoint):
        g2_from_compressed(data)


def test_an_uncompressed_point_with_a_wrong_coordinate_is_refused():
    rng = random.Random(3)
    for read, data in ((g1_from_uncompressed, KEY[:96]), (g2_from_uncompressed, KEY[192:384])):
        for _ in range(40):
            damaged = bytearray(data)
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            with pytest.raises(BadPoint):
                read(bytes(damaged))
        with pytest.raises(BadPoint):
            read(data[1:])


def test_a_coordinate_above_the_modulus_is_refused():
    point = uncompressed(GENERATOR)
    x = int.from_bytes(point[:48], "big") + FIELD_MODULUS

    with pytest.raises(BadPoint):
        g1_from_uncompressed(x.to_bytes(48, "big") + point[48:])


def test_a_combination_is_the_sum_of_the_multiples():
    points = [multiple(GENERATOR, factor) for factor in (2, 3, 5)]
    factors = [0, SCALAR_MODULUS - 1, 1 << 200]
    expected = multiple(GENERATOR, (7 + 3 * factors[1] + 5 * factors[2]) % SCALAR_MODULUS)

    assert g1_combination(multiple(GENERATOR, 7), points, factors=factors) == expected
    assert g1_combination(GENERATOR, [], factors=[]) == GENERATOR
