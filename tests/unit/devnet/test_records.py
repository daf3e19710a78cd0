"""Rows as bytes: a long column of numbers has those that its items have one by one."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from poolsite.devnet.state.records import Big, record_from_bytes, record_to_bytes
from poolsite.filecoin.amounts import amount_to_bytes
from poolsite.filecoin.cbor import encode

EPOCHS = st.integers(min_value=-1, max_value=2**63 - 1)
AMOUNTS = st.integers(min_value=-(2**80), max_value=2**80)


@dataclass(frozen=True, slots=True)
class Vesting:
    """A row with such a column."""

    parts: tuple[tuple[int, Big], ...]


@given(st.lists(st.tuples(EPOCHS, AMOUNTS), max_size=300))
def test_a_long_column_has_the_bytes_of_its_items(parts: list[tuple[int, int]]) -> None:
    row = Vesting(tuple(parts))

    data = record_to_bytes(row)

    assert data == encode([[[epoch, amount_to_bytes(amount)] for epoch, amount in parts]])
    assert record_from_bytes(Vesting, data) == row
