from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.utils import InternalError
from django.test import Client

from apps.core import clock
from apps.core.redis_clients import redis_client
from apps.users.models import AuditEntry, Tenant, Token
from apps.users.rules.principals import SYSTEM
from apps.users.selectors import audit_search
from apps.users.selectors.audit_search import chain_check
from apps.users.services.audit import audit_record
from apps.users.services.join_tokens import join_token_issue
from tests import people
from tests.page_client import signed_in
from tests.people import principal_by_token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_checked(pool_redis: str) -> None:
    redis_client().delete(audit_search.CHECKED)


def send(client: Any, method: str, path: str, token: str, body: Any = None) -> Any:
    data = "" if body is None else json.dumps(body)
    return client.generic(
        method, f"/api/v1/{path}", data, content_type="application/json", headers=people.bearer(token)
    )


@pytest.fixture
def operator() -> str:
    return people.operator_token()


@pytest.fixture
def admin() -> str:
    return people.token("admin", of="alice")


def test_the_operator_makes_and_closes_a_tenant(client, operator):
    made = send(client, "POST", "tenants", operator, {"name": "new"})
    stranger = people.token("read", of="new")
    closed = send(client, "PATCH", "tenants/new", operator, {"enabled": False})

    assert (made.status_code, closed.json()["enabled"]) == (201, False)
    assert send(client, "GET", "tenants", stranger).status_code == 401


def test_a_tenant_sees_only_itself(client, admin, operator):
    rows = send(client, "GET", "tenants", admin).json()["results"]

    assert [row["name"] for row in rows] == ["alice"]
    assert send(client, "POST", "tenants", admin, {"name": "x"}).status_code == 403
    assert send(client, "PATCH", "tenants/pool", admin, {"enabled": False}).status_code == 403


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 51, "a/b", "é"])
def test_a_tenants_name_fits_a_url_and_a_claim(client, operator, name):
    answer = send(client, "POST", "tenants", operator, {"name": name})

    assert (answer.status_code, answer.json()["field"]) == (400, "name")


def test_a_token_is_shown_once_and_works_within_its_scope(client, admin):
    made = send(client, "POST", "tokens", admin, {"name": "ci", "perm": "write", "scopes": ["sealer"]})

    text = made.json()["token"]
    holder = principal_by_token(text, now=clock.now())
    assert (made.status_code, holder.tenant_name, holder.scopes) == (201, "alice", ("sealer",))
    listed = send(client, "GET", "tokens", admin)
    assert text not in listed.content.decode()
    assert any(row["uuid"] == made.json()["uuid"] for row in listed.json()["results"])


def test_a_tenants_admin_reaches_no_further_than_its_tenant(client, admin):
    people.tenant("bob")
    asked = {"name": "x", "perm": "admin"}

    foreign = send(client, "POST", "tokens", admin, {**asked, "tenant": "bob"})
    mighty = send(client, "POST", "tokens", admin, {**asked, "operator": True})

    assert (foreign.status_code, foreign.json()["field"]) == (404, "tenant")
    assert (mighty.status_code, mighty.json()["field"]) == (403, "operator")
    assert Token.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"perm": "root"}, "perm"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"name": ""}, "name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_token_is_refused_by_field(client, admin, change, field):
    answer = send(client, "POST", "tokens", admin, {"name": "x", "perm": "read", **change})

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert Token.objects.count() == 1


def test_a_token_expires(client, admin):
    soon = (clock.now() + timedelta(hours=1)).isoformat()
    text = send(client, "POST", "tokens", admin, {"name": "x", "perm": "read", "expires_at": soon}).json()[
        "token"
    ]
    assert send(client, "GET", "tokens", text).status_code == 200

    Token.objects.filter(name="x").update(expires_at=clock.now())

    assert send(client, "GET", "tokens", text).json()["message"] == "this token has expired"


def test_a_revoked_token_is_refused_at_once(client, admin):
    other = people.token("read", of="alice")
    uuid = Token.objects.get(perm="read").pk

    assert send(client, "DELETE", f"tokens/{uuid}", admin).status_code == 204
    assert send(client, "GET", "tokens", other).status_code == 401


