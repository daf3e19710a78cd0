"""No page of a busy pool shows a time in UTC, without saying so, to a person in another zone.

Two operators open each page, one in UTC and one where clocks show other minutes: what both see alike is UTC.
"""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.demo_data import FORMS, LISTS, OBJECTS, Pool, addresses, busy_pool
from tests.page_client import signed_in, text_of
from tests.page_words import Words
from tests.people import operator_person
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db
TIME: Final = re.compile(r"(?<![\d:.])\d\d:\d\d(?::\d\d)?(?![\d:])|\d{4}-\d\d-\d\d")
UTC: Final = re.compile(r"UTC(?![+-])")


@pytest.fixture(scope="module")
def pool(module_rows: None) -> Pool:
    """What alice has, and who looks at it."""
    operator_person("olga")
    omar = operator_person("omar")
    omar.time_zone = "Asia/Kathmandu"
    omar.save()
    return busy_pool()


@pytest.fixture(scope="module")
def reports() -> SharedReports:
    """What the checks find of it: no page changes that."""
    return SharedReports()


@pytest.fixture(autouse=True)
def shared(reports: SharedReports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the pages share one evaluation."""
    monkeypatch.setattr(REPORT_NOW, reports)


def times_alike(here: str, there: str) -> list[str]:
    """Return the texts with a time, not said to be UTC, that both pages have."""
    texts, others = Words(here).texts, Words(there).texts
    return [text for text in texts if text in others and TIME.search(text) and not UTC.search(text)]


@pytest.mark.parametrize("page", [*LISTS, *FORMS, *OBJECTS])
def test_a_page_has_no_bare_utc_time_in_another_zone(pool, page):
    here, there = (text_of(signed_in(name).get(addresses(pool)[page])) for name in ("omar", "olga"))

    assert times_alike(here, there) == []
