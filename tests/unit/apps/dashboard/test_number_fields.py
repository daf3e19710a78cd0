"""Sizes and amounts in forms: what is written is read as the same, with a unit or without."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from rest_framework import serializers

from apps.api.v1.miner_targets import BYTES_MOST, TargetInput
from apps.api.v1.serializers import AmountField
from apps.dashboard.number_fields import SIZE_MAX, Amount, Size, Whole
from apps.dashboard.pages.miners.targets import TargetForm

SIZES = {
    "1 B": 1,
    "500 GiB": 500 << 30,
    "1.5 TiB": 3 << 39,
    "3.125 TiB": 100 << 35,
    "1025 MiB": (1 << 30) + (1 << 20),
    "4096 PiB": SIZE_MAX,
    "4611686018427387903 B": SIZE_MAX - 1,
    "3.1 TiB": int(3.1 * (1 << 40)),
}


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_size_is_written_as_it_is_read(text: str, size: int) -> None:
    field = Size()

    assert field.prepare_value(size) == text
    assert field.clean(text) == size


@pytest.mark.parametrize("power_max", [(10 << 50) + (1 << 35), BYTES_MOST])
def test_target_that_is_saved_unchanged_stays(power_max: int) -> None:
    kept = {"day_bytes": 100 << 35, "power_max": power_max}
    shown = TargetForm(initial=kept).typed

    form = TargetForm(shown)

    assert form.is_valid()
    assert {name: form.values()[name] for name in kept} == kept
    assert TargetForm({"act": "set"}).is_valid()


@pytest.mark.parametrize(
    ("text", "fil", "fee"),
    [
        ("1.5", 15 * 10**17, 15 * 10**8),
        (".5", 5 * 10**17, 5 * 10**8),
        ("20 nFIL", 20 * 10**9, 20 * 10**9),
        ("2 mFIL", 2 * 10**15, 2 * 10**15),
        ("7 attoFIL", 7, 7),
        ("1\u202f234", 1234 * 10**18, 1234 * 10**9),
        ("", 0, 0),
    ],
)
def test_amounts_are_read_alike_in_pages_and_rest(text: str, fil: int, fee: int) -> None:
    assert (Amount().clean(text), Amount(is_fee=True).clean(text)) == (fil, fee)
    if "FIL" in text:
        assert AmountField().run_validation(text) == fil
        target = TargetInput(data={"base_fee_max": text})
        assert target.is_valid()
        assert target.validated_data == {"base_fee_max": fee}


@pytest.mark.parametrize("text", ["-1", "1,5", "1 MFIL", "2000000001 FIL", "1e3", "1 BTC"])
def test_other_amounts_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Amount().clean(text)


@pytest.mark.parametrize("text", ["-1", "1.5", "1,5 FIL", "1 MFIL", "9" * 41, "0.1 attoFIL"])
def test_rest_takes_attofil_alone_without_a_unit(text: str) -> None:
    with pytest.raises(serializers.ValidationError):
        AmountField().run_validation(text)
    assert AmountField().run_validation("1500") == 1500
    assert AmountField(is_signed=True).run_validation("-1.5 FIL") == -15 * 10**17


@pytest.mark.parametrize(
    ("text", "number"), [("12,345", 12345), ("1 234 567", 1234567), ("1\u202f234", 1234), (" 7 ", 7)]
)
def test_whole_numbers_are_read_with_their_separators(text: str, number: int) -> None:
    assert Whole(least=0, most=10**9).clean(text) == number


@pytest.mark.parametrize("text", ["1,5", "1 5", "-1 0", "1,2345", "1 2 3"])
def test_what_may_be_two_numbers_or_a_fraction_is_no_whole_number(text: str) -> None:
    with pytest.raises(ValidationError, match="enter a whole number"):
        Whole(least=0, most=10**9).clean(text)


def test_blanks_within_an_amount_are_those_of_thousands_and_of_its_unit() -> None:
    amounts = {text: Amount().clean(text) for text in ("1 000", "1 000.5", "12 345 FIL", "0.5 FIL")}

    assert list(amounts.values()) == [10**21, 1000 * 10**18 + 5 * 10**17, 12_345 * 10**18, 5 * 10**17]
    with pytest.raises(ValidationError, match="enter an amount in FIL"):
        Amount().clean("1 5")
