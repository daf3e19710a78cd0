"""What a page of sectors over REST reads from the database."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.people import bearer, token

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


def numbers(client: Client, query: str, *, of: str = "alice") -> list[int]:
    answer = client.get(f"/api/v1/sectors?{query}", headers=bearer(token("read", of=of)))
    assert answer.status_code == 200, answer.content
    return [row["number"] for row in answer.json()["results"]]


def test_sectors_are_found_by_number_host_and_store(client: Client) -> None:
    miner, host = factories.miner(2001, of="alice"), factories.worker("seal-7")
    held = factories.sector(miner, number=7, state="PC1_DONE", held_by=host)
    factories.sector(miner, number=8, state="PROVING", store="disk-2")
    factories.sector(factories.miner(2002, of="alice"), number=7)

    assert numbers(client, "number=7") == [7, 7]
    assert numbers(client, "number=7&miner=f02001") == [held.number]
    assert numbers(client, "number=0") == []
    assert sorted(numbers(client, "number=")) == [7, 7, 8], "an empty one is none"
    factories.sector(miner, number=2**63 - 1)
    assert numbers(client, f"number={2**63 - 1}") == [2**63 - 1]
    assert numbers(client, "host=seal-7") == [7]
    assert numbers(client, "host=seal-8") == []
    assert numbers(client, "store=disk-2&state=PROVING") == [8]
    assert numbers(client, "host=seal-7", of="bob") == []
    assert client.get("/api/v1/sectors?number=x", headers=bearer(token("read"))).status_code == 400


def test_a_sector_is_named_by_miner_and_number_too(client: Client) -> None:
    sector = factories.sector(factories.miner(2001, of="alice"), number=7)
    factories.sector(factories.miner(2002, of="bob"), number=7)
    reader = bearer(token("read", of="alice"))

    found = client.get("/api/v1/sectors/f02001-7", headers=reader)
    assert (found.status_code, found.json()["uuid"]) == (200, str(sector.uuid))
    for name in ("f02001-8", "f02002-7", "f02001", "7", "f02001-"):
        assert client.get(f"/api/v1/sectors/{name}", headers=reader).json()["code"] == "sector_unknown"
    paused = client.post("/api/v1/sectors/f02001-7/pause", headers=bearer(token("write", of="alice")))
    assert paused.json()["paused"] is True
    path = "/api/v1/sectors/f02001-7/pause?end_stage=perhaps"
    refused = client.post(path, headers=bearer(token("write", of="alice")))
    assert (refused.status_code, refused.json()["field"]) == (400, "end_stage")
