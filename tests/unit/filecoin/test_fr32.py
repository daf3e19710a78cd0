from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.fr32 import (
    BadPadding,
    fr32_pad,
    fr32_unpad,
    padded_bytes,
    unpadded_bytes,
)
from tests.unit.filecoin.golden_proofs import golden


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


@pytest.mark.parametrize("refused", [lambda: padded_bytes(128), lambda: unpadded_bytes(127)])
def test_sizes_that_are_no_whole_blocks_are_refused(refused):
    with pytest.raises(BadPadding):
        refused()
