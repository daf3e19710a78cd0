"""JSON as Go reads and writes it: zero values, nulls, names of wrong fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from poolsite.filecoin.actors.miner import (
    PRE_COMMIT_SECTOR_BATCH2_PARAMS,
    SUBMIT_WINDOWED_POST_PARAMS,
    PoStPartition,
)
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import (
    AMOUNT,
    BYTES,
    CID,
    INT64,
    UINT64,
    BadField,
    Field,
    Struct,
    from_cbor,
    from_json,
    list_of,
    struct_of,
    to_cbor,
    to_json,
)
from poolsite.filecoin.message import MESSAGE, Message


def test_missing_members_and_nulls_are_zero_values() -> None:
    assert MESSAGE.from_json({}) == Message()
    assert MESSAGE.from_json(dict.fromkeys(("To", "Nonce", "Value", "Params"))) == Message()


def test_empty_bytes_and_lists_print_as_null_as_after_reading_cbor_in_go() -> None:
    assert MESSAGE.to_json(Message())["Params"] is None
    assert list_of(INT64).to_json(()) is None
    assert list_of(INT64).read_json(None) == list_of(INT64).read_json([]) == ()


def test_amounts_that_go_never_set_are_zero() -> None:
    assert MESSAGE.from_json({"Value": "<nil>", "To": "<empty>"}) == Message()


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"Nonce": -1}, "Nonce", "does not fit uint64"),
        ({"Nonce": "1"}, "Nonce", "whole number"),
        ({"Nonce": True}, "Nonce", "whole number"),
        ({"GasLimit": 1 << 63}, "GasLimit", "does not fit int64"),
        ({"Value": 5}, "Value", "decimal digits"),
        ({"Value": "5 FIL"}, "Value", "decimal"),
        ({"To": "f09x"}, "To", "invalid address payload"),
        ({"Params": "!!"}, "Params", "base64"),
        ({"Params": [1]}, "Params", "string"),
    ],
)
def test_the_wrong_field_is_named_with_the_reason(change: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(BadField) as refusal:
        MESSAGE.from_json(change)

    assert refusal.value.field == field
    assert reason in refusal.value.reason


def test_nested_fields_are_named_by_their_path() -> None:
    value = {"Sectors": [{"SealedCID": None}]}

    with pytest.raises(BadField) as refusal:
        PRE_COMMIT_SECTOR_BATCH2_PARAMS.from_json(value)

    assert refusal.value.field == "Sectors[0].SealedCID"
    assert refusal.value.reason == "cid is required"


def test_a_list_must_be_a_list_and_an_object_an_object() -> None:
    with pytest.raises(BadField, match="must be a list"):
        SUBMIT_WINDOWED_POST_PARAMS.from_json({"Partitions": {}})
    with pytest.raises(BadField, match="must be an object"):
        SUBMIT_WINDOWED_POST_PARAMS.from_json([])


def test_a_wrong_number_of_fields_is_refused() -> None:
    with pytest.raises(BadCbor, match="wrong number of fields"):
        MESSAGE.decode(b"\x81\x00")


def test_amounts_have_one_form_in_cbor() -> None:
    for data in (b"\x41\x00", b"\x42\x00\x00", b"\x43\x00\x00\x01", b"\x42\x02\x01"):
        with pytest.raises(BadCbor):
            AMOUNT.decode(data, 0)


def test_too_long_lists_are_refused_before_they_are_read() -> None:
    with pytest.raises(BadCbor, match="too large"):
        list_of(INT64, limit=2).decode(b"\x83\x01\x02\x03", 0)


def test_any_dataclass_with_a_table_is_written_by_its_class() -> None:
    value = PoStPartition(index=1, skipped=bitfield_of([3]))

    assert from_cbor(PoStPartition, to_cbor(value)) == value
    assert from_json(PoStPartition, to_json(value)) == value
    assert struct_of(PoStPartition).cls is PoStPartition


@dataclass(frozen=True, slots=True)
class Partial:
    """A class whose JSON and CBOR differ."""

    kept: int
    only_json: int
    only_cbor: bytes


def test_fields_may_be_in_one_form_only() -> None:
    table = Struct(
        Partial,
        Field("kept", "Kept", UINT64),
        Field("only_cbor", "OnlyCbor", BYTES, in_json=False),
        Field("only_json", "OnlyJson", INT64, in_cbor=False),
    )

    assert table.to_json(Partial(1, 2, b"x")) == {"Kept": 1, "OnlyJson": 2}
    assert table.from_json({"Kept": 1, "OnlyJson": 2}) == Partial(1, 2, b"")
    assert table.encode(Partial(1, 2, b"x")) == b"\x82\x01\x41x"


def test_required_kinds_have_no_zero_value() -> None:
    with pytest.raises(BadField):
        CID.read_json(None, "Root")