def test_a_strangers_token_does_not_exist(client, admin):
    people.token("read", of="bob")
    uuid = Token.objects.get(tenant__name="bob").pk

    assert send(client, "GET", f"tokens/{uuid}", admin).status_code == 404
    assert send(client, "DELETE", f"tokens/{uuid}", admin).status_code == 404
    assert Token.objects.get(pk=uuid).revoked_at is None


def test_tokens_above_ones_level_are_not_seen(client, admin):
    reader = people.token("read", of="alice")

    assert [row["perm"] for row in send(client, "GET", "tokens", reader).json()["results"]] == ["read"]
    assert send(client, "POST", "tokens", reader, {"name": "x", "perm": "read"}).status_code == 403


def test_an_account_lets_another_tenants_signers_serve_it(client, admin):
    people.tenant("bob")
    asked = {"signer": "bob", "approve": True}

    assert send(client, "POST", "signer-approvals", admin, asked).json()["approved_at"] is not None
    assert send(client, "POST", "signer-approvals", admin, {**asked, "account": "bob"}).status_code == 404
    assert len(send(client, "GET", "signer-approvals", admin).json()["results"]) == 1
    send(client, "POST", "signer-approvals", admin, {**asked, "approve": False})
    assert send(client, "GET", "signer-approvals", admin).json()["results"] == []


def test_what_is_done_is_in_the_audit_log(client, admin, operator):
    send(client, "POST", "tenants", operator, {"name": "new"})
    send(client, "PATCH", "tenants/new", operator, {"enabled": False})
    send(client, "POST", "tokens", admin, {"name": "ci", "perm": "read"})

    rows = send(client, "GET", "audit", operator).json()["results"]
    assert [row["action"] for row in rows] == ["token.create", "tenant.update", "tenant.create"]
    assert (rows[1]["before"], rows[1]["after"]) == ({"enabled": True}, {"enabled": False})
    assert rows[0]["actor"] == "token alice/alice-admin"
    own = send(client, "GET", "audit", admin).json()["results"]
    assert [row["action"] for row in own] == ["token.create"]
    found = send(client, "GET", "audit?action=tenant.create", operator).json()
    assert [row["target"] for row in found["results"]] == ["new"]
    assert found["next"] is None
    assert send(client, "GET", "audit?colour=red", operator).status_code == 400
    assert send(client, "GET", "audit/state", operator).json() == {
        "intact": True,
        "first_broken": None,
        "checked_to": rows[0]["number"],
        "whole": True,
    }
    assert send(client, "GET", "audit/state", admin).status_code == 403


def did(target: str, *, of: str = "alice", actor: str = "adam", action: str = "token.create") -> None:
    facts = {"before": {"name": "s"}, "after": {"name": "t"}}
    audit_record(principal=people.principal(of, actor=actor), action=action, target=target, **facts)


def targets(client: Any, token: str, query: str) -> list[str]:
    """Return what all pages of a search hold together."""
    found, there = [], f"audit?{query}"
    while there:
        answer = send(client, "GET", there, token).json()
        found += [row["target"] for row in answer["results"]]
        there = f"audit?{query}&cursor={answer['next']}" if answer["next"] else ""
    return found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("actor=EVE", ["two"]),
        ("action=token", []),
        ("action=token.create", ["one", "four"]),
        ("target=tw", []),
        ("target=two", ["two"]),
        ("after=2026-11-02T12:00:00Z", ["four", "three"]),
        ("before=2026-11-02T12:00:00Z", ["one"]),
        ("after=2026-11-01T12:00:00Z&before=2026-11-03T12:00:00Z", ["two"]),
        ("target=two&actor=adam", []),
    ],
)
def test_the_audit_log_is_searched_by_actor_action_target_and_time(client, admin, query, found, monkeypatch):
    done = (("one", "token.create", "adam"), ("two", "node.add", "eve"), ("three", "node.set", "adam"))
    for day, (target, action, actor) in enumerate((*done, ("four", "token.create", "adam")), 1):
        moment = datetime(2026, 11, day, 12, tzinfo=UTC)
        with monkeypatch.context() as then:
            then.setattr("apps.core.clock.now", lambda moment=moment: moment)
            did(target, action=action, actor=actor)

    assert sorted(targets(client, admin, query)) == sorted(found)


