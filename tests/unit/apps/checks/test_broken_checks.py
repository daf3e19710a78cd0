"""A check that breaks is itself reported, and silences no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.urls import reverse

from apps.checks import tasks
from apps.checks.findings.results import Finding
from apps.checks.models import Alert, Notification
from apps.checks.report import evaluate as evaluation
from apps.checks.selectors import data
from apps.checks.selectors.data import CheckData
from apps.checks.table.checks import CHECKS
from apps.checks.tasks import alerts_run
from apps.core.clock import now
from apps.users.rules.principals import SYSTEM
from tests import factories
from tests.alerts import channel
from tests.page_client import signed_in, text_of
from tests.people import operator_person

pytestmark = pytest.mark.django_db


def breaks(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """Have a check of this name raise an error."""

    def find(_data: CheckData) -> list[Finding]:
        raise error

    broken = [replace(check, find=find) if check.name == name else check for check in CHECKS]
    monkeypatch.setattr(evaluation, "CHECKS", tuple(broken))


def test_check_that_breaks_is_alerted_and_silences_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    factories.miner(3001, fee_debt=10**18)
    channel()
    breaks(monkeypatch, "hosts_slow", KeyError("cpus"))

    alerts_run()

    texts = {row.body["check"]: row.text for row in Notification.objects.all()}
    assert "owes 1" in texts["fee_debt"]
    assert texts["hosts_slow"].endswith("Warning: the check “No host is slow” could not be run")
    assert "cpus" not in texts["hosts_slow"]


def test_pages_and_metrics_are_shown_while_a_check_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    operator_person()
    page = signed_in("olga")
    breaks(monkeypatch, "hosts_slow", KeyError("cpus"))

    assert "“No host is slow” could not be run" in text_of(page.get(reverse("today")))
    assert 'check="hosts_slow",severity="warning"} 1.0' in page.get("/metrics").content.decode()


def late() -> list[str]:
    [result] = evaluation.evaluate_some(["notifications_undelivered"], CheckData(SYSTEM)).results
    return [finding.say for finding in result.findings]


def fails(**_values: Any) -> int:
    raise ValueError("no answer")


def test_absent_database_is_no_broken_check(monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(monkeypatch, "hosts_slow", OperationalError("it restarts"))

    with pytest.raises(OperationalError):
        alerts_run()


def test_alerts_that_are_not_evaluated_are_found(pool_redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    channel()
    minute = timedelta(minutes=1)
    alerts_run()
    at = now()
    monkeypatch.setattr(data, "now", lambda: at + 4 * minute)
    assert late() == []

    with monkeypatch.context() as broken:
        broken.setattr(tasks, "notifications_deliver", fails)
        with pytest.raises(ValueError, match="no answer"):
            alerts_run()
    monkeypatch.setattr(data, "now", lambda: at + 6 * minute)
    [said] = late()
    assert said.startswith("alerts were last evaluated 6 min")

    alerts_run()
    assert not Alert.objects.filter(check_name="notifications_undelivered").exists()
