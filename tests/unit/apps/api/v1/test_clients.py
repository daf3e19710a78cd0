"""Clients over REST and on their pages: how their deals stand, and who blocks or allows them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.market.models import Deal, MinerMarket
from apps.market.services.markets import client_rule_set, market_set
from apps.miners.models import Miner
from apps.users.models import AuditEntry
from apps.users.states import Role
from tests import factories, people
from tests.mk20 import sized
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

CAROL, DAVE = factories.secp(5), factories.secp(6)


@pytest.fixture
def miner() -> Miner:
    factories.head(1000)
    return factories.miner(2001)


def deal(of: Miner, client: str = CAROL, **changes: Any) -> Deal:
    return factories.deal(of, sized(b"x" * 1000), client=client, **changes)


def get(client: Client, path: str, *, of: str = "alice") -> Any:
    return client.get(f"/api/v1/{path}", headers=people.bearer(people.token("read", of=of)))


def patch(client: Client, address: str, level: str = "sign", of: str = "alice", **body: Any) -> Any:
    return client.patch(
        f"/api/v1/clients/{address}",
        body,
        content_type="application/json",
        headers=people.bearer(people.token(level, of=of)),
    )


def test_clients_are_listed_with_how_their_deals_stand(client: Client, miner: Miner) -> None:
    for state in ("ACTIVE", "ACTIVE", "SEALING", "ENDED", "REFUSED", "FAILED"):
        deal(miner, state=state)
    deal(miner, DAVE)
    deal(factories.miner(2002, of="bob"), factories.secp(7))

    rows = get(client, "clients").json()["results"]

    assert [row["client"] for row in rows] == [DAVE, CAROL]
    counts = {name: rows[1][name] for name in ("active", "coming", "ended", "refused", "failed", "stored")}
    assert counts == {"active": 2, "coming": 1, "ended": 1, "refused": 1, "failed": 1, "stored": 2000}
    assert [row["client"] for row in get(client, f"clients?client={CAROL}").json()["results"]] == [CAROL]
    assert get(client, "clients?miner=f02001&limit=1").json()["count"] == 2
    assert get(client, "clients?state=blocked").json()["count"] == 0
    assert get(client, "clients?state=x").status_code == 400


def test_a_client_says_why_its_deals_came_to_nothing(client: Client, miner: Miner) -> None:
    for _ in range(2):
        deal(miner, state="REFUSED", reason="provider is disabled")
    deal(miner, state="FAILED", reason="the source answered 404")

    reasons = get(client, f"clients/{CAROL}").json()["reasons"]

    assert [(row["state"], row["reason"], row["count"]) for row in reasons] == [
        ("REFUSED", "provider is disabled", 2),
        ("FAILED", "the source answered 404", 1),
    ]


def test_a_client_of_another_tenants_miners_does_not_exist(client: Client, miner: Miner) -> None:
    deal(miner)
    bobs = factories.miner(2002, of="bob")

    assert get(client, f"clients/{CAROL}", of="bob").status_code == 404
    assert get(client, "clients", of="bob").json()["count"] == 0
    assert patch(client, CAROL, of="bob", miner=str(bobs), is_blocked=True).status_code == 404
    assert patch(client, CAROL, miner=str(bobs), is_blocked=True).status_code == 404
    assert patch(client, CAROL, "write", miner=str(miner), is_blocked=True).status_code == 403
    assert get(client, "clients/x").status_code == 404
    people.person("bea", of="bob")
    assert signed_in("bea").get(f"/clients/{CAROL}/").status_code == 404
    assert not MinerMarket.objects.exists()


@pytest.mark.parametrize(
    ("rule", "clients", "is_blocked", "expected"),
    [
        ("anybody", [], True, ("except", [CAROL])),
        ("anybody", [DAVE], True, ("except", [CAROL])),
        ("anybody", [DAVE], False, ("anybody", [DAVE])),
        ("except", [DAVE], True, ("except", [DAVE, CAROL])),
        ("except", [DAVE, CAROL], True, ("except", [DAVE, CAROL])),
        ("except", [DAVE, CAROL], False, ("except", [DAVE])),
        ("only", [DAVE], True, ("only", [DAVE])),
        ("only", [DAVE, CAROL], True, ("only", [DAVE])),
        ("only", [DAVE], False, ("only", [DAVE, CAROL])),
    ],
)
def test_blocking_and_allowing_changes_the_miners_rule_for_one_client(
    client: Client, miner: Miner, rule: str, clients: list[str], is_blocked: bool, expected: Any
) -> None:
    deal(miner)
    market_set(miner, values={"clients_rule": rule, "clients": clients}, by=people.principal())

    answer = patch(client, CAROL, miner="f02001", is_blocked=is_blocked)

    market = MinerMarket.objects.get()
    assert answer.status_code == 200
    assert (market.clients_rule, sorted(market.clients)) == (expected[0], sorted(expected[1]))
    body = answer.json()
    assert body["blocked_by"] == (["f02001"] if is_blocked and rule != "only" else [])
    assert body["allowed_by"] == (["f02001"] if not is_blocked and rule == "only" else [])


def test_a_client_is_blocked_on_its_page(miner: Miner) -> None:
    deal(miner, state="FAILED", reason="the source answered 404")
    people.person("ann")
    browser = signed_in("ann")

    before = text_of(browser.get(f"/clients/{CAROL}/"))
    answer = browser.post(f"/clients/{CAROL}/", {"miner": "f02001", "rule": "block"})
    after = text_of(browser.get(f"/clients/{CAROL}/"))

    assert "the source answered 404" in before
    assert 'value="block"' in before
    assert answer.status_code == 302
    assert "f02001 makes no deals with it." in after
    assert 'value="allow"' in after
    assert browser.post(f"/clients/{CAROL}/", {"miner": "f02001"}).status_code == 422
    assert AuditEntry.objects.filter(action="market.set", target="f02001").count() == 1
    listed = text_of(browser.get("/clients/?state=blocked"))
    assert "blocked" in listed
    assert browser.get("/clients/?sort=-stored").status_code == 200
    assert CAROL in text_of(browser.get("/clients.csv"))


def test_who_may_not_sign_blocks_nobody(miner: Miner) -> None:
    deal(miner)
    people.person("rea", role=Role.AUDITOR)

    browser = signed_in("rea")

    assert 'name="rule"' not in text_of(browser.get(f"/clients/{CAROL}/"))
    assert browser.post(f"/clients/{CAROL}/", {"miner": "f02001", "rule": "block"}).status_code == 404
    assert not MinerMarket.objects.exists()


def test_a_full_list_of_names_is_said_on_the_page(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    deal(miner)
    client_rule_set(miner, client=DAVE, is_blocked=True, by=people.principal())
    monkeypatch.setattr("apps.market.services.markets.CLIENTS_MAX", 1)
    people.person("ann")

    answer = signed_in("ann").post(f"/clients/{CAROL}/", {"miner": "f02001", "rule": "block"})

    assert answer.status_code == 422
    assert "has at most 1 addresses" in text_of(answer)
    assert MinerMarket.objects.get().clients == [DAVE]
