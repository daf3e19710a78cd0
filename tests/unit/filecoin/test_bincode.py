from __future__ import annotations

import pytest

from poolsite.filecoin.bincode import BadBincode, BincodeReader, u32_encode, u64_encode, vector_encode


def test_values_come_back_in_order():
    reader = BincodeReader(
        u32_encode(7) + u64_encode(1 << 40) + bytes(range(32)) + vector_encode([b"ab", b"cd"])
    )

    assert (reader.u32(), reader.u64(), reader.node()) == (7, 1 << 40, bytes(range(32)))
    assert reader.vector(lambda pair: pair.take(2), item_bytes=2) == (b"ab", b"cd")
    reader.finish()


def test_bytes_left_over_are_refused():
    with pytest.raises(BadBincode):
        BincodeReader(b"\0").finish()


def test_a_short_read_is_refused():
    with pytest.raises(BadBincode):
        BincodeReader(bytes(7)).u64()


def test_a_count_that_cannot_fit_is_refused_before_any_item_is_read():
    reader = BincodeReader(u64_encode((1 << 64) - 1) + bytes(32))

    with pytest.raises(BadBincode):
        reader.vector(lambda _: pytest.fail("an item was read"), item_bytes=1)
