"""Verified claims over REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests import factories, people, verified_rows

pytestmark = pytest.mark.django_db


def asked(client: Client, query: str) -> Any:
    return client.get(f"/api/v1/claims?{query}", headers=people.bearer(people.token(perm="read")))


def test_a_callers_claims_come_in_pages_by_their_end(client: Client) -> None:
    miner = factories.miner(2001, of="alice")
    for number, end, of in ((1, 3000, 9), (2, 1500, 11), (3, 900, 9)):
        verified_rows.claim(miner, number=number, end_epoch=end, client=of, sector_number=number)
    verified_rows.claim(factories.miner(2002, of="bob"), number=9)

    first = asked(client, "limit=2").json()
    second = asked(client, f"limit=2&cursor={first['next']}").json()

    rows = first["results"] + second["results"]
    assert [(row["claim"], row["client"], row["end_epoch"], row["sector"]) for row in rows] == [
        (3, "f09", 900, 3),
        (2, "f011", 1500, 2),
        (1, "f09", 3000, 1),
    ]
    assert second["next"] is None
    found = asked(client, "client=f09&miner=f02001&ends_from=1000&ends_to=4000").json()["results"]
    assert [row["claim"] for row in found] == [1]


@pytest.mark.parametrize("field", ["client", "q", "sector", "cursor", "ends_from", "to"])
def test_what_cannot_be_read_is_refused_by_name(client: Client, field: str) -> None:
    factories.miner(2001, of="alice")

    answer = asked(client, f"{field}=x")

    assert (answer.status_code, answer.json()["field"]) == (400, field)
