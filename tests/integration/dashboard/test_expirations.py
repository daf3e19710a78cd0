"""When proving sectors end: buckets by week, each with the way to its extension."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.sectors.models import Expirations
from apps.sectors.selectors.expirations import EPOCHS_OF_COUNT, expirations_by, sectors_ending
from apps.sectors.services.changes.expirations import expirations_count
from tests import factories, people
from tests.page_client import signed_in, text_of
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db


DAY = EPOCHS_OF_COUNT


def test_sectors_are_counted_by_when_they_end() -> None:
    mine, other = factories.miner(2001, of="alice"), factories.miner(2002, of="bob")
    for expiration in (DAY, 2 * DAY - 1, 3 * DAY + 5, 30 * DAY):
        factories.sector(mine, state="PROVING", expiration=expiration, initial_pledge=7)
    factories.sector(mine, state="PROVING", expiration=DAY - 1)
    factories.sector(mine, state="TERMINATED", expiration=DAY)
    factories.sector(other, state="PROVING", expiration=DAY)
    viewer = people.principal("alice")
    assert expirations_by(viewer, miner="", start=DAY, width=DAY) == ([], None), "nobody has counted"
    assert expirations_count(now=NOON) == 2

    buckets, counted_at = expirations_by(viewer, miner="", start=DAY + 100, width=DAY)

    assert counted_at == NOON
    assert [(one.start, one.stop, one.count, one.pledge) for one in buckets] == [
        (DAY, 2 * DAY, 2, 14),
        (3 * DAY, 4 * DAY, 1, 7),
        (30 * DAY, 31 * DAY, 1, 7),
    ]
    assert buckets[0].size == 2 * mine.sector_size
    ending = sectors_ending(viewer, miner="f02001", start=DAY, stop=2 * DAY)
    assert [one.expiration for one in ending] == [DAY, 2 * DAY - 1]
    [bucket] = expirations_by(people.principal("bob"), miner="", start=0, width=10 * DAY)[0]
    assert (bucket.start, bucket.stop, bucket.count) == (0, 10 * DAY, 1)
    weeks = expirations_by(viewer, miner="f02001", start=DAY, width=7 * DAY)[0]
    assert [one.count for one in weeks] == [3, 1]


def test_a_count_takes_a_two_hundredth_of_the_time_at_most() -> None:
    miner = factories.miner(2001, of="alice")
    assert expirations_count(now=NOON) == 1
    factories.sector(miner, state="PROVING", expiration=DAY)
    assert expirations_count(now=NOON + timedelta(seconds=59)) == 0
    Expirations.objects.update(took_ms=1_000)
    assert expirations_count(now=NOON + timedelta(seconds=199)) == 0
    assert expirations_count(now=NOON + timedelta(seconds=200)) == 1
    assert Expirations.objects.get().counts == [[1, 1, miner.sector_size, "0"]]


def test_the_page_leads_to_the_extension_of_each_bucket(ann: None, quiet: None) -> None:
    miner = factories.miner(2001, of="alice")
    week = 7 * 2880
    factories.sector(miner, state="PROVING", expiration=1000 + week + 50)
    browser = signed_in()
    assert "Not counted yet" in text_of(browser.get(reverse("sectors-expirations")))
    expirations_count(now=NOON)

    shown = text_of(browser.get(reverse("sectors-expirations")))

    assert "1 proving sector" in shown
    assert "ends_from=" in shown
    assert reverse("sectors-change", args=["extend"]) in shown
    assert "by=month" in shown


def test_another_spelling_of_a_miner_does_not_extend_those_of_all(ann: None, quiet: None) -> None:
    mine, other = factories.miner(2001, of="alice"), factories.miner(2002, of="alice")
    for miner in (mine, other, other):
        factories.sector(miner, state="PROVING", expiration=1000 + 7 * 2880)
    expirations_count(now=NOON)
    browser, here = signed_in(), reverse("sectors-expirations")

    for spelling in ("f02001", "t02001"):
        shown = text_of(browser.get(here, {"miner": spelling}))
        assert "1 proving sector," in shown
        assert "all=1&amp;miner=f02001&amp;ends_from=" in shown
    assert "3 proving sectors," in text_of(browser.get(here))
    assert browser.get(here, {"miner": "f09999"}).status_code == 404


def test_a_pool_without_proving_sectors_says_so(ann: None, quiet: None) -> None:
    shown = text_of(signed_in().get(reverse("sectors-expirations")))

    assert "No proving sector" in shown
