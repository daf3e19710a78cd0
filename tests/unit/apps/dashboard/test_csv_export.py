"""Downloads are made while they are sent."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.dashboard.csv_export import CHUNK, csv_answer, rows_in_turn
from apps.messages.models import Message
from apps.sectors.models import Sector
from tests import factories

ROWS = 10 * CHUNK


def test_asgi_sends_the_first_part_before_the_last_row_is_read():
    read = []

    def rows():
        for number in range(ROWS):
            read.append(number)
            yield (number, "=1+1")

    async def collect():
        parts, read_by_then = [], []
        async for part in csv_answer("x.csv", ("number", "text"), rows()):
            parts.append(part)
            read_by_then.append(len(read))
        return b"".join(parts), read_by_then

    whole, read_by_then = async_to_sync(collect)()

    assert read_by_then[0] < CHUNK + 1
    assert len(read_by_then) == ROWS // CHUNK + 1
    assert whole == csv_answer("x.csv", ("number", "text"), rows()).getvalue()
    assert whole.count(b"\n") == ROWS + 1


@pytest.mark.django_db
@pytest.mark.parametrize("order", [("-pk",), ("-height", "pk"), ("from_addr", "-height", "pk")])
def test_all_rows_come_once_and_in_their_order(monkeypatch, order):
    monkeypatch.setattr("apps.dashboard.csv_export.CHUNK", 3)
    for number in range(11):
        factories.message(f"m-{number:02}", height=number % 4, from_addr=factories.bls(number % 2))
    rows = Message.objects.order_by(*order)

    with CaptureQueriesContext(connection) as asked:
        found = list(rows_in_turn(rows))

    assert found == list(rows)
    assert len(asked) == 4
    assert not any("CURSOR" in one["sql"] for one in asked), "a pooler in transaction mode would lose it"


@pytest.mark.django_db
def test_rows_that_come_meanwhile_shift_none(monkeypatch):
    monkeypatch.setattr("apps.dashboard.csv_export.CHUNK", 2)
    miner = factories.miner()
    first = [factories.sector(miner, number=number).pk for number in range(5)]
    found = []
    for row in rows_in_turn(Sector.objects.order_by("-pk")):
        found.append(row.pk)
        factories.sector(miner)

    assert found == first[::-1]
