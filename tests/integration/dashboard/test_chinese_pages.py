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
from tests.page_client import signed_in, text_of
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


@pytest.mark.parametrize("page", [*LISTS, *FORMS, *OBJECTS])
@pytest.mark.parametrize("name", ["olga", "ann"])
def test_a_page_in_chinese_is_translated(pages, page, name):
    html = text_of(signed_in(name).get(pages[page]))

    assert untranslated(html) == set()


def test_pages_of_single_acts_are_translated(pages):
    client, others = signed_in("olga"), set(pages) - {*LISTS, *FORMS, *OBJECTS}

    found = {page: untranslated(text_of(client.get(pages[page]))) for page in sorted(others)}

    assert {page: texts for page, texts in found.items() if texts} == {}


def test_what_is_pushed_to_a_chinese_page_is_translated(pages, pool):
    client, viewer = signed_in("olga"), principal("pool", "admin", is_operator=True)
    kinds = {kind for page in live_pages().values() for kind in (*page.fragments, *page.rows)}
    everything = changes(pool) | {(kind, "") for kind in kinds}

    found = {}
    for page, address in pages.items():
        followed = LIVE_KEY.search(text_of(client.get(address)))
        if followed is not None and unquote(followed[1]).partition(":")[0] in live_pages():
            pushed = fragments_render(
                everything, viewer=viewer, page=unescape(unquote(followed[1])), language="zh-hans"
            )
            found[page] = untranslated(pushed)

    assert len(found) > 20
    assert {page: texts for page, texts in found.items() if texts} == {}
