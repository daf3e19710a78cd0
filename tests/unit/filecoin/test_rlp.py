"""RLP: round trips, and what is no RLP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.rlp import MAX_DEPTH, BadRlp, RlpItem, rlp_decode, rlp_encode

ITEMS = st.recursive(
    st.binary(max_size=70), lambda inner: st.lists(inner, max_size=12), max_leaves=30
).filter(lambda item: depth_of(item) <= MAX_DEPTH)


def depth_of(item: RlpItem) -> int:
    return 1 + max(map(depth_of, item), default=0) if isinstance(item, list) else 0


@given(ITEMS)
def test_what_is_written_is_read_again(item: RlpItem) -> None:
    assert rlp_decode(rlp_encode(item)) == item


@given(ITEMS)
def test_every_prefix_is_refused(item: RlpItem) -> None:
    data = rlp_encode(item)

    for end in range(len(data)):
        with pytest.raises(BadRlp):
            rlp_decode(data[:end])
    with pytest.raises(BadRlp, match="consumed"):
        rlp_decode(data + b"\x00")


@given(st.binary(max_size=60))
def test_any_bytes_are_an_item_or_refused(data: bytes) -> None:
    try:
        item = rlp_decode(data)
    except BadRlp:
        return
    assert depth_of(item) <= MAX_DEPTH


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(BadRlp, match="nested too deeply"):
        rlp_decode(b"\xc1" * 5000)


@pytest.mark.parametrize("item", [1.5, None, "text"])
def test_what_has_no_form_is_refused(item: object) -> None:
    with pytest.raises(BadRlp, match="no RLP form"):
        rlp_encode(item)
