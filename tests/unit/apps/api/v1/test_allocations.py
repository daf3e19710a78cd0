"""Allocations over REST: pages, filters, where the data are, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.core.clock import now
from apps.sectors.models import AllocationsRead
from tests import factories, people, verified_rows

pytestmark = pytest.mark.django_db


def asked(client: Client, path: str, *, of: str = "alice") -> Any:
    return client.get(
        f"/api/v1/{path}", headers={"Authorization": f"Bearer {people.token(of=of, perm='read')}"}
    )


def test_a_callers_allocations_come_in_pages_by_their_end(client: Client) -> None:
    miner = factories.miner(2001, of="alice")
    factories.head(1000)
    for number, end in ((1, 2000), (2, 1500), (3, 900), (4, 1500)):
        verified_rows.allocation(miner, number=number, expiration=end)
    verified_rows.allocation(factories.miner(2002, of="bob"), number=9)
    piece = factories.piece(miner, state="READY", client=1010, allocation=2)
    assert asked(client, "allocations").json()["height"] is None, "nobody has asked the chain"
    read = {"due_at": now(), "all_due_at": now(), "read_at": now(), "height": 998, "is_of_all": True}
    AllocationsRead.objects.create(pk=1, **read)

    first = asked(client, "allocations?limit=2").json()
    second = asked(client, f"allocations?limit=2&cursor={first['next']}").json()

    assert (first["height"], first["is_of_all"], second["next"]) == (998, True, None)
    rows = first["results"] + second["results"]
    assert [(row["allocation"], row["state"]) for row in rows] == [
        (3, "expired"),
        (2, "here"),
        (4, "missing"),
        (1, "missing"),
    ]
    assert rows[1]["piece"]["uuid"] == str(piece.uuid)
    assert (rows[0]["client"], rows[0]["miner"], rows[0]["size"]) == ("f01010", "f02001", 1 << 20)
    missing = asked(client, "allocations?state=missing&miner=f02001&client=f01010").json()["results"]
    assert [row["allocation"] for row in missing] == [4, 1]


def test_one_allocation_is_found_by_its_id_by_whoever_has_the_miner(client: Client) -> None:
    row = verified_rows.allocation(factories.miner(2002, of="bob"), number=9)

    assert asked(client, "allocations/9", of="bob").json()["piece_cid"] == row.piece_cid
    people.tenant("alice")
    answer = asked(client, "allocations/9")
    assert (answer.status_code, answer.json()["code"]) == (404, "allocation_unknown")


@pytest.mark.parametrize(
    ("query", "field"),
    [("state=gone", "state"), ("client=bob", "client"), ("q=x", "q"), ("cursor=1", "cursor"), ("to=1", "to")],
)
def test_what_cannot_be_read_is_refused_by_name(client: Client, query: str, field: str) -> None:
    factories.miner(2001, of="alice")

    answer = asked(client, f"allocations?{query}")

    assert (answer.status_code, answer.json()["field"]) == (400, field)
