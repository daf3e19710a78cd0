"""An act is the same by whichever way it is asked for: what it refuses, and its line in the audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from apps.users.models import AccountApproval, AuditEntry, Token
from apps.users.services.grants import account_approve, miner_grant
from tests import factories, people
from tests.audit_rules import CheckedLines
from tests.page_client import left_open, signed_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("contexts")]

KEY = factories.secp(7)


@pytest.fixture(autouse=True)
def checked_lines() -> Iterator[None]:
    people.operator_person()
    people.tenant("alice")
    with CheckedLines():
        yield


@pytest.fixture
def operator() -> dict[str, str]:
    return people.bearer(people.operator_token())


def rest(method: str, path: str, by: dict[str, str], body: Any = None) -> Any:
    return Client().generic(
        method, f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=by
    )


def sophon(method: str, path: str, by: dict[str, str], body: dict[str, Any]) -> Any:
    """As sophon-auth's clients send it."""
    return Client().generic(method, f"/{path}", json.dumps(body), content_type="application/json", headers=by)


def page(path: str, body: dict[str, Any]) -> Any:
    return signed_in("olga").post(path, {"sure": "yes", **body})


def lines() -> list[tuple[str, str, Any, Any]]:
    """What the audit log holds, the oldest first."""
    return list(AuditEntry.objects.order_by("pk").values_list("action", "target", "before", "after"))


def same_lines() -> tuple[str, str, Any, Any]:
    """Return the line that all ways left alike."""
    first, *others = lines()
    assert others == [first] * len(others)
    return first


def test_tenant_created(operator: dict[str, str]) -> None:
    rest("POST", "tenants", operator, {"name": "one", "comment": "c"})
    sophon("PUT", "user/new", operator, {"name": "two", "comment": "c"})
    page("/tenants/new/", {"name": "three", "comment": "c"})

    assert lines() == [
        ("tenant.create", name, None, {"comment": "c", "enabled": True}) for name in ("one", "two", "three")
    ]


