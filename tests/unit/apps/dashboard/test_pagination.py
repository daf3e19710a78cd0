"""Keyset pages: cursors and neighbours."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.dashboard.pagination import ROWS, cursor_read, page_newest, page_of
from apps.sectors.models import Sector
from tests import factories


def page(count, query=None, *, is_first=True):
    return page_of(list(range(count)), of="sectors", cursor_of=str, query=query or {}, is_first=is_first)


def test_a_short_list_is_one_page():
    shown, pager = page(3)

    assert shown == [0, 1, 2]
    assert (pager.shown, pager.newer, pager.older) == (3, "", "")


def test_a_full_page_without_a_next_row_is_the_last():
    _, pager = page(ROWS)

    assert pager.older == ""


def test_one_row_more_makes_a_next_page_behind_the_last_row_shown():
    shown, pager = page(ROWS + 1, {"state": "work", "q": ""})

    assert len(shown) == ROWS
    query = parse_qs(pager.older.removeprefix("?"))
    assert query["state"] == ["work"]
    assert "q" not in query
    assert cursor_read(query["after"][0], of="sectors") == str(ROWS - 1)


def test_a_later_page_knows_the_way_back_with_its_filters():
    _, pager = page(2, {"state": "work", "after": "x"}, is_first=False)

    assert pager.newer == "?state=work"


def test_a_changed_cursor_counts_for_nothing():
    _, pager = page(ROWS + 1)
    cursor = parse_qs(pager.older.removeprefix("?"))["after"][0]

    assert cursor_read(cursor[:-1] + ("A" if cursor[-1] != "A" else "B"), of="sectors") == ""
    assert cursor_read(cursor, of="messages") == ""


def test_no_cursor_is_the_first_page():
    assert cursor_read("", of="sectors") == ""


@pytest.mark.django_db
def test_a_page_says_which_rows_of_how_many_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.dashboard.pagination.ROWS", 2)
    for number in range(5):
        factories.sector(factories.miner(), number=number)
    rows, after, spans = Sector.objects.order_by("-pk"), "", []
    while True:
        with CaptureQueriesContext(connection) as queries:
            shown, pager = page_newest(rows, after, of="sectors", query={})
        spans.append((len(shown), pager.span, len(queries)))
        if not pager.older:
            break
        after = parse_qs(pager.older.removeprefix("?"))["after"][0]

    assert spans == [(2, "1–2 of 5", 1), (2, "3–4 of 5", 1), (1, "5 of 5", 1)]


@pytest.mark.django_db
def test_rows_beyond_a_limit_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.dashboard.pagination.ROWS", 2)
    monkeypatch.setattr("apps.dashboard.pagination.COUNT_MAX", 3)
    for number in range(6):
        factories.sector(factories.miner(), number=number)

    _, pager = page_newest(Sector.objects.order_by("-pk"), "", of="sectors", query={})

    assert (pager.total, pager.span) == (4, "1–2 of more than 3")
