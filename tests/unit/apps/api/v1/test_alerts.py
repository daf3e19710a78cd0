"""Alerts over REST: listed by state, taken on once however often that is sent, commented on."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.checks.models import Alert, AlertEntry
from apps.core import clock
from apps.users.models import AuditEntry
from apps.users.services.tokens import TokenLimits
from tests import people
from tests.people import bearer

pytestmark = pytest.mark.django_db

PATH = "/api/v1/alerts"


def ask(client: Client, method: str, path: str = "", *, by: str, body: Any = None, key: str = "") -> Any:
    text = b"" if body is None else json.dumps(body)
    headers = bearer(by) | ({"Idempotency-Key": key} if key else {})
    return client.generic(method, f"{PATH}{path}", text, content_type="application/json", headers=headers)


def alert(of: str | None = "alice", check: str = "hosts_away", **values: Any) -> Alert:
    at = clock.now()
    given = {"check_name": check, "title": "t", "severity": "warning", "say": "host-1 is offline", "count": 1}
    tenant = None if of is None else people.tenant(of)
    return Alert.objects.create(**{**given, "tenant": tenant, "began_at": at, "since": at, **values})


@pytest.fixture
def alice() -> str:
    return people.token("write")


def test_alert_is_acknowledged_and_handed_back(client: Client, alice: str) -> None:
    row = alert()
    path = f"/{row.uuid}/acknowledgement"

    first = ask(client, "PUT", path, by=alice, body={"hours": 4})
    again = ask(client, "PUT", path, by=alice, body={"hours": 4})
    assert (first.status_code, again.json()) == (200, first.json())
    assert first.json()["acknowledged_by"] == "token alice/alice-write"
    other = ask(client, "PUT", path, by=people.token("sign"), body={"hours": 0})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert other.json()["message"].startswith("token alice/alice-write acknowledged it at ")
    for _ in range(2):
        ended = ask(client, "DELETE", path, by=alice)
        assert (ended.status_code, ended.json()["acknowledged_by"]) == (200, "")

    lines = AuditEntry.objects.filter(target="alice/hosts_away").order_by("pk")
    assert [line.action for line in lines] == ["alert.acknowledge", "alert.unacknowledge"]


def test_comment_is_written_once_and_ends_the_history(client: Client, alice: str) -> None:
    row = alert()

    for _ in range(2):
        made = ask(client, "POST", f"/{row.uuid}/comments", by=alice, body={"text": "cable <b>"}, key="k1")
        assert made.status_code == 201

    assert AlertEntry.objects.count() == 1
    found = ask(client, "GET", f"/{row.uuid}/history", by=alice).json()["results"]
    assert found == made.json()["results"]
    shown = {"kind": "COMMENTED", "text": "cable <b>", "actor": "token alice/alice-write"}
    assert shown.items() <= found[-1].items()
    assert AuditEntry.objects.get(action="alert.comment").after == {"text": "cable <b>"}
    for text in ("", "x" * 2001):
        refused = ask(client, "POST", f"/{row.uuid}/comments", by=alice, body={"text": text})
        assert (refused.status_code, refused.json()["field"]) == (400, "text")


def test_alerts_are_listed_by_state_check_and_tenant(client: Client, alice: str) -> None:
    at = clock.now()
    ended = alert(check="fee_debt", ended_at=at, severity="critical")
    held = alert(acknowledged_at=at, acknowledged_by="li")
    alert(check="hosts_paused")
    alert(of="bob")
    alert(of=None, check="backups_old")
    operator = people.operator_token()

    def listed(query: str, by: str = alice) -> list[str]:
        answer = ask(client, "GET", query, by=by)
        assert answer.status_code == 200, answer.json()
        return [row["check"] for row in answer.json()["results"]]

    assert listed("") == ["hosts_paused", "hosts_away", "fee_debt"]
    assert listed("?state=open") == ["hosts_paused", "hosts_away"]
    assert listed("?state=acknowledged") == [held.check_name]
    assert listed("?state=ended") == listed("?severity=critical") == [ended.check_name]
    assert listed("?check=hosts_away") == ["hosts_away"]
    assert len(listed("", operator)) == 5
    assert listed("?tenant=", operator) == ["backups_old"]
    assert listed("?tenant=bob", operator) == ["hosts_away"]
    assert listed("?tenant=bob") == []
    refused = ask(client, "GET", "?state=gone", by=alice)
    assert (refused.status_code, refused.json()["field"]) == (400, "state")


def test_pages_of_alerts_follow_each_other(client: Client, alice: str) -> None:
    for number in range(5):
        alert(check=f"check_{number}")
    seen, cursor = [], ""
    while True:
        page = ask(client, "GET", f"?limit=2&cursor={cursor}", by=alice).json()
        seen += [row["check"] for row in page["results"]]
        if not (cursor := page["next"]):
            break

    assert seen == [f"check_{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("caller", "read", "write"),
    [
        ({"perm": "read"}, 200, 403),
        ({"perm": "write", "of": "bob"}, 404, 404),
        ({"perm": "admin", "limits": TokenLimits(miners=[2001])}, 404, 403),
    ],
)
def test_who_may_not_work_on_an_alert_changes_nothing(
    client: Client, caller: dict[str, Any], read: int, write: int
) -> None:
    row, by = alert(acknowledged_at=clock.now(), acknowledged_by="li"), people.token(**caller)

    assert ask(client, "GET", f"/{row.uuid}", by=by).status_code == read
    assert ask(client, "GET", f"/{row.uuid}/history", by=by).status_code == read
    for method, path, body in (
        ("PUT", "acknowledgement", {"hours": 1}),
        ("DELETE", "acknowledgement", None),
        ("POST", "comments", {"text": "x"}),
    ):
        assert ask(client, method, f"/{row.uuid}/{path}", by=by, body=body).status_code == write
    assert not AlertEntry.objects.exists()


def test_acknowledgement_of_an_ended_alert_is_a_conflict(client: Client, alice: str) -> None:
    row = alert(ended_at=clock.now() - timedelta(minutes=1))

    answer = ask(client, "PUT", f"/{row.uuid}/acknowledgement", by=alice, body={"hours": 1})

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
