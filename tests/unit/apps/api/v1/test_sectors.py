"""What a page of sectors over REST reads from the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.people import bearer, token

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db


def sectors_made(count: int) -> None:
    miner = factories.miner()
    for _ in range(count):
        first, second = factories.batch(miner), factories.batch(miner, "commit")
        host = factories.worker()
        row = factories.sector(miner, state="COMMIT_SENT", precommit_batch=first, commit_batch=second)
        row.job.sticky_worker = host
        row.job.save()
        for batch in (first, second):
            factories.message(batch.message_id, state="FILLED")


def queries_of(client: Client, reader: str) -> list[str]:
    with CaptureQueriesContext(connection) as seen:
        rows = client.get("/api/v1/sectors", headers=bearer(reader)).json()["results"]
    assert all(len(row["messages"]) == 2 and row["worker"] for row in rows)
    return [query["sql"] for query in seen.captured_queries]


def test_a_page_reads_no_parameters_and_as_often_for_many_rows_as_for_few(client: Client) -> None:
    reader = token("read")
    sectors_made(2)
    queries_of(client, reader)  # the first request of a token notes that it was used
    few = queries_of(client, reader)
    sectors_made(5)

    many = queries_of(client, reader)

    assert len(many) == len(few)
    assert not [sql for sql in many if '"sectors_batch"."params"' in sql or '"signed"' in sql]
