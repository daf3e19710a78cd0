from __future__ import annotations

import numpy as np
import pytest

from tests.naive import fr32 as naive
from tests.unit.workers.kernels.arrays import random_bytes
from workers.kernels import fr32


def pad(raw: bytes) -> bytes:
    padded = np.empty((len(raw) // 127, 16), np.uint64)
    fr32.fr32_pad(np.frombuffer(raw, np.uint8).copy(), padded)
    return padded.tobytes()


def unpad(padded: bytes) -> bytes:
    raw = np.empty(len(padded) // 128 * 127, np.uint8)
    fr32.fr32_unpad(np.frombuffer(padded, np.uint64).reshape(-1, 16).copy(), raw)
    return raw.tobytes()


@pytest.mark.parametrize("rows", [1, 2, 3, 64])
def test_padding_equals_the_twin(rows):
    raw = random_bytes(127 * rows, seed=rows)

    assert pad(raw) == naive.fr32_pad(raw)


@pytest.mark.parametrize("byte", [0x00, 0x01, 0x80, 0xFF])
def test_padding_of_one_repeated_byte_equals_the_twin(byte):
    assert pad(bytes([byte]) * 127) == naive.fr32_pad(bytes([byte]) * 127)


def test_padding_equals_the_reference_implementation(golden):
    whole = [case for case in golden("fr32")["vectors"] if case["n"] and case["n"] % 127 == 0]

    assert whole
    assert [pad(bytes.fromhex(case["unpadded"])).hex() for case in whole] == [
        case["padded"] for case in whole
    ]


def test_padding_leaves_the_two_top_bits_of_each_element_clear():
    elements = np.frombuffer(pad(b"\xff" * 254), np.uint8).reshape(-1, 32)

    assert not (elements[:, 31] & 0xC0).any()


def test_unpadding_is_the_inverse():
    raw = random_bytes(127 * 37, seed=1)

    assert unpad(pad(raw)) == raw


def test_unpadding_ignores_the_top_bits_as_the_twin_does():
    padded = random_bytes(128 * 5, seed=2)

    assert unpad(padded) == naive.fr32_unpad(padded)
    assert unpad(b"\xff" * 128) == b"\xff" * 127
