"""Amounts of FIL as bytes and as text for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.amounts import (
    FIL,
    BadAmount,
    amount_from_bytes,
    amount_parse,
    amount_to_bytes,
    fil_format,
    fil_parse,
)

AMOUNTS = st.integers(-(1 << 200), 1 << 200)


@given(AMOUNTS)
def test_bytes_and_texts_read_back(amount: int) -> None:
    assert amount_from_bytes(amount_to_bytes(amount)) == amount
    assert fil_parse(fil_format(amount)) == amount
    assert amount_parse(str(amount)) == amount


@pytest.mark.parametrize("data", [b"\x02\x01", b"\x00" + b"\x01" * 128, b"\xff"])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadAmount):
        amount_from_bytes(data)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1.5", 15 * FIL // 10),
        ("1.5 FIL", 15 * FIL // 10),
        ("20 nanoFIL", 20 * 10**9),
        ("3 attofil", 3),
        ("20 nFIL", 20 * 10**9),
        ("1.5 mFIL", 15 * 10**14),
        ("2 µFIL", 2 * 10**12),
        ("2 uFIL", 2 * 10**12),
        (".5", FIL // 2),
        ("5.", 5 * FIL),
        ("1\u202f234.5", 12345 * FIL // 10),
        ("-0.1FIL", -FIL // 10),
        ("0.000000000000000001", 1),
        ("1.50000000000000000000000", 15 * FIL // 10),
    ],
)
def test_people_s_amounts_are_read(text: str, amount: int) -> None:
    assert fil_parse(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FIL",
        "1,5",
        "1e18",
        "0x10",
        "1.0000000000000000001",
        "5 BTC",
        "1 2",
        "nan",
        "1.5 atto",
        "9" * 200,
        ".",
        ". FIL",
        "1 MFIL",
        "1 PFil",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadAmount):
        fil_parse(text)


@pytest.mark.parametrize("text", ["", "-", "1.0", "+1", " 1", "1_000", "\u0661", "9" * 401])
def test_the_json_form_is_decimal_digits_only(text: str) -> None:
    with pytest.raises(BadAmount):
        amount_parse(text)
