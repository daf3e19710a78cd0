"""The one form of CBOR that chain objects have, and everything that is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.cbor import MAX_DEPTH, BadCbor, decode, encode, head_write, int_read, uint_read
from tests.unit.filecoin.strategies import CID

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary() | st.text() | CID,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_every_value_reads_back(value: Any) -> None:
    assert decode(encode(value)) == value


@given(VALUES)
def test_every_cut_is_refused(value: Any) -> None:
    encoded = encode(value)
    for length in range(len(encoded)):
        with pytest.raises(BadCbor):
            decode(encoded[:length])


@given(st.binary(max_size=40))
def test_random_bytes_are_refused_or_are_the_only_form(data: bytes) -> None:
    try:
        value = decode(data)
    except BadCbor:
        return
    assert encode(value) == data


@pytest.mark.parametrize(
    "data",
    [
        "1817",  # 23 in two bytes
        "190018",  # 24 in three
        "1a0000ffff",
        "1b00000000ffffffff",
        "5801aa",  # a length that is not shortest
        "9f00ff",  # indefinite list
        "5f4100ff",  # indefinite bytes
        "ff",
        "1c",  # reserved
        "f90000",  # half float
        "fb3ff0000000000000",  # float
        "f7",  # undefined
        "c001",  # another tag
        "d82a4100",  # a link without a CID
        "d82a01",
        "d82a4101",
        "a2616100616100",  # a key twice
        "a2616200616100",  # keys out of order
        "a10001",  # a key that is no text
        "61ff",  # text that is no UTF-8
        "0000",  # trailing byte
        "",
    ],
)
def test_other_forms_are_refused(data: str) -> None:
    with pytest.raises(BadCbor):
        decode(bytes.fromhex(data))


def test_deep_nesting_is_refused_without_a_stack_overflow() -> None:
    assert decode(b"\x81" * MAX_DEPTH + b"\x00")
    with pytest.raises(BadCbor):
        decode(b"\x81" * 100_000 + b"\x00")


def test_a_false_length_costs_no_memory() -> None:
    with pytest.raises(BadCbor):
        decode(b"\x9b" + b"\x7f" + b"\xff" * 7)
    with pytest.raises(BadCbor):
        decode(b"\x5b" + b"\x7f" + b"\xff" * 7)


def test_integers_outside_their_field_are_refused() -> None:
    with pytest.raises(BadCbor):
        int_read(head_write(0, 1 << 63), 0)
    with pytest.raises(BadCbor):
        int_read(head_write(1, 1 << 63), 0)
    with pytest.raises(BadCbor):
        uint_read(b"\x20", 0)
    with pytest.raises(BadCbor):
        head_write(0, 1 << 64)


def test_foreign_types_have_no_form() -> None:
    with pytest.raises(BadCbor):
        encode(1.5)
