"""The status page over REST: read by every token, changed by the operator's alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.checks.states import Component
from apps.core.clock import now
from apps.users.models import AuditEntry
from tests import people
from tests.components import DOWN, incident, recorded

pytestmark = pytest.mark.django_db

URL = "/api/v1/status"


def operators() -> dict[str, str]:
    return people.bearer(people.operator_token())


def test_every_token_reads_the_status(client: Client) -> None:
    recorded(now() - timedelta(seconds=30), seconds=30, chain=DOWN)

    body = client.get(URL, headers=people.bearer(people.token("read", of="alice"))).json()

    assert [one["component"] for one in body["components"]] == list(Component)
    chain = body["components"][0]
    assert (chain["condition"], chain["percent_up"], sum(one["down_s"] for one in chain["days"])) == (
        "DOWN",
        0.0,
        30,
    )
    assert body["incidents"][0]["text"] == "No chain node could be read."
    assert body["is_public"] is False
    assert client.get(URL).status_code == 401


def test_operator_shows_it_to_everybody(client: Client) -> None:
    headers = operators()
    answer = client.patch(URL, {"is_public": True}, content_type="application/json", headers=headers)

    assert answer.json()["is_public"] is True
    assert AuditEntry.objects.get(action="status.visibility").after == {"is_public": True}
    assert client.get("/status.json").status_code == 200


def test_operator_announces_and_withdraws(client: Client) -> None:
    headers, at = operators(), now()
    form: dict[str, Any] = {
        "text": "new disks",
        "components": ["CHAIN"],
        "starts_at": (at + timedelta(hours=1)).isoformat(),
        "ends_at": (at + timedelta(hours=2)).isoformat(),
    }
    add = f"{URL}/maintenance"
    late = client.post(
        add, {**form, "ends_at": at.isoformat()}, content_type="application/json", headers=headers
    )
    row = client.post(add, form, content_type="application/json", headers=headers).json()

    assert (late.status_code, late.json()["field"]) == (400, "ends_at")
    assert client.get(URL, headers=headers).json()["maintenance"] == [row]
    assert client.delete(f"{add}/{row['id']}", headers=headers).status_code == 204
    assert client.delete(f"{add}/{row['id']}", headers=headers).status_code == 404
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"status.maintenance", "status.maintenance.end"} <= actions


def test_operator_notes_something_to_an_incident(client: Client) -> None:
    headers, row = operators(), incident()
    there = f"{URL}/incidents/{row.uuid}"
    answer = client.patch(there, {"note": "a node broke"}, content_type="application/json", headers=headers)

    assert answer.json()["note"] == "a node broke"
    assert AuditEntry.objects.get(action="status.note").before == {"note": ""}


def test_tenant_changes_nothing_of_it(client: Client) -> None:
    headers, row = people.bearer(people.token("admin", of="alice")), incident()
    for path in (URL, f"{URL}/incidents/{row.uuid}"):
        body = {"is_public": True, "note": "x"}
        answer = client.patch(path, body, content_type="application/json", headers=headers)
        assert answer.status_code == 403
