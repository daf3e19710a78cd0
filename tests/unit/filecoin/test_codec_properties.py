"""What holds for every table: round trips, one form only, and refusal of everything cut or damaged."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsite.filecoin import block, message, signing
from poolsite.filecoin.actors import decode
from poolsite.filecoin.bitfield import BITFIELD
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import Struct, structs
from poolsite.filecoin.kinds import BadField, Kind
from tests.unit.filecoin.strategies import values_of

LOADED = (block, message, signing, decode)
"""Modules whose tables are meant; importing them fills the registry."""

TABLES = {
    f"{table.cls.__module__.removeprefix('poolsite.filecoin.')}.{table.cls.__name__}": table
    for table in structs()
    if table.cls.__module__.startswith("poolsite.filecoin")
}
FEW = settings(
    max_examples=4,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_all_tables_are_here() -> None:
    assert len(TABLES) > 120


@pytest.mark.parametrize("name", sorted(TABLES))
@FEW
@given(data=st.data())
def test_what_is_written_reads_back_and_nothing_else_does(name: str, data: st.DataObject) -> None:
    table = TABLES[name]
    value = data.draw(values_of(table))
    encoded = table.encode(value)

    assert table.decode(encoded) == value
    assert table.from_json(json.loads(json.dumps(table.to_json(value)))) == value
    for length in range(len(encoded)):
        with pytest.raises(BadCbor):
            table.decode(encoded[:length])
    with pytest.raises(BadCbor):
        table.decode(encoded + b"\x00")
    _flipped_bit_is_refused_or_means_something_else(table, encoded, data)


def _flipped_bit_is_refused_or_means_something_else(
    table: Struct[object], encoded: bytes, data: st.DataObject
) -> None:
    """No object has two forms; only run lengths of bitfields may be split, as Go allows."""
    bit = data.draw(st.integers(0, len(encoded) * 8 - 1))
    damaged = bytearray(encoded)
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        value = table.decode(bytes(damaged))
    except BadCbor:
        return
    again = table.encode(value)
    assert table.decode(again) == value
    assert again == bytes(damaged) or _holds_bitfields(table)


def _holds_bitfields(of: Kind | Struct[object] | None) -> bool:
    if isinstance(of, Struct):
        return any(_holds_bitfields(field.kind) for field in of.fields)
    return of is not None and (of.name == BITFIELD.name or _holds_bitfields(of.of))


@settings(max_examples=300)
@given(
    name=st.sampled_from(sorted(TABLES)),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
)
def test_foreign_json_is_refused_with_a_reason_or_read(name: str, value: object) -> None:
    table = TABLES[name]
    for attempt in (value, {field.json: value for field in table.fields}):
        try:
            table.encode(table.from_json(attempt))
        except BadField as error:
            refusal = error
        else:
            continue
        assert str(refusal)
