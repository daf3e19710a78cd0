"""Messages that wait for a second person over REST: people decide, tokens do not, each act is audited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.messages.models import ApprovalRule
from apps.users.models import AuditEntry
from apps.users.states import Role
from tests.audit_rules import CheckedLines
from tests.messaging import Pool, pool_world
from tests.page_client import left_open, signed_in
from tests.people import bearer, operator_person, operator_token, person, token

RULES = "/api/v1/approval-rules"
JSON = "application/json"


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    person("ann", role=Role.TENANT_ADMIN)
    person("bea")
    person("eve", of="bob")
    operator_person("olga")
    with pool_world(monkeypatch) as pool, CheckedLines():
        yield pool


def pushed(pool: Pool, client: Client) -> dict[str, Any]:
    """Push a message by a token of alice, which waits; returns what there is to decide."""
    made = signed_in("ann").post(RULES, {"above": "5"}, content_type=JSON)
    assert made.status_code == 201, made.content
    assert made.json()["words"].startswith("any message above ")
    body = {"id": "a/b", "from": pool.address(), "to": "f01000", "method": 0, "value": "9"}
    answer = client.post("/api/v1/messages", body, content_type=JSON, headers=bearer(token("sign")))
    assert (answer.status_code, answer.json()["wait"]) == (201, "APPROVAL")
    found: dict[str, Any] = signed_in("bea").get("/api/v1/messages/a/b/approval").json()
    return found


def test_a_rule_takes_a_method_by_its_name(pool: Pool) -> None:
    ann = signed_in("ann")

    made = ann.post(RULES, {"actor": "miner", "method": "WithdrawBalance"}, content_type=JSON).json()
    refused = ann.post(RULES, {"actor": "miner", "method": "Nope"}, content_type=JSON)

    assert made["method"] == 16
    assert (refused.status_code, refused.json()["field"]) == (400, "method")


def test_a_person_approves_over_rest_what_was_shown(pool: Pool, client: Client) -> None:
    shown = pushed(pool, client)
    assert (shown["state"], shown["waits"], shown["approvers"]) == ("PENDING", True, ["ann", "bea", "olga"])

    wrong = signed_in("bea").post("/api/v1/messages/a/b/approve", {"content": "0" * 64}, content_type=JSON)
    assert (wrong.status_code, wrong.json()["field"]) == (400, "content")
    answer = signed_in("bea").post(
        "/api/v1/messages/a/b/approve", {"content": shown["content"]}, content_type=JSON
    )

    assert (answer.status_code, answer.json()["wait"]) == (200, "NEXT_HEAD")
    after = signed_in("bea").get("/api/v1/messages/a/b/approval").json()
    assert (after["state"], after["waits"], after["decided_by"]) == ("APPROVED", False, "bea")
    assert AuditEntry.objects.filter(action="message.approve", actor="bea").count() == 1


def test_a_person_refuses_over_rest_with_a_reason(pool: Pool, client: Client) -> None:
    pushed(pool, client)

    answer = signed_in("bea").post("/api/v1/messages/a/b/refuse", {"reason": "not ours"}, content_type=JSON)

    assert (answer.json()["state"], answer.json()["error"]) == ("FAILED", "not approved by bea: not ours")
    assert AuditEntry.objects.filter(action="message.refuse", actor="bea").count() == 1


@pytest.mark.parametrize("way", ["approve", "refuse"])
def test_no_token_decides_about_a_message(pool: Pool, client: Client, way: str) -> None:
    shown = pushed(pool, client)
    body = {"content": shown["content"]} if way == "approve" else {"reason": ""}

    for text in (token("admin"), operator_token()):
        answer = client.post(f"/api/v1/messages/a/b/{way}", body, content_type=JSON, headers=bearer(text))
        assert (answer.status_code, answer.json()["code"]) == (403, "person_required")
    stale = left_open("bea").post(f"/api/v1/messages/a/b/{way}", body, content_type=JSON)
    assert (stale.status_code, stale.json()["code"]) == (403, "not_confirmed")
    stranger = signed_in("eve").post(f"/api/v1/messages/a/b/{way}", body, content_type=JSON)
    assert stranger.status_code == 404
    assert pool.row("a/b").needs_approval


def test_a_rule_is_removed_over_rest_by_two_people(pool: Pool, client: Client) -> None:
    pushed(pool, client)
    [rule] = signed_in("ann").get(RULES).json()["results"]
    route = f"{RULES}/{rule['uuid']}"

    early = signed_in("olga").delete(route)
    asked = signed_in("ann").post(f"{route}/removal")
    alone = signed_in("ann").delete(route)
    program = client.delete(route, headers=bearer(operator_token()))

    assert (early.status_code, asked.json()["removal_by"]) == (409, "ann")
    assert (alone.status_code, alone.json()["code"]) == (403, "second_person_required")
    assert (program.status_code, program.json()["code"]) == (403, "person_required")
    assert signed_in("olga").delete(f"{route}/removal").status_code == 204
    assert signed_in("olga").delete(route).status_code == 409
    assert signed_in("olga").post(f"{route}/removal").status_code == 200
    assert signed_in("ann").delete(route).status_code == 204
    assert not ApprovalRule.objects.exists()
    actions = list(AuditEntry.objects.filter(target=rule["uuid"]).values_list("action", flat=True))
    assert actions == [
        "approval.rule.add",
        "approval.rule.removal-request",
        "approval.rule.removal-cancel",
        "approval.rule.removal-request",
        "approval.rule.remove",
    ]


def test_strangers_see_no_rule_of_a_tenant(pool: Pool, client: Client) -> None:
    pushed(pool, client)
    rule = ApprovalRule.objects.get()

    assert signed_in("eve").get(RULES).json()["results"] == []
    assert signed_in("eve").get(f"{RULES}/{rule.uuid}").status_code == 404
    assert signed_in("bea").post(f"{RULES}/{rule.uuid}/removal").status_code == 403


def test_an_unmet_message_has_nothing_to_decide(pool: Pool, client: Client) -> None:
    pool.push("plain", pool.address())

    shown = signed_in("bea").get("/api/v1/messages/plain/approval").json()
    answer = signed_in("bea").post(
        "/api/v1/messages/plain/approve", {"content": shown["content"]}, content_type=JSON
    )

    assert (shown["state"], shown["waits"], shown["approvers"]) == ("NONE", False, [])
    assert (answer.status_code, answer.json()["field"]) == (400, "id")
