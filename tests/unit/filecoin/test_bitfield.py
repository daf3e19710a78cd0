"""Bitfields as sets, and encodings that are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.bitfield import (
    EMPTY,
    BadBitField,
    bitfield_from_bytes,
    bitfield_from_json,
    bitfield_of,
    bitfield_of_runs,
    bitfield_to_bytes,
    bitfield_to_json,
    runs_of,
)
from poolsite.filecoin.kinds import BadField

SETS = st.frozensets(st.integers(0, 200), max_size=60)


@given(SETS, SETS)
def test_they_are_sets(a: frozenset[int], b: frozenset[int]) -> None:
    one, two = bitfield_of(a), bitfield_of(b)

    assert set(one) == a
    assert len(one) == len(a)
    assert bool(one) == bool(a)
    assert set(one | two) == a | b
    assert set(one & two) == a & b
    assert set(one - two) == a - b
    assert (one | two) == bitfield_of(a | b)
    assert all((n in one) == (n in a) for n in range(0, 210, 3))


@given(st.frozensets(st.integers(0, (1 << 64) - 2), max_size=20))
def test_encodings_read_back(numbers: frozenset[int]) -> None:
    field = bitfield_of(numbers)

    assert bitfield_from_bytes(bitfield_to_bytes(field)) == field
    assert bitfield_from_json(bitfield_to_json(field)) == field
    assert bitfield_of_runs(runs_of(field)) == field


@given(st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        field = bitfield_from_bytes(data)
    except BadBitField:
        return
    assert bitfield_from_bytes(bitfield_to_bytes(field)) == field


@pytest.mark.parametrize("data", ["03", "01", "00", "1800", "00ffffffffffffffffffff", "0c" * 40_000])
def test_what_is_no_bitfield_is_refused(data: str) -> None:
    with pytest.raises(BadBitField):
        bitfield_from_bytes(bytes.fromhex(data))


def test_a_huge_run_takes_no_memory() -> None:
    field = bitfield_of_runs([1 << 40, 1 << 60])

    assert len(field) == 1 << 60
    assert field.first == 1 << 40
    assert bitfield_from_bytes(bitfield_to_bytes(field)) == field
    with pytest.raises(BadBitField, match="too many"):
        field.numbers(1000)


def test_long_inputs_are_read_quickly() -> None:
    numbers = range(0, 100_000, 2)
    field = bitfield_of(numbers)

    assert bitfield_from_bytes(bitfield_to_bytes(field)) == field
    assert len(field & field) == len(numbers)


def test_numbers_outside_64_bits_are_refused() -> None:
    for bad in (-1, 1 << 64):
        with pytest.raises(BadBitField):
            bitfield_of([bad])
    with pytest.raises(BadBitField):
        bitfield_of_runs([1 << 64, 1])
    with pytest.raises(BadBitField):
        bitfield_of_runs([-1])


def test_the_empty_set_has_no_first_member() -> None:
    assert bitfield_to_bytes(EMPTY) == b""
    assert bitfield_to_json(EMPTY) == [0]
    with pytest.raises(BadBitField):
        _ = EMPTY.first


@pytest.mark.parametrize("value", [{}, "0", [1.5], [True], [-1], None])
def test_what_is_no_list_of_runs_is_refused(value: object) -> None:
    with pytest.raises(BadField):
        bitfield_from_json(value)


def test_the_members_from_a_number_on_are_a_set() -> None:
    field = bitfield_of([0, 1, 2, 5, 9, 10])
    assert [list(field.since(number)) for number in (0, 1, 3, 5, 10, 11)] == [
        [0, 1, 2, 5, 9, 10],
        [1, 2, 5, 9, 10],
        [5, 9, 10],
        [5, 9, 10],
        [10],
        [],
    ]
    assert field.since(2) == bitfield_of([2, 5, 9, 10])
