from __future__ import annotations

import pytest

from poolsite.filecoin.chacha import chacha20_keystream

KEY = bytes(range(32))
NONCE = bytes.fromhex("000000090000004a00000000")


def test_the_second_block_is_the_one_of_rfc_8439():
    expected = (
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )

    assert chacha20_keystream(KEY, NONCE, start=64, length=64).hex() == expected


@pytest.mark.parametrize(("start", "length"), [(0, 0), (0, 1), (63, 2), (64, 64), (100, 200)])
def test_a_part_of_the_keystream_equals_that_part_of_the_whole(start, length):
    whole = chacha20_keystream(KEY, NONCE, length=320)

    assert chacha20_keystream(KEY, NONCE, start=start, length=length) == whole[start : start + length]
