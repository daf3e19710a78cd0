"""The end of a CBOR item is found while its bytes come, and each byte is looked at once."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.cbor import BadCbor, encode
from poolsite.filecoin.cbor_scan import ItemScan

VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.binary(max_size=300)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.integers(1, 7))
def test_an_item_is_whole_with_its_last_byte_and_not_before(value: Any, step: int) -> None:
    data, scan = encode(value), ItemScan()

    for end in range(step, len(data), step):
        assert not scan.is_whole(data[:end])

    assert scan.is_whole(data)
    with pytest.raises(BadCbor, match="trailing"):
        scan.is_whole(data + b"\x00")


@pytest.mark.parametrize("data", [b"\x9f\x01\xff", b"\x5f", b"\xff"])
def test_items_without_a_length_are_refused(data: bytes) -> None:
    with pytest.raises(BadCbor, match="indefinite"):
        ItemScan().is_whole(data)


def test_what_comes_byte_by_byte_costs_no_more() -> None:
    data, scan, start = encode([1] * 60_000), ItemScan(), time.process_time()

    for end in range(1, len(data)):
        assert not scan.is_whole(memoryview(data)[:end])  # type: ignore[arg-type]

    assert time.process_time() - start < 1
