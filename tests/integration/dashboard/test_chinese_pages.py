"""Each page of a busy pool in Chinese has no English text that the catalogue translates."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import pytest

from apps.core.catalogue import CATALOGUE
from apps.core.catalogue_files import catalogue_read
from tests.demo_data import FORMS, LISTS, OBJECTS, Pool, addresses, busy_pool
from tests.page_client import signed_in, text_of
from tests.page_words import Words
from tests.people import operator_person, person
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db

HOLE: Final = re.compile(r"\{[^{}]*\}|%\([a-zA-Z_0-9]+\)[sd]|<[^>]*>|&[a-z]+;")
DATA: Final = frozenset({"Send", "pool"})
"""Names of a method and a tenant, which are also words of pages."""


@cache
def english() -> tuple[frozenset[str], re.Pattern[str]]:
    """Return the texts that have a translation, and what their longer parts look like inside of others."""
    whole, parts = set(), set()
    for message in catalogue_read(CATALOGUE):
        texts = [message.id] if isinstance(message.id, str) else message.id
        translation = "".join(message.string or "")
        for text in texts:
            if not text or text == translation:
                continue
            whole.add(text)
            parts |= {
                part
                for one in HOLE.split(text)
                if len(part := one.strip()) > 12 and part.count(" ") > 1 and part not in translation
            }
    return frozenset(whole), re.compile("|".join(map(re.escape, sorted(parts, key=len, reverse=True))))


def untranslated(html: str) -> set[str]:
    """Return the English texts of a page that have a translation."""
    whole, parts = english()
    return {text for text in Words(html).texts if text in whole or parts.search(text)} - DATA


@pytest.fixture(scope="module")
def pool(module_rows: None) -> Pool:
    """What alice has; the operator and one of hers read Chinese."""
    for one in (operator_person(), person()):
        one.language = "zh-hans"
        one.save()
    return busy_pool()


@pytest.fixture(scope="module")
def reports() -> SharedReports:
    """What the checks find of it, by viewer: no page changes that."""
    return SharedReports()


@pytest.fixture(autouse=True)
def shared(reports: SharedReports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each viewer's pages share one evaluation."""
    monkeypatch.setattr(REPORT_NOW, reports)


@pytest.fixture(scope="module")
def pages(pool: Pool) -> dict[str, str]:
    """The addresses of its pages, by their names."""
    return addresses(pool)


@pytest.mark.parametrize("page", [*LISTS, *FORMS, *OBJECTS])
@pytest.mark.parametrize("name", ["olga", "ann"])
def test_a_page_in_chinese_is_translated(pages, page, name):
    html = text_of(signed_in(name).get(pages[page]))

    assert untranslated(html) == set()
