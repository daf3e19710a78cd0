"""The operator sets a check's severity, and mutes one for some hours with a reason."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.checks.models import Alert, CheckSetting
from apps.checks.report.cache import codes_write, report_evaluate, report_read, report_write
from apps.checks.report.evaluate import evaluate
from apps.checks.selectors.data import CheckData
from apps.checks.services.alerts import alerts_update
from apps.checks.services.check_settings import check_mute_end, check_mute_set, check_severity_set
from apps.core import clock
from apps.core.errors import BadValue, NotAllowed, NotFound
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests import factories, people
from tests.alerts import HOUR, T0, channel, report_of, told
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db


def severity(name: str, of: str, **rights: Any) -> None:
    check_severity_set(principal=rights.get("principal", SYSTEM), name=name, severity=of)


def mute(name: str = "fee_debt", hours: int = 4, reason: str = "owner pays tomorrow", **rights: Any) -> None:
    caller = rights.get("principal", SYSTEM)
    check_mute_set(principal=caller, name=name, hours=hours, reason=reason, now=rights.get("now", T0))


def lines() -> list[tuple[str, str, Any, Any]]:
    found = AuditEntry.objects.filter(action__startswith="check.").order_by("pk")
    return [(one.action, one.target, one.before, one.after) for one in found]


@pytest.fixture
def debt() -> None:
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    factories.miner(2001, fee_debt=10**18)


def severities(viewer: Any) -> dict[str, str]:
    data = CheckData(viewer)
    return {one.check.name: str(one.check.severity) for one in evaluate(data).results}


def test_set_severity_counts_for_everybody_and_is_taken_back(debt: None) -> None:
    before = severities(SYSTEM)

    severity("fee_debt", "warning")

    assert severities(SYSTEM) == before | {"fee_debt": "warning"}
    assert severities(people.principal())["fee_debt"] == "warning"
    severity("fee_debt", "")
    assert severities(SYSTEM) == before
    assert lines() == [
        ("check.severity", "fee_debt", {"severity": "critical"}, {"severity": "warning"}),
        ("check.severity", "fee_debt", {"severity": "warning"}, {"severity": "critical"}),
    ]


def test_severity_that_is_the_checks_own_is_no_change() -> None:
    severity("fee_debt", "critical")

    assert lines() == []


def test_shared_evaluation_has_the_set_severity(debt: None, shared_reports: str) -> None:
    severity("fee_debt", "warning")
    report = evaluate(CheckData(SYSTEM))

    assert report_read(report_write(report), codes_write(report)) == report


def test_change_of_severity_is_seen_at_once(
    debt: None, pool_redis: str, django_capture_on_commit_callbacks: Any
) -> None:
    def now_found() -> str:
        result = report_evaluate(CheckData(SYSTEM)).result("fee_debt")
        assert result is not None
        return str(result.check.severity)

    assert now_found() == "critical"
    with django_capture_on_commit_callbacks(execute=True):
        severity("fee_debt", "warning")

    assert now_found() == "warning"


def test_channel_for_critical_checks_follows_the_set_severity(debt: None) -> None:
    channel(critical_only=True)
    severity("fee_debt", "warning")

    def written(minutes: int) -> list[str]:
        at = T0 + timedelta(minutes=minutes)
        rows = alerts_update(report=evaluate(CheckData(SYSTEM)), pool="testnet", now=at)
        return [row.body["severity"] for row in rows if row.body["check"] == "fee_debt"]

    assert written(0) == []
    severity("fee_debt", "critical")
    assert written(1) == ["critical"]
    assert Alert.objects.get(check_name="fee_debt").severity == "critical"


def test_muted_check_notifies_nobody_until_the_mute_ends() -> None:
    channel()
    mute(hours=4)

    assert told(T0, "fee_debt", "hosts_away") == [("ops", "STARTED", "hosts_away")]
    assert Alert.objects.filter(check_name="fee_debt", ended_at=None).exists()
    assert told(T0 + 3 * HOUR, "fee_debt") == [("ops", "ENDED", "hosts_away")]
    assert told(T0 + 4 * HOUR, "fee_debt") == [("ops", "STARTED", "fee_debt")]


def test_mute_that_is_ended_tells_with_the_next_evaluation() -> None:
    channel()
    told(T0, "fee_debt")
    mute(now=T0 + HOUR)
    assert told(T0 + 2 * HOUR, "fee_debt") == []

    check_mute_end(principal=SYSTEM, name="fee_debt", now=T0 + 2 * HOUR)

    assert told(T0 + 2 * HOUR, "fee_debt") == [("ops", "REPEATED", "fee_debt")]


def test_check_that_was_reported_is_reported_as_passing_though_muted() -> None:
    channel()
    told(T0, "fee_debt")
    mute()

    assert told(T0 + HOUR) == [("ops", "ENDED", "fee_debt")]


def test_channels_of_tenants_are_told_of_what_the_operator_muted() -> None:
    tenant = people.tenant("alice")
    channel(tenant=tenant)
    mute()

    rows = alerts_update(report=report_of("fee_debt"), pool="testnet", now=T0, tenant=tenant)

    assert [row.body["check"] for row in rows] == ["fee_debt"]


def test_mutes_are_audited_with_their_reason_and_end() -> None:
    mute(hours=2, reason=" owner  pays\ntomorrow ")
    check_mute_end(principal=SYSTEM, name="fee_debt", now=T0 + HOUR)
    check_mute_end(principal=SYSTEM, name="fee_debt", now=T0 + HOUR)

    facts = {"until": "2026-11-21T14:00:00+00:00", "reason": "owner pays tomorrow"}
    assert lines() == [
        ("check.mute", "fee_debt", None, facts),
        ("check.unmute", "fee_debt", facts, None),
    ]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"hours": 0}, "mute_hours"),
        ({"hours": 169}, "mute_hours"),
        ({"reason": " "}, "mute_reason"),
        ({"reason": "x" * 201}, "mute_reason"),
    ],
)
def test_mute_needs_hours_and_a_reason(given: dict[str, Any], field: str) -> None:
    with pytest.raises(BadValue) as refused:
        mute(**given)

    assert refused.value.field == field
    assert not CheckSetting.objects.exclude(muted_until=None).exists()


def test_settings_are_the_operators_and_of_known_checks() -> None:
    for caller in (people.principal("alice", "admin"), people.principal("pool", "sign", is_operator=True)):
        with pytest.raises(NotAllowed):
            mute(principal=caller)
        with pytest.raises(NotAllowed):
            severity("fee_debt", "warning", principal=caller)
    with pytest.raises(NotFound):
        mute("no_such_check")
    with pytest.raises(BadValue):
        severity("fee_debt", "dire")


def patch(client: Client, name: str, body: Any, *, by: str = "") -> Any:
    headers = people.bearer(by or people.operator_token())
    path = f"/api/v1/checks/{name}"
    return client.patch(path, json.dumps(body), content_type="application/json", headers=headers)


def test_rest_sets_and_shows_severity_and_mute(client: Client, debt: None) -> None:
    operator = people.operator_token()
    body = {"severity": "warning", "mute_hours": 4, "mute_reason": "known"}

    found = patch(client, "fee_debt", body, by=operator).json()

    assert (found["severity"], found["mute_reason"]) == ("warning", "known")

    def shown(by: str) -> tuple[str, Any]:
        rows = client.get("/api/v1/checks", headers=people.bearer(by)).json()["checks"]
        [row] = [row for row in rows if row["name"] == "fee_debt"]
        return row["severity"], row["muted_until"]

    assert shown(operator) == ("warning", found["muted_until"])
    assert shown(people.token("admin")) == ("warning", None)
    alone = client.get("/api/v1/checks/fee_debt", headers=people.bearer(operator))
    assert alone.json() == found
    assert client.get("/api/v1/checks/x", headers=people.bearer(operator)).status_code == 404
    tenants = client.get("/api/v1/checks/fee_debt", headers=people.bearer(people.token("admin")))
    assert tenants.status_code == 403
    ended = patch(client, "fee_debt", {"mute_hours": 0, "severity": None}, by=operator).json()
    assert (ended["severity"], ended["muted_until"], ended["mute_reason"]) == ("critical", None, "")
    assert [line[0] for line in lines()][2:] == ["check.severity", "check.unmute"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"severity": "dire"}, "severity"),
        ({"mute_hours": 4}, "mute_reason"),
        ({"mute_hours": 169, "mute_reason": "x"}, "mute_hours"),
        ({"mute_reason": "x"}, "mute_reason"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_rest_refusal_names_the_field_and_changes_nothing(client: Client, body: Any, field: str) -> None:
    answer = patch(client, "fee_debt", body)

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert lines() == []
    assert patch(client, "no_such_check", {}).status_code == 404


def test_page_sets_severity_mutes_and_ends_a_mute(debt: None) -> None:
    people.operator_person()
    page, settings = signed_in("olga"), reverse("check-settings", args=["fee_debt"])
    assert settings in text_of(page.get(reverse("checks")))

    def act(op: str, **form: str) -> Any:
        return page.post(reverse("check-act", args=["fee_debt", op]), form)

    assert act("severity", severity="warning")["Location"] == settings
    assert act("mute", mute_hours="4").status_code == 422
    assert act("mute", mute_hours="x", mute_reason="known").status_code == 422
    assert act("mute", mute_hours="4", mute_reason="owner pays tomorrow")["Location"] == settings
    text = text_of(page.get(reverse("checks")))
    assert "critical by default" in text
    assert "owner pays tomorrow" in text
    assert "Muted until" in text_of(page.get(settings))
    assert act("unmute")["Location"] == settings
    assert "owner pays tomorrow" not in text_of(page.get(reverse("checks")))
    assert act("severity", severity="")["Location"] == settings
    assert [line[0] for line in lines()] == ["check.severity", "check.mute", "check.unmute", "check.severity"]


def test_tenants_see_neither_mutes_nor_settings(debt: None) -> None:
    people.person()
    mute(reason="owner is late", now=clock.now())
    page = signed_in()

    text = text_of(page.get(reverse("checks")))
    assert "owner is late" not in text
    assert "/status/checks/fee_debt/" not in text
    assert page.get(reverse("check-settings", args=["fee_debt"])).status_code == 404
    assert page.post(reverse("check-act", args=["fee_debt", "mute"])).status_code == 404


def test_unknown_check_has_no_page() -> None:
    people.operator_person()

    assert signed_in("olga").get(reverse("check-settings", args=["no_such_check"])).status_code == 404


def test_page_of_one_object_has_the_set_severity(debt: None) -> None:
    people.operator_person()
    severity("fee_debt", "warning")

    text = text_of(signed_in("olga").get(reverse("miner", args=["f02001"])))

    [row] = [part for part in text.split("<li") if "owes 1.0000" in part and "data-tone" in part][:1]
    assert 'data-tone="warn"' in row
