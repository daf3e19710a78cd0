"""No page reads more of the database because the pool is older: counted in blocks and rows, not seconds.

`make test` looks as a tenant, whose rows are a part of all; `make soak` as the operator and as another
tenant, too, and follows each filter of each list.
"""

from __future__ import annotations

import re
from collections import Counter
from html import unescape
from typing import Final
from urllib.parse import urljoin, urlsplit

import pytest
from django.db import connection, reset_queries
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.checks.selectors import timeline
from apps.dashboard import list_page, pagination
from apps.messages.selectors import alike
from tests.bulk_rows import message_copies_insert, sector_copies_insert
from tests.demo_data import LISTS, addresses, busy_pool, plain_addresses
from tests.page_client import signed_in
from tests.people import operator_person, person
from tests.query_plans import Reads, reads_of
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db(transaction=True)
"""Committed, so that each crowd can be vacuumed: rows that other tests rolled back must not be counted."""

FEW, MANY = 2_000, 20_000
"""Landed messages and proven sectors, one ten times the other: a full page of failed messages in both."""

VIEWERS: Final = ("the operator", "its tenant", "another tenant")
SLACK: Final = Reads(blocks=200, rows=400)
"""What a page may read more: a level of an index, and for each of its 51 rows a probe of an index where a
small table was read whole before, or what stands before the first rows that fit.  A table that is read whole
has 18,000 rows more."""


def reads(client: Client, address: str, known: dict[str, Reads]) -> dict[str, Reads]:
    """Ask for a page; return what each of its queries reads."""
    reset_queries()  # the log holds 9,000 of them, and the capture keeps a request from clearing it
    with CaptureQueriesContext(connection) as asked:
        # more rows than are counted are not put in another order
        assert client.get(address).status_code in ((200, 422) if "sort=" in address else (200,))
    return reads_of(asked.captured_queries, known=known)


def filters(client: Client, address: str) -> list[str]:
    """The links of a list to parts of itself."""
    found = re.findall(r'href="(\?[^"]+|[^"?]*\?[^"]+)"', client.get(address).content.decode())
    links = [urljoin(address, unescape(link)) for link in found]
    return [link for link in links if urlsplit(link).path == address]


@pytest.mark.parametrize(
    ("viewers", "has_filters"),
    [(("its tenant",), False), pytest.param(VIEWERS, True, marks=pytest.mark.slow)],
    ids=["pages", "and filters"],
)
def test_no_page_reads_more_of_an_older_pool(
    monkeypatch: pytest.MonkeyPatch, viewers: tuple[str, ...], has_filters: bool
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("vacuum")  # the tables are empty: what rolled back rows have left of them goes
    pool, others = busy_pool(), busy_pool("bob", key=50, actor_id=3001)
    operator_person("the operator")
    person("its tenant")
    person("another tenant", of="bob")
    clients = {who: signed_in(who) for who in viewers}
    reports = SharedReports()
    monkeypatch.setattr(REPORT_NOW, reports)
    # rows are counted up to a bound: it is passed by both crowds
    monkeypatch.setattr(pagination, "COUNT_MAX", FEW // 2)
    monkeypatch.setattr(pagination, "CHIP_MAX", FEW // 2)
    monkeypatch.setattr(list_page, "COUNT_MAX", FEW // 2)
    monkeypatch.setattr(alike, "GROUPED_MAX", FEW // 20)
    monkeypatch.setattr(timeline, "EVENTS_SEARCHED", FEW // 2)
    asked = []
    for who, client in clients.items():
        pages = plain_addresses() | addresses(others if who == "another tenant" else pool)
        if has_filters:
            pages |= {link: link for name in LISTS for link in filters(client, pages[name])}
            assert f"{pages['messages']}?state=landed" in pages
        asked += [(who, name, address) for name, address in pages.items()]
    seen = []
    for first, last in ((1, FEW), (FEW + 1, MANY)):
        with connection.cursor() as cursor:
            message_copies_insert(cursor, of=f"id = '{pool.landed.id}'", first=first, last=last)
            sector_copies_insert(cursor, of=f"id = {pool.active.pk}", first=first, last=last)
            cursor.execute("vacuum analyze")
        reports.made.clear()  # the first page of each person evaluates
        known: dict[str, Reads] = {}
        seen.append([reads(clients[who], address, known) for who, _name, address in asked])

    for (who, name, _address), few, many in zip(asked, *seen, strict=True):
        for what in Reads._fields:
            before, after = (_by_shape(page, what) for page in (few, many))
            more = {shape: count - before.get(shape, 0) for shape, count in after.items()}
            worst = max(more, key=lambda shape: more[shape])
            few_sum, many_sum = sum(before.values()), sum(after.values())
            assert many_sum <= few_sum + getattr(SLACK, what), (
                f"{name} of {who}: {few_sum} {what}, then {many_sum}; {more[worst]} of them by {worst}"
            )


def _by_shape(page: dict[str, Reads], what: str) -> Counter[str]:
    """Return blocks or rows by query, whatever the numbers in it."""
    found: Counter[str] = Counter()
    for sql, read in page.items():
        found[re.sub(r"\d+", "1", sql)] += getattr(read, what)
    return found
