"""Automatic rules on the page Automation and over REST: who sees and does what, and a miner's rewards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.automation.models import AutoRule
from apps.automation.services.rule_steps import auto_rules_step
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core.clock import now
from apps.messages.models import Message
from apps.users.models import AuditEntry
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.amounts import FIL
from tests import people
from tests.auto_rules import auto_rule
from tests.integration.dashboard.miner_addresses import NEW, OWNER, info
from tests.integration.dashboard.withdrawals import AVAILABLE, available, requested, signer_says
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

__all__ = ["available", "info"]
URL = "/api/v1/auto-rules"
SWEEP = {
    "kind": "sweep",
    "source": "f02001",
    "target": OWNER,
    "low": "2 FIL",
    "high": "5 FIL",
    "day_max": "100 FIL",
}


EXTEND: dict[str, Any] = {"kind": "extend", "remaining_days": 30, "day_sectors": 10}


def send(method: str, path: str = URL, *, token: str = "", **body: Any) -> Any:
    return Client().generic(
        method,
        path,
        json.dumps(body) if body else "",
        content_type="application/json",
        headers=people.bearer(token or people.token("sign")),
    )


def step() -> None:
    head = head_current()
    assert head is not None
    auto_rules_step(client=chain_client(), head=head, now=now())


def test_rest_adds_shows_switches_changes_and_removes(monkeypatch: pytest.MonkeyPatch) -> None:
    signer_says(monkeypatch)
    stranger = people.token("admin", of="bob")
    made = send("POST", **SWEEP)
    assert (made.status_code, made.json()["is_on"]) == (201, False), made.content
    there = f"{URL}/{made.json()['uuid']}"

    plan = send("GET", f"{there}/dry-run").json()
    assert (plan["balance"], plan["amount"], plan["why"]) == (str(AVAILABLE), str(AVAILABLE - 2 * FIL), "")
    assert plan["push_id"].startswith("withdrawal:")
    for method, path in (("GET", there), ("DELETE", there), ("GET", f"{there}/dry-run")):
        assert send(method, path, token=stranger).status_code == 404
    assert send("PATCH", there, token=stranger, is_on=True).status_code == 404
    assert send("GET", token=stranger).json() == {"results": []}
    assert send("PATCH", there, token=people.token("write"), is_on=True).status_code == 403
    assert send("PATCH", there, is_on=True).json()["is_on"] is True
    settings = {name: SWEEP[name] for name in ("source", "target", "low", "day_max")}
    changed = send("PUT", there, **settings, high="6 FIL").json()
    assert (changed["is_on"], changed["settings"]["high"]) == (False, str(6 * FIL))
    assert send("DELETE", there).status_code == 204
    actions = AuditEntry.objects.filter(action__startswith="auto-rule.").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        *("auto-rule.add", "auto-rule.switch", "auto-rule.set", "auto-rule.remove"),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**SWEEP, "high": "1 FIL"}, "high"),
        ({**SWEEP, "age_days": 3}, "age_days"),
        ({"kind": "sweep", "source": "f02001"}, "target"),
        ({"kind": "extend", "remaining_days": 30}, "day_sectors"),
        ({**EXTEND, "low": "1 FIL"}, "low"),
        ({**EXTEND, "to_days": 30}, "to_days"),
        ({**EXTEND, "excluded": ["f02001"]}, "excluded"),
        ({**EXTEND, "miner": "f09999"}, "miner"),
    ],
)
def test_a_refusal_names_its_field(body: dict[str, Any], field: str) -> None:
    answer = send("POST", **body)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.content
    assert not AutoRule.objects.exists()


def test_an_extension_rule_by_rest_and_page() -> None:
    people.operator_person()
    client = signed_in("olga")
    made = send("POST", **EXTEND, miner="f02001", excluded=["f02001-7"])
    assert made.status_code == 201, made.content
    assert (made.json()["settings"]["excluded"], made.json()["is_on"]) == (["f02001-7"], False)
    plan = send("GET", f"{URL}/{made.json()['uuid']}/dry-run").json()
    assert (plan["sectors"], plan["why"]) == ([], "nothing is due")
    typed = {"tenant": "alice", "data": "plain", "size": "32 GiB", "remaining_days": "60", "to_days": "540"}
    typed |= {"day_sectors": "10", "gas_max": "0.01", "excluded": "f02001-7, f02001-8"}

    wrong = client.post("/automation/new-extension/", {**typed, "to_days": "9"})
    assert wrong.status_code == 422
    client.post("/automation/new-extension/", typed)

    row = AutoRule.objects.latest("pk")
    assert row.settings == {
        **{"miner": "", "size": 32 << 30, "data": "plain", "remaining_days": 60, "age_days": 0},
        **{"to_days": 540, "gas_max": str(FIL // 100), "day_sectors": 10},
        "excluded": ["f02001-7", "f02001-8"],
    }
    page = text_of(client.get(f"/automation/{row.uuid}/"))
    assert "sectors without verified data of all miners of the tenant" in page, page
    assert "Nothing is due" in page
    assert "32 GiB" in page
    assert 'value="f02001-7 f02001-8"' in text_of(client.get(f"/automation/{row.uuid}/edit/"))
    client.post(f"/automation/{row.uuid}/edit/", {**typed, "day_sectors": "5"})
    row.refresh_from_db()
    assert row.settings["day_sectors"] == 5
    assert "at most 5 sectors a day" in text_of(client.get("/automation/"))


def test_a_miners_rewards_are_withdrawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    signer_says(monkeypatch)
    uuid = send("POST", **SWEEP).json()["uuid"]
    step()
    assert not Message.objects.exists(), "it is off"
    send("PATCH", f"{URL}/{uuid}", is_on=True)
    for _ in range(3):
        step()
    [message] = Message.objects.all()
    assert (message.to, message.from_addr, message.method) == ("f02001", OWNER, Method.WITHDRAW_BALANCE)
    assert requested(message) == AVAILABLE - 2 * FIL


def test_nothing_is_withdrawn_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    signer_says(monkeypatch)
    uuid = send("POST", **SWEEP | {"target": NEW}).json()["uuid"]
    send("PATCH", f"{URL}/{uuid}", is_on=True)
    step()
    assert not Message.objects.exists()
    assert "the miner pays to f0101" in AutoRule.objects.get().note


def test_the_page_adds_shows_switches_and_removes(monkeypatch: pytest.MonkeyPatch) -> None:
    signer_says(monkeypatch)
    people.operator_person()
    client = signed_in("olga")
    assert "No automatic rule yet" in text_of(client.get("/automation/"))
    typed = {**SWEEP, "tenant": "alice", "low": "2", "high": "5", "day_max": "100"}

    wrong = client.post("/automation/new/", {**typed, "high": "1"})
    assert (wrong.status_code, "must be above the low mark" in text_of(wrong)) == (422, True)
    client.post("/automation/new/", typed)

    row = AutoRule.objects.get()
    there = f"/automation/{row.uuid}/"
    page = text_of(client.get(there))
    assert "It would send this message." in page, page
    assert "Switch on" in page
    client.post(f"{there}on/")
    step()
    page = text_of(client.get(there))
    assert "Withdraw<wbr>Balance" in page
    assert "its last message is in progress" in page.lower()
    assert "1 rule is on." in text_of(client.get("/automation/"))
    client.post(f"{there}edit/", {**typed, "high": "7"})
    row.refresh_from_db()
    assert (row.is_on, row.settings["high"]) == (False, str(7 * FIL))
    client.post(f"{there}remove/")
    assert not AutoRule.objects.exists()
    assert Message.objects.count() == 1


def test_tenants_see_their_own_and_those_without_the_level_change_none() -> None:
    own, strange = auto_rule(), auto_rule(of="bob")
    people.person("ann", role="TENANT")
    client = signed_in("ann")
    page = text_of(client.get("/automation/"))
    assert (str(own.uuid) in page, str(strange.uuid) in page) == (True, False)
    assert client.get(f"/automation/{strange.uuid}/").status_code == 404
    assert client.post(f"/automation/{strange.uuid}/on/").status_code == 404
    strange.refresh_from_db()
    assert not strange.is_on
