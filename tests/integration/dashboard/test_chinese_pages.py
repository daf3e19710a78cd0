"""Each page of a busy pool in Chinese has no English text that the catalogue translates."""

from __future__ import annotations

import re
from html import unescape
from typing import Final
from urllib.parse import unquote

import pytest

from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.registry import live_pages
from tests.demo_changes import changes
from tests.demo_data import FORMS, LISTS, OBJECTS, Pool, addresses, busy_pool
from tests.page_client import Seen
from tests.page_words import untranslated
from tests.people import operator_person, person, principal
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db

LIVE_KEY: Final = re.compile(r'/ws/live/\?page=([^&"]*)')
"""Names the page that live updates are for."""


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


@pytest.fixture(scope="module")
def seen(pages: dict[str, str]) -> Seen:
    """The pages as these people saw them."""
    return Seen(pages, "olga", "ann")


@pytest.mark.parametrize("name", ["olga", "ann"])
def test_pages_in_chinese_are_translated(seen: Seen, name: str) -> None:
    found = {page: untranslated(seen.text(name, page)) for page in (*LISTS, *FORMS, *OBJECTS)}

    assert {page: texts for page, texts in found.items() if texts} == {}


def test_pages_of_single_acts_are_translated(seen: Seen) -> None:
    others = set(seen.pages) - {*LISTS, *FORMS, *OBJECTS}

    found = {page: untranslated(seen.text("olga", page)) for page in sorted(others)}

    assert {page: texts for page, texts in found.items() if texts} == {}


def test_what_is_pushed_to_a_chinese_page_is_translated(seen: Seen, pool: Pool) -> None:
    viewer = principal("pool", "admin", is_operator=True)
    kinds = {kind for page in live_pages().values() for kind in (*page.fragments, *page.rows)}
    everything = changes(pool) | {(kind, "") for kind in kinds}

    found = {}
    for page in seen.pages:
        followed = LIVE_KEY.search(seen.text("olga", page))
        if followed is not None and unquote(followed[1]).partition(":")[0] in live_pages():
            pushed = fragments_render(
                everything, viewer=viewer, page=unescape(unquote(followed[1])), language="zh-hans"
            )
            found[page] = untranslated(pushed)

    assert len(found) > 20
    assert {page: texts for page, texts in found.items() if texts} == {}
