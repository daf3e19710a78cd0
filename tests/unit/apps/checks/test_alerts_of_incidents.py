"""Alerts of one incident: one notification of the cause, with what it explains; none is kept back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from apps.checks.findings.results import Finding
from apps.checks.models import Alert, CheckSetting, Notification
from apps.checks.report.report import Report
from apps.checks.services.acknowledgements import alert_acknowledge
from apps.checks.services.alerts import alerts_update
from apps.users.rules.principals import SYSTEM
from tests.alerts import HOUR, T0, channel, report_of

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def told(at: timedelta, *failing: str, causes: dict[str, str]) -> list[tuple[str, str, str]]:
    """Evaluate checks that fail, some by others; return channel, event and check of what is told."""
    report = replace(report_of(*failing), causes=causes)
    rows = alerts_update(report=report, pool="testnet", now=T0 + at)
    return [(row.channel.name, str(row.event), row.body["check"]) for row in rows]


def lost_wins(**counts: int) -> Report:
    """A signer that fails and loses wins: so many of each of these miners."""
    report = report_of("requests_failed", "wins_lost")
    found = tuple(Finding(key, f"wins of {key} are lost", count=count) for key, count in counts.items())
    results = tuple(
        replace(one, findings=found) if one.check.name == "wins_lost" else one for one in report.results
    )
    return replace(report, results=results, causes=dict.fromkeys(counts, "requests_failed"))


def told_of_wins(at: timedelta, **counts: int) -> list[tuple[str, str]]:
    """Evaluate a signer that loses wins; return event and check of what is told."""
    rows = alerts_update(report=lost_wins(**counts), pool="testnet", now=T0 + at)
    return [(str(row.event), row.body["check"]) for row in rows]


LOST = {"wins_lost": "requests_failed"}
MORE = {**LOST, "rounds_undrawn": "requests_failed"}


def test_a_channel_is_told_of_the_cause_with_what_it_explains() -> None:
    channel()

    assert told(0 * MINUTE, "requests_failed", "wins_lost", causes=LOST) == [
        ("ops", "STARTED", "requests_failed")
    ]

    body = Notification.objects.get().body
    assert body["severity"] == "critical"
    assert body["text"].startswith(
        "[testnet] Critical: requests_failed is wrong. Because of it: wins_lost is"
    )
    assert body["explains"] == [{"check": "wins_lost", "findings": ["wins_lost is wrong"]}]
    assert Alert.objects.get(check_name="wins_lost").part_of == "requests_failed"


def test_a_warning_that_explains_a_critical_check_is_critical() -> None:
    channel(critical_only=True)

    assert told(0 * MINUTE, "requests_failed", causes={}) == []
    assert told(MINUTE, "requests_failed", "wins_lost", causes=LOST) == [
        ("ops", "STARTED", "requests_failed")
    ]


def test_what_a_cause_explains_later_is_told_at_once() -> None:
    channel(repeat_s=24 * 3600)
    told(0 * MINUTE, "requests_failed", "wins_lost", causes=LOST)

    again = ("requests_failed", "wins_lost", "rounds_undrawn")
    assert told(MINUTE, *again, causes=MORE) == [("ops", "REPEATED", "requests_failed")]
    assert told(2 * MINUTE, *again, causes=MORE) == []


def test_a_muted_cause_keeps_nothing_else_back() -> None:
    channel()
    CheckSetting.objects.create(check_name="requests_failed", muted_until=T0 + HOUR)

    assert told(0 * MINUTE, "requests_failed", "wins_lost", causes=LOST) == [("ops", "STARTED", "wins_lost")]


def test_what_the_cause_explains_no_more_is_told_by_itself() -> None:
    channel()
    told(0 * MINUTE, "requests_failed", "wins_lost", causes=LOST)

    assert told(MINUTE, "wins_lost", causes={}) == [
        ("ops", "ENDED", "requests_failed"),
        ("ops", "STARTED", "wins_lost"),
    ]


def test_an_acknowledgement_of_a_cause_ends_as_it_explains_more() -> None:
    channel(repeat_s=24 * 3600)
    told(0 * MINUTE, "requests_failed", "wins_lost", causes=LOST)
    alert = Alert.objects.get(check_name="requests_failed")
    alert_acknowledge(principal=SYSTEM, uuid=alert.uuid, hours=0, now=T0)

    assert told(MINUTE, "requests_failed", "wins_lost", causes=LOST) == []
    again = ("requests_failed", "wins_lost", "rounds_undrawn")
    assert told(2 * MINUTE, *again, causes=MORE) == [("ops", "REPEATED", "requests_failed")]


def test_what_a_cause_explains_is_told_again_as_it_grows() -> None:
    channel(repeat_s=24 * 3600)
    again = [("REPEATED", "requests_failed")]

    assert told_of_wins(0 * MINUTE, f02001=4) == [("STARTED", "requests_failed")]
    assert told_of_wins(20 * MINUTE, f02001=7) == []
    assert told_of_wins(21 * MINUTE, f02001=8) == again
    assert told_of_wins(22 * MINUTE, f02001=16) == [], "at most once in 15 minutes"
    assert told_of_wins(37 * MINUTE, f02001=16) == again
    assert told_of_wins(60 * MINUTE, f02001=16, f02002=1) == again
    assert told_of_wins(90 * MINUTE, f02001=15) == []


def test_an_acknowledgement_of_a_cause_ends_as_what_it_explains_doubles() -> None:
    channel(repeat_s=24 * 3600)
    told_of_wins(0 * MINUTE, f02001=4)
    alert = Alert.objects.get(check_name="requests_failed")
    alert_acknowledge(principal=SYSTEM, uuid=alert.uuid, hours=0, now=T0)

    assert told_of_wins(MINUTE, f02001=7) == []
    assert told_of_wins(2 * MINUTE, f02001=8) == [("REPEATED", "requests_failed")]
    alert.refresh_from_db()
    assert not alert.is_acknowledged


def test_a_muted_check_is_not_told_with_its_cause_and_makes_it_no_worse() -> None:
    channel()
    channel("critical", critical_only=True)
    CheckSetting.objects.create(check_name="wins_lost", muted_until=T0 + HOUR)
    both = ("requests_failed", "wins_lost")

    assert told(0 * MINUTE, *both, causes=LOST) == [("ops", "STARTED", "requests_failed")]
    body = Notification.objects.get().body
    assert body["severity"] == "warning"
    assert "wins_lost" not in str(body)
    assert ("critical", "STARTED", "requests_failed") in told(HOUR + MINUTE, *both, causes=LOST)


def test_a_notification_costs_no_more_than_all_that_there_is() -> None:
    channel()
    report = lost_wins(f02001=1)
    results = tuple(
        replace(row, findings=tuple(replace(one, per_day=4) for one in row.findings))
        for row in report.results
    )

    [row] = alerts_update(report=replace(report, results=results, per_day_max=5), pool="testnet", now=T0)

    assert row.body["per_day"] == "5"


def test_a_check_of_which_only_a_part_is_explained_is_told_by_itself() -> None:
    channel()
    report = report_of("requests_failed", "wins_lost")
    [lost] = [one for one in report.results if one.check.name == "wins_lost"]
    both = replace(lost, findings=(*lost.findings, replace(lost.findings[0], key="another")))
    results = tuple(both if one is lost else one for one in report.results)

    rows = alerts_update(report=replace(report, results=results, causes=LOST), pool="testnet", now=T0)

    assert {row.body["check"] for row in rows} == {"requests_failed", "wins_lost"}
