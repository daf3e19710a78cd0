"""Adopting sectors by page, REST and command: the same rows, rights as for the miner, in the audit log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.miners.onchain.partition_facts import live_field
from apps.sectors.models import Sector, SectorAdoption
from apps.sectors.services.adoptions.rows import adoptions_follow
from apps.users.models import AuditEntry
from apps.users.services.tokens import TokenLimits
from tests import factories, people
from tests.page_client import signed_in, text_of
from tests.unit.apps.sectors.adoptions import Chain, at_head, chain_of

pytestmark = pytest.mark.django_db

PATH = "/api/v1/miners/f01000/adoptions"


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    """A chain with five sectors of alice's miner, one of which has a row."""
    miner = factories.miner(1000, of="alice", unlisted_sectors=4)
    factories.sector(miner, number=5, state="PROVING", store="s1")
    made = chain_of(5, 6, 7, 8, 9)
    for place in (
        "apps.api.v1.adoptions",
        "apps.dashboard.pages.miners.adopt",
    ):
        monkeypatch.setattr(f"{place}.sealing_context_read", lambda **_: at_head(made))
    return made


def rest(method: str, path: str = PATH, body: Any = None, *, perm: str = "sign", of: str = "alice") -> Any:
    data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    return getattr(Client(), method)(path, **data, headers=people.bearer(people.token(perm, of=of)))


def test_rest_says_what_it_would_do_and_does_it_once(chain: Chain) -> None:
    dry = rest("post", f"{PATH}?dry_run=true", {"numbers": "5-7,50"}).json()
    assert dry == {"count": 2, "numbers": "6-7", "listed": 1, "absent": "50"}
    assert not SectorAdoption.objects.exists()

    first, again = rest("post", body={"numbers": "5-7"}), rest("post", body={"numbers": "6"})
    assert (first.status_code, again.json()["uuid"]) == (201, first.json()["uuid"])
    adoptions_follow(at_head(chain))

    listed = rest("get", perm="read").json()
    assert listed["unlisted"] == 2
    [one] = listed["results"]
    assert (one["state"], one["written"], one["numbers"], one["unplaced"]) == ("DONE", 2, "6-7", 2)
    assert rest("get", f"{PATH}/{one['uuid']}", perm="read").json() == one
    nothing = rest("post", body={"numbers": "5-7"})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "adoption_refused")
    assert rest("get", "/api/v1/miners/f01000", perm="read").json()["unlisted_sectors"] == 2


def test_rest_refuses_who_may_not_and_what_cannot_be(chain: Chain) -> None:
    assert rest("post", body={}, perm="write").status_code == 403
    assert rest("post", body={}, of="bob").status_code == 404
    assert rest("post", body={"numbers": "x"}).json()["field"] == "numbers"
    assert rest("get", f"{PATH}/none").status_code == 404
    assert not SectorAdoption.objects.exists()
    made = rest("post", body={}).json()
    assert rest("delete", f"{PATH}/{made['uuid']}", of="bob").status_code == 404
    assert rest("delete", f"{PATH}/{made['uuid']}").json()["state"] == "CANCELLED"
    assert rest("delete", f"{PATH}/{made['uuid']}").status_code == 409
    adoptions_follow(at_head(chain))
    assert Sector.objects.count() == 1
    actions = AuditEntry.objects.filter(action__startswith="sector.adopt").values_list("action", flat=True)
    assert sorted(actions) == ["sector.adopt", "sector.adopt-cancel"]


def test_no_transaction_is_open_while_a_node_is_asked(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    depths: list[int] = []

    def asked(*given: Any) -> Any:
        depths.append(len(connection.savepoint_ids))
        return live_field(*given)

    monkeypatch.setattr("apps.sectors.services.adoptions.plans.live_field", asked)
    headers = people.bearer(people.token("sign", of="alice")) | {"Idempotency-Key": "k"}

    body: Any = {"data": "{}", "content_type": "application/json"}
    first, again = (Client().post(PATH, headers=headers, **body) for _ in range(2))

    assert depths == [0]
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())


def test_a_token_for_some_miners_orders_no_scans_of_the_tenants_stores(chain: Chain) -> None:
    limited = people.bearer(people.token("sign", of="alice", limits=TokenLimits(miners=[1000])))
    made = rest("post", body={}).json()

    for method, path in (("post", PATH), ("delete", f"{PATH}/{made['uuid']}")):
        refused = getattr(Client(), method)(path, "{}", content_type="application/json", headers=limited)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert SectorAdoption.objects.get().state == "ROWS"
    assert Client().get(PATH, headers=limited).status_code == 200


def test_the_page_counts_reviews_orders_and_cancels(chain: Chain) -> None:
    people.person("ann", of="alice")
    browser, page = signed_in("ann"), reverse("miner-adopt", args=["f01000"])
    text = text_of(browser.get(reverse("miner", args=["f01000"])))
    assert "4 not in the database" in text
    assert page in text
    assert "4 live sectors on chain not in the database" in text_of(browser.get(page))

    asked = text_of(browser.post(page, {"numbers": "6-8"}))
    for words in ("Adopt 3 sectors of f01000", "6-8"):
        assert words in asked, words
    assert not SectorAdoption.objects.exists()
    assert browser.post(page, {"numbers": "6-8", "sure": "yes"}).status_code == 302
    text = text_of(browser.get(page))
    for words in ("adding sectors", "0 of 3 sectors added", "Cancel adoption"):
        assert words in text, words
    key = str(SectorAdoption.objects.get().uuid)
    assert browser.post(page, {"cancel": key}).status_code == 302
    assert "cancelled" in text_of(browser.get(page))

    browser.post(page, {"numbers": "", "sure": "yes"})
    adoptions_follow(at_head(chain))
    text = text_of(browser.get(page))
    for words in (
        "Every live sector on chain is in the database.",
        "4 of 4 sectors added; files of 4 sectors of the miner not found in the stores",
    ):
        assert words in text, words
    refused = browser.post(page, {"numbers": "x"})
    assert refused.status_code == 422
    nothing = browser.post(page, {"numbers": ""})
    assert "all sectors of f01000 on chain are already recorded here" in text_of(nothing)
    assert AuditEntry.objects.filter(action="sector.adopt", actor__contains="ann").count() == 2


def test_a_stranger_and_a_reader_cannot(chain: Chain) -> None:
    page = reverse("miner-adopt", args=["f01000"])
    people.person("bill", of="bob")
    people.person("anna", of="alice", role="AUDITOR")
    assert signed_in("bill").get(page).status_code == 404
    reader = signed_in("anna")
    assert reader.get(page).status_code == 200
    assert reader.post(page, {"numbers": "", "sure": "yes"}).status_code in (403, 404)
    assert not SectorAdoption.objects.exists()