def test_name_of_a_tenant_fits_a_url(operator: dict[str, str]) -> None:
    answers = [
        rest("POST", "tenants", operator, {"name": "a/b"}),
        sophon("PUT", "user/new", operator, {"name": "a/b"}),
        page("/tenants/new/", {"name": "a/b"}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 422]
    assert lines() == []


@pytest.mark.parametrize("name", ["West Farm", "矿池", "_old", "ops@west"])
def test_sophon_auths_clients_name_a_tenant_as_they_always_did(name: str, operator: dict[str, str]) -> None:
    made = sophon("PUT", "user/new", operator, {"name": name})
    changed = rest("PATCH", f"tenants/{quote(name)}", operator, {"comment": "c"})

    assert (made.status_code, changed.status_code) == (200, 200)
    assert [line[:2] for line in lines()] == [("tenant.create", name), ("tenant.update", name)]


def test_tenant_changed(operator: dict[str, str]) -> None:
    uuid = people.tenant("alice").uuid
    rest("PATCH", "tenants/alice", operator, {"enabled": False})
    page(f"/tenants/{uuid}/open/", {})
    sophon("POST", "user/update", operator, {"name": "alice", "state": 2})
    page(f"/tenants/{uuid}/open/", {})
    page(f"/tenants/{uuid}/close/", {})

    closed = ("tenant.update", "alice", {"enabled": True}, {"enabled": False})
    opened = ("tenant.update", "alice", {"enabled": False}, {"enabled": True})
    assert lines() == [closed, opened, closed, opened, closed]


def test_tenant_that_stays_as_it_is_leaves_no_line(operator: dict[str, str]) -> None:
    answer = rest("PATCH", "tenants/alice", operator, {"enabled": True})
    sophon("POST", "user/update", operator, {"name": "alice", "state": 1})
    page(f"/tenants/{people.tenant('alice').uuid}/open/", {})

    assert answer.json()["enabled"] is True
    assert lines() == []


def test_tenant_deleted_and_restored(operator: dict[str, str]) -> None:
    sophon("POST", "user/del", operator, {"name": "alice"})
    sophon("POST", "user/recover", operator, {"name": "alice"})

    assert [line[:2] for line in lines()] == [("tenant.delete", "alice"), ("tenant.restore", "alice")]


def test_token_revoked_and_restored(operator: dict[str, str]) -> None:
    text = people.token("read", of="alice")
    token = Token.objects.get(perm="read")
    rest("DELETE", f"tokens/{token.pk}", operator)
    sophon("POST", "recoverToken", operator, {"token": text})
    sophon("DELETE", "token", operator, {"token": text})
    sophon("POST", "recoverToken", operator, {"token": text})
    page(f"/tokens/{token.pk}/revoke/", {})

    named = {"uuid": str(token.pk)}
    revoked = ("token.revoke", "alice/alice-read", None, named)
    restored = ("token.restore", "alice/alice-read", None, named)
    assert lines() == [revoked, restored, revoked, restored, revoked]


def test_token_that_is_revoked_is_not_revoked_again(operator: dict[str, str]) -> None:
    people.token("read", of="alice")
    token = Token.objects.get(perm="read")

    assert [rest("DELETE", f"tokens/{token.pk}", operator).status_code for _ in range(2)] == [204, 204]

    assert len(lines()) == 1


@pytest.mark.parametrize("part", ["sealer", "prover"])
def test_token_below_what_its_part_needs(part: str, operator: dict[str, str]) -> None:
    body = {"name": "x", "perm": "read", "tenant": "alice"}
    count = Token.objects.count()

    answer = rest("POST", "tokens", operator, {**body, "scopes": [part]})
    shown = page("/tokens/new/", {**body, "part": part, "life": "0"})

    assert (answer.status_code, answer.json()["field"]) == (400, "perm")
    assert shown.status_code == 422
    assert "needs at least level write" in answer.json()["message"]
    assert "needs at least level write" in shown.content.decode()
    assert (Token.objects.count(), lines()) == (count, [])


def test_token_and_miner_for_a_tenant_that_is_not_there(operator: dict[str, str], node: Any) -> None:
    factories.head()
    token = {"name": "x", "perm": "read", "tenant": "nobody"}
    miner = {"name": "x", "tenant": "nobody", "address": "f03003"}
    answers = [rest("POST", "tokens", operator, token), rest("POST", "miners", operator, miner)]

    for answer in answers:
        assert (answer.status_code, answer.json()["field"]) == (404, "tenant")
    for path, form in (
        ("/tokens/new/", {**token, "part": "all", "life": "0"}),
        ("/miners/add/", {**miner, "how": "import"}),
    ):
        answer = page(path, form)
        assert answer.status_code == 422
        assert answer.context["form"].errors.keys() == {"tenant"}


def test_strangers_tenant_is_not_there() -> None:
    people.tenant("bob")
    by = people.bearer(people.token("admin", of="alice"))
    answers = [
        rest("POST", "tokens", by, {"name": "x", "perm": "read", "tenant": "bob"}),
        rest("POST", "join-tokens", by, {"part": "sealer", "tenant": "bob"}),
        rest("POST", "miners", by, {"name": "x", "address": "f03003", "tenant": "bob"}),
    ]

    assert [(one.status_code, one.json()["field"]) for one in answers] == [(404, "tenant")] * 3


def test_miner_granted_and_taken(operator: dict[str, str]) -> None:
    uuid = people.tenant("alice").uuid
    page(f"/tenants/{uuid}/miner/", {"miner": "f01000", "open_mining": "on"})
    page(f"/tenants/{uuid}/miner-take/", {"miner": "f01000"})
    sophon("POST", "user/miner/add", operator, {"user": "alice", "miner": "t01000", "openmining": True})
    sophon("POST", "user/miner/del", operator, {"miner": "t01000"})

    granted = ("miner.grant", "f01000", None, {"tenant": "alice", "open_mining": True})
    taken = ("miner.ungrant", "f01000", {"tenant": "alice"}, None)
    assert lines() == [granted, taken, granted, taken]


def test_miner_of_nobody_is_not_taken(operator: dict[str, str]) -> None:
    assert sophon("POST", "miner/del", operator, {"miner": "f01000"}).json() is False
    assert lines() == []


def test_own_miner_is_given_up_by_its_tenant() -> None:
    miner_grant(tenant=people.tenant("alice"), actor_id=1000)
    by = people.bearer(people.token("write", of="alice"))

    assert sophon("POST", "miner/del", by, {"miner": "f01000"}).json() is True
    assert lines() == [("miner.ungrant", "f01000", {"tenant": "alice"}, None)]


def test_sender_granted_and_taken(operator: dict[str, str]) -> None:
    uuid = people.tenant("alice").uuid
    page(f"/tenants/{uuid}/signer/", {"address": KEY})
    page(f"/tenants/{uuid}/signer-take/", {"address": KEY})
    sophon("POST", "user/signer/register", operator, {"user": "alice", "signers": [KEY]})
    sophon("POST", "user/signer/unregister", operator, {"user": "alice", "signers": [KEY]})
    sophon("POST", "user/signer/register", operator, {"user": "alice", "signers": [KEY]})
    sophon("POST", "signer/del", operator, {"signer": KEY})

    granted = ("signer.grant", KEY, None, {"tenant": "alice"})
    taken = ("signer.ungrant", KEY, {"tenant": "alice"}, None)
    assert lines() == [granted, taken] * 3


def test_rate_set_and_dropped(operator: dict[str, str]) -> None:
    uuid = people.tenant("alice").uuid
    rate = {"service": "rest", "api": "x"}
    page(f"/tenants/{uuid}/rate/", {**rate, "capacity": "60", "seconds": "1.5"})
    first = str(people.tenant("alice").rate_limits.get().uuid)
    page(f"/tenants/{uuid}/rate-take/", {"key": first})
    body = {"name": "alice", **rate, "reqlimit": {"cap": 60, "resetdur": 1_500_000_000}}
    second = sophon("POST", "user/ratelimit/upsert", operator, body).json()
    sophon("POST", "user/ratelimit/del", operator, {"name": "alice", "id": second})
    sophon("POST", "user/ratelimit/del", operator, {"name": "alice", "id": second})

    facts = {**rate, "capacity": "60 requests", "reset": "1.5 s"}
    assert lines() == [
        line
        for key in (first, second)
        for line in (
            ("ratelimit.set", "alice", None, {**facts, "id": key}),
            ("ratelimit.drop", "alice", {**facts, "id": key}, None),
        )
    ]


def test_account_approved_and_refused(operator: dict[str, str]) -> None:
    bob, alice = people.tenant("bob"), people.tenant("alice")
    body = {"signer": "bob", "account": "alice"}
    row = AccountApproval.objects.create(signer_tenant=bob, account=alice)
    page(f"/gateway/approvals/{row.pk}/approve/", {})
    page(f"/gateway/approvals/{row.pk}/refuse/", {})
    rest("POST", "signer-approvals", operator, {**body, "approve": True})
    rest("POST", "signer-approvals", operator, {**body, "approve": False})
    rest("POST", "signer-approvals", operator, {**body, "approve": False})

    approved = ("account.approve", "alice", None, {"signer": "bob", "approve": True})
    refused = ("account.approve", "alice", None, {"signer": "bob", "approve": False})
    assert lines() == [approved, refused, approved, refused]


def test_refusal_of_an_account_asks_who_it_is_as_rest_does() -> None:
    account_approve(signer_tenant=people.tenant("bob"), account=people.tenant("alice"))
    row = AccountApproval.objects.get()

    asked = left_open("olga").post(f"/gateway/approvals/{row.pk}/refuse/")

    assert "Confirm your identity" in text_of(asked)
    assert AccountApproval.objects.exists()
