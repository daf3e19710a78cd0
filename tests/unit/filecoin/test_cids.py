"""CIDs: kinds and refusals."""

from __future__ import annotations

import pytest
from hypothesis import given

from poolsite.filecoin.cids import (
    FIELD_ORDER,
    BadCid,
    Cid,
    cid_from_bytes,
    cid_from_json,
    cid_of_cbor,
    cid_parse,
    cid_to_commd,
    cid_to_commr,
    cid_to_json,
    commd_cid,
    commr_cid,
)
from tests.unit.filecoin.strategies import CID


@given(CID)
def test_text_bytes_and_json_read_back(cid: Cid) -> None:
    assert cid_parse(str(cid)) == cid
    assert cid_from_bytes(bytes(cid)) == cid
    assert cid_from_json(cid_to_json(cid)) == cid
    assert len(cid.digest) == 32


@given(CID)
def test_every_cut_is_refused(cid: Cid) -> None:
    for length in range(len(cid.data)):
        with pytest.raises(BadCid):
            cid_from_bytes(cid.data[:length])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "Qm",
        "zb2rh",
        "bafy",
        "b!!!!",
        "bafy2bzacea=",
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadCid):
        cid_parse(text)


@pytest.mark.parametrize("value", [{"/": 5}, {}, "bafy", [], 7])
def test_other_json_is_refused(value: object) -> None:
    with pytest.raises(BadCid):
        cid_from_json(value)


def test_null_is_no_cid() -> None:
    assert cid_from_json(None) is None
    assert cid_to_json(None) is None


def test_commitments_must_be_field_elements_of_32_bytes() -> None:
    for bad in (b"", bytes(31), bytes(33), b"\xff" * 32):
        with pytest.raises(BadCid):
            commr_cid(bad)
        with pytest.raises(BadCid):
            commd_cid(bad)


def test_a_sealed_commitment_may_be_any_field_element() -> None:
    top = (FIELD_ORDER - 1).to_bytes(32, "little")

    assert cid_to_commr(commr_cid(top)) == top
    with pytest.raises(BadCid, match="not a field element"):
        commr_cid(FIELD_ORDER.to_bytes(32, "little"))
    with pytest.raises(BadCid, match="two top bits"):
        commd_cid(top)


def test_kinds_of_commitments_are_not_mixed_up() -> None:
    sealed, data = commr_cid(bytes(32)), commd_cid(bytes(32))

    with pytest.raises(BadCid, match="sealed CID had wrong prefix"):
        cid_to_commr(data)
    with pytest.raises(BadCid, match="unsealed CID had wrong prefix"):
        cid_to_commd(sealed)
    assert (sealed.codec, data.codec, cid_of_cbor(b"").codec) == (0xF102, 0xF101, 0x71)
