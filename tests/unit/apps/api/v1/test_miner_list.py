"""The list of miners over REST: its queries do not grow with its rows."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.people import bearer, token

pytestmark = pytest.mark.django_db


def test_a_page_is_read_with_as_many_queries_for_eight_miners_as_for_two(client: Client) -> None:
    reader, seen = token("read"), []

    for first, last in ((1000, 1001), (1002, 1007)):
        for actor_id in range(first, last + 1):
            factories.miner(actor_id)
        client.get("/api/v1/miners", headers=bearer(reader))  # the first request notes the token's use
        with CaptureQueriesContext(connection) as queries:
            rows = client.get("/api/v1/miners", headers=bearer(reader)).json()["results"]
        seen.append((len(rows), len(queries)))

    assert [rows for rows, _ in seen] == [2, 8]
    assert seen[0][1] == seen[1][1], seen
