"""Sectors that expire soon or wait for their commit, and the record of one: over REST and as commands."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.chain.selectors.network import network_current
from apps.miners.models import Miner
from apps.sectors.selectors.sector_records import record_of
from tests import factories
from tests.people import bearer, token

pytestmark = pytest.mark.django_db

HEIGHT = 10_000


@pytest.fixture
def miner() -> Miner:
    factories.network()
    factories.head(HEIGHT)
    return factories.miner(2001, of="alice")


def read(client: Client, path: str, *, of: str = "alice", status: int = 200) -> Any:
    answer = client.get(f"/api/v1/{path}", headers=bearer(token("read", of=of)))
    assert answer.status_code == status, answer.content
    return answer.json()


def test_sectors_that_expire_soon_come_soonest_first(client: Client, miner: Miner) -> None:
    factories.sector(miner, number=3, state="PROVING", activation=9_000, expiration=HEIGHT + 300)
    factories.sector(miner, number=4, state="PROVING", activation=9_000, expiration=HEIGHT + 200)
    factories.sector(miner, number=5, state="PROVING", activation=None, expiration=HEIGHT + 200)
    factories.sector(miner, number=6, state="PROVING", expiration=HEIGHT + 301)
    factories.sector(miner, number=7, state="TERMINATED", expiration=HEIGHT + 100)
    factories.sector(miner, number=9, state="PROVING", expiration=HEIGHT - 1)  # over
    other = factories.miner(2002, of="alice")
    factories.sector(other, number=8, state="PROVING", expiration=HEIGHT + 100)

    found = read(client, "miners/f02001/expiring?cutoff=300")

    assert [row["number"] for row in found["results"]] == [4, 5, 3]
    assert (found["height"], found["cutoff"], found["next"]) == (HEIGHT, 300, None)
    network = network_current()
    assert found["results"][0]["max_expiration"] == 9_000 + network.max_sector_lifetime
    assert found["results"][0]["max_extension"] == HEIGHT + network.max_sector_expiration_extension
    assert found["results"][1]["max_expiration"] is None
    pages: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = read(client, f"miners/f02001/expiring?cutoff=300&limit=1&cursor={cursor}")
        pages += [row["number"] for row in page["results"]]
        cursor = page["next"]
    assert pages == [4, 5, 3], "two that end together stand on two pages"
    assert read(client, "miners/f02001/expiring")["cutoff"] == 172_800
    assert "cursor" in str(read(client, "miners/f02001/expiring?cursor=x", status=400))
    read(client, "miners/f02001/expiring", of="bob", status=404)


def test_an_extension_is_never_past_the_life_of_a_sectors_proof(client: Client, miner: Miner) -> None:
    network = network_current()
    old = HEIGHT - network.max_sector_lifetime + network.max_sector_expiration_extension - 7
    factories.sector(miner, number=3, state="PROVING", activation=old, expiration=HEIGHT + 5)

    [found] = read(client, "miners/f02001/expiring")["results"]

    assert (
        found["max_extension"] == found["max_expiration"] < HEIGHT + network.max_sector_expiration_extension
    )


def test_precommits_without_a_commit_are_listed_with_their_end(client: Client, miner: Miner) -> None:
    landed: dict[str, Any] = {"precommit_epoch": HEIGHT - 50}
    factories.sector(miner, number=3, state="PRECOMMIT_LANDED", **landed)
    factories.sector(miner, number=0, state="C2_DONE", seed_epoch=HEIGHT - 1, **landed)
    factories.sector(miner, number=4, state="PRECOMMIT_SENT")
    factories.sector(miner, number=5, state="PROVING", **landed)
    factories.sector(miner, number=6, state="ABORTED", **landed)

    found = read(client, "miners/f02001/precommits")["results"]

    network = network_current()
    assert [(row["number"], row["state"]) for row in found] == [(0, "C2_DONE"), (3, "PRECOMMIT_LANDED")]
    assert [row["seed_epoch"] for row in found] == [
        HEIGHT - 1,
        HEIGHT - 50 + network.pre_commit_challenge_delay,
    ]
    assert found[0]["lost_at"] == HEIGHT - 50 + network.max_prove_commit_duration
    first = read(client, "miners/f02001/precommits?limit=1")
    assert first["next"] == "0", "a number may be zero"
    rest = read(client, "miners/f02001/precommits?limit=1&cursor=0")
    assert ([row["number"] for row in rest["results"]], rest["next"]) == ([3], None)
    read(client, "miners/f02001/precommits", of="bob", status=404)


def test_the_record_of_one_sector_is_read_by_its_tenant(client: Client, miner: Miner) -> None:
    sector = factories.sector(miner, number=7, state="PROVING", ticket=bytes(32), ticket_epoch=9)

    assert read(client, "sectors/f02001-7/record") == record_of(sector)
    assert read(client, f"sectors/{sector.uuid}/record")["Ticket"]["Epoch"] == 9
    read(client, "sectors/f02001-7/record", of="bob", status=404)