@pytest.mark.parametrize("query", ["limit=1", "limit=7", "limit=40", "limit=41", "actor=adam&limit=7"])
def test_pages_of_the_audit_log_follow_one_another_without_a_gap(client, admin, query, monkeypatch):
    monkeypatch.setattr(audit_search, "LINES_SEARCHED", 10)
    for number in range(40):
        did(f"object-{number:02}")
        did("a stranger's", of="bob")

    assert targets(client, admin, query) == [f"object-{number:02}" for number in reversed(range(40))]


def test_a_search_of_the_audit_log_stops_after_so_many_lines_and_goes_on(client, admin, monkeypatch):
    monkeypatch.setattr(audit_search, "LINES_SEARCHED", 10)
    did("needle")
    for number in range(25):
        did(f"object-{number:02}")

    first = send(client, "GET", "audit?target=needle", admin).json()

    assert first["results"] == []
    assert first["next"] is not None
    assert targets(client, admin, "target=needle") == ["needle"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("offset=3", "offset"),
        ("cursor=x", "cursor"),
        ("cursor=0", "cursor"),
        ("limit=0", "limit"),
        ("after=yesterday", "after"),
        ("after=0001-01-01T00:00:00Z", "after"),
        ("before=9999-12-31T23:59:59.999999Z", "before"),
        ("actor=%00", "actor"),
    ],
)
def test_a_search_that_cannot_be_is_refused_by_its_field(client, admin, query, field):
    answer = send(client, "GET", f"audit?{query}", admin)

    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_the_database_refuses_to_change_the_audit_log():
    audit_record(principal=people.principal(), action="a", target="t")

    with pytest.raises(InternalError, match="append-only"):
        AuditEntry.objects.update(action="b")


@pytest.mark.django_db(transaction=True)
def test_a_changed_line_is_found():
    for number in range(3):
        audit_record(principal=people.principal(), action=f"a{number}", target="t", after={"number": number})
    assert chain_check().broken is None
    with connection.cursor() as cursor:
        cursor.execute("alter table users_auditentry disable trigger users_audit_append_only")
        cursor.execute("update users_auditentry set target = 'forged' where action = 'a1'")
        cursor.execute("alter table users_auditentry enable trigger users_audit_append_only")

    assert chain_check().broken == AuditEntry.objects.get(action="a1").pk


def test_the_last_use_is_noted(client, admin, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        send(client, "GET", "tenants", admin)

    row = Token.objects.get()
    assert row.last_used_at is not None
    assert row.last_used_from == "127.0.0.1"


def test_a_token_of_a_part_reaches_no_account(client):
    sealer = people.token("admin", of="alice", scopes=["sealer"])

    for path in ("tenants", "tokens", "signer-approvals", "audit", "wallets"):
        assert send(client, "GET", path, sealer).status_code == 403
    assert Tenant.objects.count() == 1


def test_a_token_has_the_same_facts_in_the_log_wherever_it_was_made() -> None:
    people.tenant("alice")
    people.operator_person()
    by = people.bearer(people.operator_token())
    made = {"name": "new", "perm": "read", "tenant": "alice", "miners": [1000]}
    answers = [
        Client().post("/api/v1/tokens", made, content_type="application/json", headers=by),
        Client().post("/genToken", {"name": "alice", "perm": "read"}, "application/json", headers=by),
    ]
    page = {
        "name": "newer",
        "part": "all",
        "perm": "read",
        "tenant": "alice",
        "miners": "f01000",
        "life": "0",
    }
    answers.append(signed_in("olga").post("/tokens/new/", page))
    assert [answer.status_code for answer in answers] == [201, 200, 302]
    join_token_issue(tenant=people.tenant("alice"), part="sealer", by=SYSTEM)

    lines = AuditEntry.objects.filter(action="token.create").order_by("pk")
    rows: list[dict[str, Any]] = [dict(line.after or {}) for line in lines]

    rest, sophon, paged, joined = rows
    assert rest.keys() == sophon.keys() == paged.keys() == joined.keys()
    assert {**rest, "uuid": ""} == {**paged, "uuid": ""}
    assert (rest["miners"], rest["expires_at"], joined["joins"]) == (["f01000"], None, "sealer")
    assert {Token.objects.get(pk=row["uuid"]).perm for row in rows} == {"read"}
