"""Valid proofs for any public inputs, made with the trapdoor of the golden TEST-ONLY keys."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeVar

from blspy import G1Element, G2Element

from poolsite.filecoin.groth16.curve import (
    FIELD_MODULUS,
    G1_BYTES,
    g1_from_uncompressed,
    g2_from_uncompressed,
)
from poolsite.filecoin.groth16.verification import (
    KEY_HEAD_BYTES,
    VerifyingKey,
    verifying_key_decode,
)
from poolsite.filecoin.scalars import SCALAR_MODULUS, scalar_from_bytes
from tests.unit.filecoin.golden_proofs import golden

Point = TypeVar("Point", G1Element, G2Element)

TRAPDOOR = golden("groth16_trapdoor")["trapdoor"]
BASE_1 = g1_from_uncompressed(bytes.fromhex(TRAPDOOR["g1_uncompressed"]))
BASE_2 = g2_from_uncompressed(bytes.fromhex(TRAPDOOR["g2_uncompressed"]))
"""Random generators to which all logarithms refer."""
ALPHA, BETA, GAMMA, DELTA = (
    scalar_from_bytes(bytes.fromhex(TRAPDOOR[name])) for name in ("alpha", "beta", "gamma", "delta")
)
FACTOR_A, FACTOR_B = 7, 11
"""Discrete logarithms of the points A and B of every simulated proof."""


def multiple(point: Point, factor: int) -> Point:
    total = type(point)()
    for bit in bin(factor)[2:]:
        total = total + total
        if bit == "1":
            total = total + point
    return total


def uncompressed(point: G1Element) -> bytes:
    data = bytes(point)
    x = int.from_bytes(bytes((data[0] & 0x1F,)) + data[1:], "big")
    y = pow(x**3 + 4, (FIELD_MODULUS + 1) // 4, FIELD_MODULUS)
    if (y > FIELD_MODULUS // 2) != bool(data[0] & 0x20):
        y = FIELD_MODULUS - y
    return x.to_bytes(G1_BYTES, "big") + y.to_bytes(G1_BYTES, "big")


def simulated_key_bytes(logarithms: Sequence[int]) -> bytes:
    """The golden key with a list of points whose discrete logarithms are given."""
    head = bytes.fromhex(golden("groth16_window_2k")["vk"])[:KEY_HEAD_BYTES]
    points = (uncompressed(multiple(BASE_1, logarithm)) for logarithm in logarithms)
    return head + struct.pack(">I", len(logarithms)) + b"".join(points)


def simulated_key(input_count: int) -> VerifyingKey:
    return verifying_key_decode(simulated_key_bytes(range(1, input_count + 2)))


def simulated_proof(inputs: Sequence[int]) -> bytes:
    """A proof for `inputs` under `simulated_key`, whose point number i has the logarithm i + 1."""
    public = 1 + sum((at + 2) * value for at, value in enumerate(inputs))
    c = (FACTOR_A * FACTOR_B - ALPHA * BETA - GAMMA * public) * pow(DELTA, -1, SCALAR_MODULUS)
    points = (
        multiple(BASE_1, FACTOR_A),
        multiple(BASE_2, FACTOR_B),
        multiple(BASE_1, c % SCALAR_MODULUS),
    )
    return b"".join(map(bytes, points))
