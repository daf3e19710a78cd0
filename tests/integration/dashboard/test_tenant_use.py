"""What share of hosts, proofs and gas each tenant has and used; and the gas of each method."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.checks.models import ServiceDay, TenantServiceDay
from apps.checks.selectors.tenant_use import tenant_uses
from apps.core.clock import now
from apps.core.day_ranges import today_of
from apps.core.formatting import NOTHING
from apps.messages.models import Message
from apps.messages.selectors import method_gas as gas_module
from apps.messages.selectors.method_gas import method_gas, percentile
from apps.messages.states import MessageState
from apps.users.rules.principals import SYSTEM
from apps.users.services.tokens import TokenLimits
from tests import factories, people
from tests.page_client import signed_in, text_of
from tests.people import principal

pytestmark = pytest.mark.django_db


def proofs(counts: dict[str, int], *, days_ago: int = 1) -> None:
    day = ServiceDay.objects.create(day=today_of(now()) - timedelta(days=days_ago), end_epoch=1000 - days_ago)
    for name, count in counts.items():
        TenantServiceDay.objects.create(day=day, tenant=people.tenant(name), posts_proven=count)


def scene() -> None:
    for of, count in (("alice", 3), ("bob", 1)):
        for _ in range(count):
            factories.worker(of=of)
    proofs({"alice": 10, "bob": 30})
    proofs({"alice": 1000}, days_ago=40)
    factories.spend(factories.bls(1), of="alice", cost=9 * factories.FIL)
    factories.spend(factories.bls(2), of="bob", cost=factories.FIL)
    factories.spend(factories.bls(3), of="bob", cost=factories.FIL, days_ago=40)


def test_each_tenants_part_adds_up_to_the_whole():
    scene()
    carol = people.tenant("carol")

    found, everything = tenant_uses(SYSTEM, now=now())

    alice, bob = (found[people.tenant(name).pk] for name in ("alice", "bob"))
    assert (alice.hosts, alice.proofs, alice.gas) == (3, 10, 9 * factories.FIL)
    assert (bob.hosts, bob.proofs, bob.gas) == (1, 30, factories.FIL)
    assert (everything.hosts, everything.proofs, everything.gas) == (4, 40, 10 * factories.FIL)
    assert carol.pk not in found


def test_proofs_are_unknown_until_a_day_is_counted():
    factories.worker()

    found, everything = tenant_uses(SYSTEM, now=now())

    assert [one.proofs for one in found.values()] == [None]
    assert everything.proofs is None


def test_the_operator_sees_all_shares_and_a_tenant_its_own_use_alone():
    scene()
    people.operator_person()
    people.person("ann")
    olga, ann = signed_in("olga"), signed_in("ann")
    page = reverse("tenant", args=[people.tenant("alice").uuid])

    table = unescape(text_of(olga.get(reverse("tenants-use"))))
    for words in ("75\u202f%", "25\u202f%", "90\u202f%", "10\u202f%", "9.0000", "1.0000"):
        assert words in table
    assert "75\u202f%" in text_of(olga.get(page))
    hers = text_of(ann.get(page)).partition('id="f-tenant-use"')[2].partition("</section>")[0]
    assert "9.0000" in hers
    assert "%" not in hers, "a share tells how much all others have"
    assert ann.get(reverse("tenants-use")).status_code == 404
    assert reverse("tenants-use") not in text_of(ann.get(reverse("tenants")))


def test_rest_tells_the_operator_all_and_a_tenant_its_own_use_alone():
    scene()
    path = "/api/v1/tenant-use"

    whole = Client().get(path, headers=people.bearer(people.operator_token())).json()
    pages = (
        Client().get(path, {"limit": 1, "offset": 1}, headers=people.bearer(people.operator_token())).json()
    )
    hers = Client().get(path, headers=people.bearer(people.token("read", of="alice"))).json()

    alice = {"tenant": "alice", "hosts": 3, "proofs": 10, "gas": str(9 * factories.FIL)}
    shares = {"hosts_share": 0.75, "proofs_share": 0.25, "gas_share": 0.9}
    assert whole["results"][0] == alice | shares
    assert [one["tenant"] for one in whole["results"]][:2] == ["alice", "bob"]
    assert pages["results"] == whole["results"][1:2]
    assert hers["results"] == [alice | dict.fromkeys(shares)]
    few = people.token("read", of="alice", limits=TokenLimits(miners=[2001]))
    assert Client().get(path, headers=people.bearer(few)).status_code == 403


def test_percentiles_are_values_that_occurred():
    assert [percentile([7], share) for share in (50, 95)] == [7, 7]
    assert percentile(range(1, 101), 50) == 50
    assert percentile(range(100, 0, -1), 95) == 95
    assert percentile([1, 2, 1000], 50) == 2


def landed(used: int, *, of: str = "alice", **data: Any) -> None:
    values: dict[str, Any] = {"to": "f04", "method": 2, "gas_used": used, "gas_cost": used * 10}
    factories.message(of=of, state=MessageState.LANDED, **values | data)


def test_the_gas_of_a_method_is_of_what_landed_well_in_a_bounded_sample(monkeypatch):
    miner = factories.miner()
    for used in (100, 200, 300):
        landed(used)
    landed(1_000_000, exit_code=16)
    landed(5_000, to=miner.address, method=5, kind="window_post")
    factories.message(to="f04", method=2)
    landed(9, of="bob", to="f04", method=2)

    found = {one.method: one for one in method_gas(principal("alice"), miners=[miner.address], now=now())}

    assert set(found) == {"CreateMiner", "SubmitWindowedPoSt"}
    made = found["CreateMiner"]
    assert (made.messages, made.gas_p50, made.gas_p95, made.cost_p50) == (3, 200, 300, 2_000)
    monkeypatch.setattr(gas_module, "SAMPLED", 1)
    assert sum(one.messages for one in method_gas(SYSTEM, miners=[], now=now())) == 1
    Message.objects.update(created_at=now() - timedelta(days=31))
    assert method_gas(SYSTEM, miners=[], now=now()) == []


def test_the_gas_page_shows_it_and_says_when_there_is_none():
    people.operator_person()
    olga = signed_in("olga")

    assert "No message landed in these days." in text_of(olga.get(reverse("gas")))
    landed(1234)
    text = text_of(olga.get(reverse("gas"))).partition('id="f-method-gas"')[2].partition("</section>")[0]
    assert "CreateMiner" in text
    assert "1\u202f234" in text
    assert NOTHING not in text
