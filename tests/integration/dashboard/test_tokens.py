"""The page of tokens: every valid one can be found, however many others there are."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from apps.core.clock import now
from apps.dashboard.pagination import ROWS
from apps.users.models import Token
from apps.users.services.grants import miner_grant
from apps.users.services.tokens import token_issue
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import bearer, operator_person, operator_token, person, tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    person("adm", role="TENANT_ADMIN")
    return signed_in("adm")


def names(text: str) -> list[str]:
    """The tokens of a page, in its order."""
    return re.findall(r'<th scope="row" class="c-name">([^<]+)<', text)


def next_page(text: str) -> str | None:
    """The address of the page after this one."""
    found = re.search(r'rel="next" href="([^"]+)"', text)
    return None if found is None else "/tokens/" + found[1]


def test_old_valid_token_stands_before_newer_ones_of_no_use(admin: Client) -> None:
    token_issue(tenant=tenant(), name="old admin", perm="admin")
    for n in range(ROWS):
        token_issue(tenant=tenant(), name=f"expired-{n}", perm="read", expires_at=now() - timedelta(days=1))
    token_issue(tenant=tenant(), name="exchanged", perm="write")
    Token.objects.filter(name="exchanged").update(joined_uid="host-1")
    token_issue(tenant=tenant(), name="revoked", perm="write")
    Token.objects.filter(name="revoked").update(revoked_at=now())

    text = text_of(admin.get("/tokens/"))

    assert names(text)[:3] == ["old admin", "revoked", "exchanged"]
    assert "1 valid token." in text
    assert "1 of them never used." in text


def test_all_tokens_are_counted_and_shown_page_by_page(admin: Client) -> None:
    for n in range(ROWS + 5):
        token_issue(tenant=tenant(), name=f"valid-{n}", perm="read")
    for n in range(ROWS + 5):
        token_issue(tenant=tenant(), name=f"expired-{n}", perm="read", expires_at=now() - timedelta(days=1))
    token_issue(tenant=tenant("bob"), name="a stranger's", perm="read")

    address: str | None = "/tokens/"
    shown: list[str] = []
    while address is not None:
        text = text_of(admin.get(address))
        assert f"{ROWS + 5} valid tokens." in text
        shown += names(text)
        address = next_page(text)

    assert shown == [f"{word}-{n}" for word in ("valid", "expired") for n in reversed(range(ROWS + 5))]


FORM = {"name": "prober", "part": "all", "perm": "", "life": "90"}


def offered(text: str, field: str) -> list[str]:
    """What a form offers to be ticked."""
    return re.findall(rf'name="{field}"\s+value="([^"]+)"', text)


def test_a_tenant_is_chosen_first_and_narrows_miners_and_keys() -> None:
    operator_person()
    for of, actor_id in (("alice", 2001), ("bob", 2002)):
        factories.miner(actor_id, of=of)
        factories.wallet(label=f"of {of}", of=of)
    browser = signed_in("olga")

    begun = text_of(browser.get("/tokens/new/"))
    chosen = text_of(browser.get("/tokens/new/", {"tenant": "bob"}))

    assert (offered(begun, "miners"), offered(begun, "signers")) == ([], [])
    assert not re.search(r'value="(alice|bob|pool)"\s+selected', begun)
    assert offered(chosen, "miners") == ["f02002"]
    assert "of bob" in chosen
    assert "of alice" not in chosen


def test_a_token_for_no_tenant_or_with_anothers_keys_is_refused() -> None:
    operator_person()
    factories.miner(2001, of="alice")
    miner_grant(tenant=tenant("alice"), actor_id=2001)
    wallet = factories.wallet(of="alice")
    tenant("bob")
    browser = signed_in("olga")
    count = Token.objects.count()

    for sent, why in (
        ({}, "choose a tenant"),
        ({"tenant": "bob", "miners": "f02001"}, "f02001 is not a miner of bob"),
        ({"tenant": "bob", "signers": str(wallet.address)}, "is not granted to bob"),
        ({"tenant": "bob", "miners": "x02001"}, "an address begins with f, t or 0x"),
        ({"tenant": "bob", "signers": "f1aaaa"}, "the address is too short or too long"),
    ):
        answer = browser.post("/tokens/new/", {**FORM, **sent})
        assert (answer.status_code, why in text_of(answer)) == (422, True)

    assert Token.objects.count() == count
    assert browser.post("/tokens/new/", {**FORM, "tenant": "alice", "miners": "f02001"}).status_code == 302


def test_rest_refuses_limits_to_anothers_miners(client: Client) -> None:
    miner_grant(tenant=tenant("alice"), actor_id=2001)
    body = {"name": "x", "perm": "read", "tenant": "bob", "miners": [2001]}
    tenant("bob")

    answer = client.post(
        "/api/v1/tokens", body, content_type="application/json", headers=bearer(operator_token())
    )

    assert (answer.status_code, answer.json()["field"]) == (400, "miners")


def test_an_invitation_preselects_no_tenant_and_no_role() -> None:
    operator_person()
    tenant("bob")
    browser = signed_in("olga")

    form = text_of(browser.get("/people/invite/")).partition('action="/people/invite/"')[2]
    assert " selected" not in form.partition("</form>")[0]
    for sent, why in (
        ({"role": "TENANT_ADMIN"}, "choose a tenant"),
        ({"tenant": "bob"}, "choose one of the options"),
    ):
        answer = browser.post("/people/invite/", {"username": "eve", **sent})
        assert (answer.status_code, why in text_of(answer)) == (422, True)
