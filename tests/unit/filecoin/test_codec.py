"""JSON as Go reads and writes it: zero values, nulls, names of wrong fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from poolsite.filecoin.actors.miner_proving import PoStPartition, SubmitWindowedPoStParams
from poolsite.filecoin.actors.miner_sectors import PreCommitSectorBatch2Params
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import (
    NOT_IN_JSON,
    Field,
    Int64,
    JsonName,
    Struct,
    TokenAmount,
    Uint64,
    cbor_transparent,
    cbor_tuple,
    from_cbor,
    from_json,
    struct_of,
    to_cbor,
    to_json,
)
from poolsite.filecoin.kinds import AMOUNT, BYTES, CID, INT64, UINT64, BadField, list_of
from poolsite.filecoin.message import Message


def test_missing_members_and_nulls_are_zero_values() -> None:
    assert from_json(Message, {}) == Message()
    assert from_json(Message, dict.fromkeys(("To", "Nonce", "Value", "Params"))) == Message()


def test_empty_bytes_and_lists_print_as_null_as_after_reading_cbor_in_go() -> None:
    assert to_json(Message())["Params"] is None
    assert list_of(INT64).to_json(()) is None
    assert list_of(INT64).read_json(None) == list_of(INT64).read_json([]) == ()


def test_amounts_that_go_never_set_are_zero() -> None:
    assert from_json(Message, {"Value": "<nil>", "To": "<empty>"}) == Message()


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
        from_json(Message, change)

    assert refusal.value.field == field
    assert reason in refusal.value.reason


def test_nested_fields_are_named_by_their_path() -> None:
    value = {"Sectors": [{"SealedCID": None}]}

    with pytest.raises(BadField) as refusal:
        from_json(PreCommitSectorBatch2Params, value)

    assert refusal.value.field == "Sectors[0].SealedCID"
    assert refusal.value.reason == "cid is required"


def test_a_list_must_be_a_list_and_an_object_an_object() -> None:
    with pytest.raises(BadField, match="must be a list"):
        from_json(SubmitWindowedPoStParams, {"Partitions": {}})
    with pytest.raises(BadField, match="must be an object"):
        from_json(SubmitWindowedPoStParams, [])


def test_a_wrong_number_of_fields_is_refused() -> None:
    with pytest.raises(BadCbor, match="wrong number of fields"):
        from_cbor(Message, b"\x81\x00")


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


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Annotations:
    """Each form that an annotation may have."""

    piece_cid: Cid | None
    deal_ids: tuple[Uint64, ...]
    end_epoch: Int64
    price: TokenAmount
    peer_id: Annotated[bytes, JsonName("PeerId")]
    deprecated: Annotated[tuple[Uint64, ...], NOT_IN_JSON]
    short: Annotated[tuple[bytes, ...], list_of(BYTES, limit=1)]


def test_a_table_is_derived_from_the_annotations() -> None:
    value = Annotations(None, (7,), -1, 10, b"p", (1,), (b"s",))

    assert to_cbor(value).hex() == "87f68107204200" + "0a" + "4170" + "8101" + "814173"
    assert from_cbor(Annotations, to_cbor(value)) == value
    assert to_json(value) == {
        "PieceCID": None,
        "DealIDs": [7],
        "EndEpoch": -1,
        "Price": "10",
        "PeerId": "cA==",
        "Short": ["cw=="],
    }


def test_a_transparent_class_is_its_only_value() -> None:
    @cbor_transparent
    @dataclass(frozen=True, slots=True)
    class Wrapped:
        text: str

    assert to_cbor(Wrapped("a")) == b"\x61a"
    assert from_json(Wrapped, "a") == Wrapped("a")


def test_an_annotation_without_a_cbor_form_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Ambiguous:
        count: int

    with pytest.raises(TypeError, match="int"):
        cbor_tuple(Ambiguous)
