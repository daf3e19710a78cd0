"""Columns for addresses, CIDs and amounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models import F, Sum

from apps.core.fields import AttoFilField
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.cids import cid_of_cbor
from tests.unit.apps.core.samples import Sample

MAIN = "f15ihq5ibzwki2b4ep2f46avlkrqzhpqgtga7pdrq"


def test_two_spellings_of_an_address_are_one_value(samples: type[Sample]) -> None:
    samples.objects.create(address="t" + MAIN[1:])

    assert samples.objects.filter(address=MAIN).count() == 1
    assert samples.objects.filter(address=address_parse(MAIN)).count() == 1
    assert samples.objects.filter(address__in=["t" + MAIN[1:]]).get().address == MAIN


def test_an_address_reads_the_same_before_and_after_saving(samples: type[Sample]) -> None:
    row = samples(address=address_parse("t01000"))
    row.save()

    assert row.address == "f01000"
    row.refresh_from_db()
    assert row.address == "f01000"


@pytest.mark.parametrize("text", ["f0", "f01x", MAIN[:-1] + "a", "0x00", "f" * 200])
def test_what_is_no_address_is_refused(samples: type[Sample], text: str) -> None:
    with pytest.raises(ValidationError):
        samples.objects.create(address=text)


def test_a_cid_is_kept_as_text_and_may_be_missing(samples: type[Sample]) -> None:
    cid = cid_of_cbor(b"\x80")
    samples.objects.create(cid=cid)
    samples.objects.create(cid=None)

    assert samples.objects.get(cid=str(cid)).cid == str(cid)
    assert samples.objects.get(cid=None).cid is None
    with pytest.raises(ValidationError):
        samples.objects.create(cid="bafynonsense")


@pytest.mark.parametrize("amount", [0, 1, -1, 2**63, 10**28, 2**256 - 1, -(2**256)])
def test_amounts_are_whole_numbers_of_any_size(samples: type[Sample], amount: int) -> None:
    row = samples.objects.create(amount=amount)

    row.refresh_from_db()

    assert row.amount == amount
    assert type(row.amount) is int


def test_sums_and_arithmetic_in_the_database_stay_exact(samples: type[Sample]) -> None:
    samples.objects.create(amount=10**27 + 1)
    samples.objects.create(amount=10**27 + 2)
    samples.objects.update(amount=F("amount") + 10**27)

    total = samples.objects.aggregate(total=Sum("amount"))["total"]

    assert total == 4 * 10**27 + 3
    assert type(total) is int
    assert samples.objects.filter(amount__gt=2 * 10**27 + 1).count() == 1


@pytest.mark.parametrize("value", [1.5, "1.5", "word", Decimal("0.1"), True, b"1"])
def test_fractions_floats_and_words_are_no_amounts(value: Any) -> None:
    with pytest.raises(ValidationError):
        AttoFilField().to_python(value)


def test_decimal_text_is_an_amount() -> None:
    assert AttoFilField().to_python("1000") == 1000
    assert AttoFilField().to_python(Decimal(7)) == 7
