"""When proving sectors end: buckets by week, each with the way to its extension."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.sectors.selectors import expirations_by, sectors_ending
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db


def test_sectors_are_counted_by_when_they_end() -> None:
    mine, other = factories.miner(2001, of="alice"), factories.miner(2002, of="bob")
    for expiration in (1000, 1099, 1250, 5000):
        factories.sector(mine, state="PROVING", expiration=expiration, initial_pledge=7)
    factories.sector(mine, state="PROVING", expiration=999)
    factories.sector(mine, state="TERMINATED", expiration=1000)
    factories.sector(other, state="PROVING", expiration=1000)
    viewer = people.principal("alice")

    buckets = expirations_by(viewer, miner="", start=1000, width=100)

    assert [(one.start, one.stop, one.count, one.pledge) for one in buckets] == [
        (1000, 1100, 2, 14),
        (1200, 1300, 1, 7),
        (5000, 5100, 1, 7),
    ]
    assert buckets[0].size == 2 * mine.sector_size
    ending = sectors_ending(viewer, miner="f02001", start=1000, stop=1100)
    assert [one.expiration for one in ending] == [1000, 1099]
    assert len(expirations_by(people.principal("bob"), miner="", start=0, width=10)) == 1


def test_the_page_leads_to_the_extension_of_each_bucket(ann: None, quiet: None) -> None:
    miner = factories.miner(2001, of="alice")
    week = 7 * 2880
    factories.sector(miner, state="PROVING", expiration=1000 + week + 50)

    shown = text_of(signed_in().get(reverse("sectors-expirations")))

    assert "1 proving sector" in shown
    assert "ends_from=" in shown
    assert reverse("sectors-change", args=["extend"]) in shown
    assert "by=month" in shown


def test_a_pool_without_proving_sectors_says_so(ann: None, quiet: None) -> None:
    shown = text_of(signed_in().get(reverse("sectors-expirations")))

    assert "No proving sector" in shown
