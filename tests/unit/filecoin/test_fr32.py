from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.fr32 import (
    BadPadding,
    fr32_pad,
    fr32_unpad,
    fr32_unpad_range,
    padded_bytes,
    unpadded_bytes,
)
from tests.unit.filecoin.golden_proofs import golden, stream


def test_padding_equals_the_golden_vectors():
    vectors = golden("fr32")["vectors"]

    assert [fr32_pad(bytes.fromhex(vector["unpadded"])).hex() for vector in vectors] == [
        vector["padded"] for vector in vectors
    ]
    assert len(vectors) == 16


@given(st.integers(0, 4).flatmap(lambda blocks: st.binary(min_size=127 * blocks, max_size=127 * blocks)))
def test_unpadding_gives_whole_blocks_back(raw):
    padded = fr32_pad(raw)

    assert fr32_unpad(padded) == raw
    assert len(padded) == padded_bytes(len(raw))
    assert all(top < 0x40 for top in padded[31::32])


@given(st.integers(0, 508), st.integers(0, 508))
def test_any_range_can_be_unpadded(offset, length):
    raw = stream("range", 508)
    length = min(length, 508 - offset)

    assert fr32_unpad_range(fr32_pad(raw), offset, length=length) == raw[offset : offset + length]


@pytest.mark.parametrize("refused", [lambda: padded_bytes(128), lambda: unpadded_bytes(127)])
def test_sizes_that_are_no_whole_blocks_are_refused(refused):
    with pytest.raises(BadPadding):
        refused()


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 128), (127, 1), (0, -1)])
def test_a_range_outside_the_data_is_refused(offset, length):
    with pytest.raises(BadPadding):
        fr32_unpad_range(bytes(128), offset, length=length)
