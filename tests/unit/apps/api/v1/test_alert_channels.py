"""Alert channels over REST: a tenant's own, and the operator's all; URLs are in no answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.checks.models import AlertChannel, Notification
from apps.checks.services.deliver import notifications_deliver
from apps.core import clock
from apps.users.models import AuditEntry, IdempotentAnswer
from apps.users.rules.principals import SYSTEM
from apps.users.services.tenant_management import tenant_restore
from apps.users.services.tenants import tenant_delete
from apps.users.services.tokens import TokenLimits
from tests import people
from tests.alerts import SECRET_URL, Hook, channel
from tests.people import bearer

pytestmark = pytest.mark.django_db

PATH = "/api/v1/alert-channels"
NEW = {"name": "ops", "kind": "WEBHOOK", "target": SECRET_URL}


def ask(client: Client, method: str, path: str = "", *, by: str, body: Any = None, key: str = "") -> Any:
    headers = bearer(by) | ({"Idempotency-Key": key} if key else {})
    return client.generic(
        method,
        f"{PATH}{path}",
        b"" if body is None else body if isinstance(body, bytes) else json.dumps(body),
        content_type="application/json",
        headers=headers,
    )


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def alice() -> str:
    return people.token("admin")


def test_channel_lives_from_its_creation_to_its_removal(
    client: Client, alice: str, hook: Hook, settings: Any
) -> None:
    settings.ALERT_URLS_PRIVATE = True
    made = ask(client, "POST", by=alice, body={**NEW, "target": hook.url, "critical_only": True})
    path = f"/{made.json()['uuid']}"

    assert made.status_code == 201
    assert made.json() == ask(client, "GET", path, by=alice).json()
    shown = {"tenant": "alice", "name": "ops", "target": "http://127.0.0.1/…", "enabled": True}
    assert shown.items() <= made.json().items()

    sent = ask(client, "POST", f"{path}/test", by=alice)
    assert sent.status_code == 202
    again = ask(client, "POST", f"{path}/test", by=alice)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    hook.status = 500
    notifications_deliver(now=clock.now)
    assert hook.bodies[0]["id"] == sent.json()["id"]
    assert ask(client, "GET", path, by=alice).json()["last_error"] == "HTTP status 500"
    hook.status = 200
    Notification.objects.update(next_try_at=clock.now())
    notifications_deliver(now=clock.now)
    found = ask(client, "GET", path, by=alice).json()
    assert (found["last_error"], found["delivered_at"] is not None) == ("", True)

    assert ask(client, "PATCH", path, by=alice, body={"enabled": False}).json()["enabled"] is False
    assert ask(client, "DELETE", path, by=alice).status_code == 204
    assert not AlertChannel.objects.exists()
    lines = AuditEntry.objects.filter(target="alice/ops").order_by("pk")
    assert [line.action.rpartition(".")[2] for line in lines] == ["add", "test", "set", "remove"]
    assert str(hook.server.server_port) not in repr(lines.values("before", "after"))


def test_each_sees_and_changes_its_own_and_the_operator_all(client: Client, alice: str) -> None:
    bob, operator = people.token("admin", of="bob"), people.operator_token()
    for by in (alice, bob, operator):
        assert ask(client, "POST", by=by, body=NEW).status_code == 201
    theirs = AlertChannel.objects.get(tenant__name="alice")

    def seen(by: str) -> list[str | None]:
        return [row["tenant"] for row in ask(client, "GET", by=by).json()["results"]]

    assert (seen(alice), seen(bob)) == (["alice"], ["bob"])
    assert seen(operator) == ["alice", "bob", None]
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("PATCH", "", {"with_actions": True}),
        ("DELETE", "", None),
        ("POST", "/test", None),
    ):
        answer = ask(client, method, f"/{theirs.uuid}{path}", by=bob, body=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    other = ask(client, "POST", by=bob, body={**NEW, "name": "x", "tenant": "alice"})
    assert (other.status_code, other.json()["field"]) == (400, "tenant")
    given = ask(client, "POST", by=operator, body={**NEW, "name": "x", "tenant": "alice"})
    assert given.json()["tenant"] == "alice"


def test_channels_of_a_deleted_tenant_are_hidden_until_it_is_restored(client: Client) -> None:
    tenant, operator = people.tenant("alice"), people.operator_token()
    row = channel("ops", tenant=tenant)
    channel("pool")

    def seen() -> list[str]:
        return [one["name"] for one in ask(client, "GET", by=operator).json()["results"]]

    tenant_delete(tenant=tenant)
    assert seen() == ["pool"]
    assert ask(client, "GET", f"/{row.uuid}", by=operator).status_code == 404
    tenant_restore(principal=SYSTEM, tenant=tenant)
    assert seen() == ["ops", "pool"]


def test_a_token_for_some_miners_sees_and_adds_none(client: Client) -> None:
    channel("ops", tenant=people.tenant("alice"))
    partial = people.token("admin", limits=TokenLimits(miners=[2001]))

    assert ask(client, "GET", by=partial).json()["results"] == []
    assert ask(client, "POST", by=partial, body=NEW).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"kind": "PIGEON"}, "kind"),
        ({"kind": "EMAIL", "target": "a@example.com"}, "target"),
        ({"target": "ftp://chat.example/T0PS3CRET"}, "target"),
        ({"target": "http://10.0.0.7/T0PS3CRET"}, "target"),
        ({"target": ""}, "target"),
        ({"repeat_s": 7}, "repeat_s"),
        ({"critical_only": "perhaps"}, "critical_only"),
        ({"language": "fr"}, "language"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_refusal_names_the_field_and_no_secret(
    client: Client, alice: str, wrong: dict[str, Any], field: str
) -> None:
    answer = ask(client, "POST", by=alice, body=NEW | wrong)

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert "T0PS3CRET" not in answer.content.decode()
    assert not AlertChannel.objects.exists()


def test_a_channel_is_edited_and_what_waits_goes_where_it_leads_then(
    client: Client, alice: str, hook: Hook, settings: Any
) -> None:
    settings.ALERT_URLS_PRIVATE = True
    row = channel("ops", tenant=people.tenant("alice"))
    path = f"/{row.uuid}"
    ask(client, "POST", f"{path}/test", by=alice)
    told = {"repeat_s": 900, "critical_only": True, "with_actions": True, "language": "zh-hans"}

    answer = ask(client, "PATCH", path, by=alice, body={**told, "target": hook.url, "secret": "S1GN"})

    assert (answer.status_code, answer.json()["target"]) == (200, "http://127.0.0.1/…")
    assert told.items() <= answer.json().items()
    notifications_deliver(now=clock.now)
    assert [body["event"] for body in hook.bodies] == ["test"]
    assert hook.got[0][0]["X-Poolsite-Signature"].startswith("sha256=")
    line = AuditEntry.objects.get(action="alerts.channel.set")
    before = {"repeat_s": "3600 s", "critical_only": False, "with_actions": False, "language": "en"}
    assert line.before == before
    assert line.after == {**told, "repeat_s": "900 s", "target": "another", "secret": "another"}
    assert ask(client, "PATCH", path, by=alice, body={"secret": ""}).status_code == 200
    assert AlertChannel.objects.get().secret == ""


@pytest.mark.parametrize(
    ("kind", "wrong", "field"),
    [
        ("WEBHOOK", {"target": "http://10.0.0.7/T0PS3CRET"}, "target"),
        ("WEBHOOK", {"target": ""}, "target"),
        ("WEBHOOK", {"repeat_s": 7}, "repeat_s"),
        ("PAGERDUTY", {"secret": ""}, "secret"),
        ("PAGERDUTY", {"with_actions": True}, "with_actions"),
        ("WEBHOOK", {"critical_only": True, "enabled": False, "callback_secret": "x"}, "callback_secret"),
        ("PAGERDUTY", {"callback_secret": "x", "repeat_s": 900, "with_actions": True}, "with_actions"),
    ],
)
def test_a_refused_edit_changes_nothing(
    client: Client, alice: str, kind: str, wrong: dict[str, Any], field: str
) -> None:
    row = channel("ops", tenant=people.tenant("alice"), kind=kind, secret="S1GN")
    before = AlertChannel.objects.values().get()

    answer = ask(client, "PATCH", f"/{row.uuid}", by=alice, body=wrong)

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert AlertChannel.objects.values().get() == before


def test_list_has_pages(client: Client, alice: str) -> None:
    for name in "cab":
        channel(name, tenant=people.tenant("alice"))

    first = ask(client, "GET", "?limit=2", by=alice).json()
    rest = ask(client, "GET", "?limit=2&offset=2", by=alice).json()

    assert (first["count"], first["next"] is not None, rest["next"]) == (3, True, None)
    assert [row["name"] for row in first["results"] + rest["results"]] == ["a", "b", "c"]
    assert ask(client, "GET", "?limit=x", by=alice).json()["field"] == "limit"


def test_repeated_request_adds_one_channel_and_stores_no_url(client: Client, alice: str) -> None:
    first, second = (ask(client, "POST", by=alice, body=NEW | {"secret": "S1GN"}, key="k1") for _ in range(2))

    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert AlertChannel.objects.count() == 1
    written = repr(IdempotentAnswer.objects.values()) + repr(AlertChannel.objects.values())
    answers = first.content.decode() + ask(client, "GET", by=alice).content.decode()
    assert not any(word in written + answers for word in ("T0PS3CRET", "S1GN"))
