"""Which of several miners a notification is about, and when another one is told of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from apps.checks.findings.results import Finding, Link
from apps.checks.models import Alert, Notification
from apps.checks.services.alerts import alerts_update
from tests.alerts import HOUR, T0, channel, report_of

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def told(at: datetime, *miners: str, check: str = "windows_at_risk") -> list[str]:
    """Evaluate at a moment with a finding for each of these miners; the texts of what is sent."""
    found = tuple(
        Finding(f"deadlines-{one}", "1 deadline at risk", "a secret", link=Link("miner", (one,)))
        for one in miners
    )
    report = report_of(check)
    results = [replace(one, findings=found) if one.check.name == check else one for one in report.results]
    rows = alerts_update(report=replace(report, results=tuple(results)), pool="testnet", now=at)
    return [f"{row.event}: {row.text.partition(': ')[2]}" for row in rows]


def test_notification_names_the_miner() -> None:
    channel()

    assert told(T0, "f01", "f02") == ["STARTED: 1 deadline at risk (f01); 1 deadline at risk (f02)"]
    assert Notification.objects.get().body["findings"] == [
        "1 deadline at risk (f01)",
        "1 deadline at risk (f02)",
    ]


def test_critical_check_that_fails_for_another_miner_is_told_in_15_minutes() -> None:
    channel(repeat_s=24 * 3600)
    told(T0, "f01")

    assert told(T0 + 14 * MINUTE, "f02") == []
    assert told(T0 + 15 * MINUTE, "f02") == ["REPEATED: 1 deadline at risk (f02)"]
    assert told(T0 + HOUR, "f01") == [], "it was told of within the interval"
    assert told(T0 + 2 * HOUR, "f02") == []


def test_warning_that_fails_for_another_miner_waits_for_the_interval() -> None:
    channel(repeat_s=24 * 3600)
    told(T0, "f01", check="recoveries_capped")

    assert told(T0 + HOUR, "f02", check="recoveries_capped") == []


def test_notification_of_an_older_version_makes_nothing_new() -> None:
    channel(repeat_s=24 * 3600)
    told(T0, "f01")
    Notification.objects.update(keys=[])

    assert told(T0 + HOUR, "f01") == []


def test_findings_that_say_the_same_are_one_with_their_count() -> None:
    channel()
    found = [Finding(f"paused-{one}", "1 sector paused", "why") for one in "abc"]
    found.append(Finding("other", "2 sectors paused", "why"))
    report = report_of("sectors_paused")
    results = [
        replace(one, findings=tuple(found)) if one.check.name == "sectors_paused" else one
        for one in report.results
    ]

    alerts_update(report=replace(report, results=tuple(results)), pool="testnet", now=T0)

    assert Alert.objects.get().say == "1 sector paused (× 3); 2 sectors paused"
