"""The pace of checks and the sizes of declarations: by page and REST, by level, in the audit log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.proving.rules.policy import ProvingPolicy
from apps.proving.selectors.settings import proving_policy
from apps.users.models import AuditEntry
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

POOL = "/api/v1/proving/settings"
MINER = "/api/v1/miners/f02001/proving"


def rest(address: str, body: Any, token: str = "") -> Any:
    return Client().patch(
        address,
        json.dumps(body),
        content_type="application/json",
        headers=people.bearer(token or people.token("sign", of="alice")),
    )


def test_a_miners_own_are_laid_over_the_pools() -> None:
    miner = factories.miner(2001, of="alice")
    operator = people.operator_token()

    assert rest(POOL, {"check_per_s": 7, "recover_max": 9}, operator).json()["in_force"]["check_per_s"] == 7
    body = rest(MINER, {"check_per_s": 3}).json()

    assert body["own"] == {"check_per_s": 3}
    assert body["pool"]["check_per_s"] == 7
    assert proving_policy(miner.pk) == ProvingPolicy(check_per_s=3, recover_max=9)
    assert proving_policy() == ProvingPolicy(check_per_s=7, recover_max=9)
    assert rest(MINER, {"check_per_s": None}).json()["own"] == {}
    assert proving_policy(miner.pk).check_per_s == 7
    entries = AuditEntry.objects.filter(action__endswith=".proving").order_by("pk")
    assert [(one.action, one.after) for one in entries] == [
        ("pool.proving", {"check_per_s": "7 per second", "recover_max": "9 sectors"}),
        ("miner.proving", {"check_per_s": "3 per second"}),
        ("miner.proving", {"check_per_s": None}),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"recover_max": 0}, "recover_max"), ({"declaration_max": 25_001}, "declaration_max"), ({"x": 1}, "x")],
)
def test_a_value_that_cannot_be_is_refused(body: Any, field: str) -> None:
    factories.miner(2001, of="alice")

    answer = rest(MINER, body)

    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_the_pools_are_the_operators_and_a_miners_its_signers() -> None:
    factories.miner(2001, of="alice")

    assert rest(POOL, {"check_per_s": 1}, people.token("admin", of="alice")).status_code == 403
    assert rest(MINER, {"check_per_s": 1}, people.token("read", of="alice")).status_code == 403
    assert rest(MINER, {"check_per_s": 1}, people.token("sign", of="bob")).status_code == 404
    assert proving_policy() == ProvingPolicy()


def test_pages_show_the_level_above_and_save(ann: None) -> None:
    miner, browser = factories.miner(2001, of="alice"), signed_in()
    page = reverse("miner-proving-settings", args=["f02001"])

    assert 'placeholder="20"' in text_of(browser.get(page))
    assert browser.post(page, {"check_per_s": "4"}).status_code == 302
    assert browser.post(page, {"recover_max": "0"}).status_code == 422

    assert proving_policy(miner.pk).check_per_s == 4
    assert 'value="4"' in text_of(browser.get(page))
    assert "Checks per host: 4 per second." in text_of(browser.get(reverse("proving")))
    pool = reverse("proving-settings")
    assert "Save" not in text_of(browser.get(pool))
    assert browser.post(pool, {"check_per_s": "1"}).status_code == 404


def test_the_operator_sets_the_pools_on_its_page() -> None:
    people.operator_person("boss")
    browser, page = signed_in("boss"), reverse("proving-settings")

    assert browser.post(page, {"declaration_max": "12"}).status_code == 302

    assert proving_policy().declaration_max == 12
    assert 'value="12"' in text_of(browser.get(page))
