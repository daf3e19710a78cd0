"""A process that ends again and again is named, though it runs whenever somebody looks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.core.liveness import Heartbeat
from apps.users.principals import SYSTEM
from tests.page_client import signed_in, text_of
from tests.people import operator_person

if TYPE_CHECKING:
    from apps.checks.findings.results import Finding

pytestmark = pytest.mark.django_db


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """When each process ended, of those that run now."""
    exits: dict[str, list[float]] = {"tasks": [], "web-1": []}

    def supervised() -> dict[str, dict[str, object]]:
        same = {"pid": 7, "up": True, "once": False, "restarts": 4, "last_exit": -9}
        return {name: {**same, "name": name, "exits": times} for name, times in exits.items()}

    monkeypatch.setattr("apps.core.processes.supervised", supervised)
    monkeypatch.setattr("apps.core.processes.heartbeats", dict)
    return exits


def found() -> tuple[Finding, ...]:
    [result] = evaluate_some(["processes_down"], CheckData(SYSTEM)).results
    return result.findings


def minutes_ago(*minutes: int) -> list[float]:
    return [(now() - timedelta(minutes=one)).timestamp() for one in minutes]


def test_process_that_ended_three_times_within_an_hour_is_named(ended: dict[str, list[float]]) -> None:
    ended |= {"tasks": minutes_ago(50, 20, 1), "web-1": minutes_ago(200, 90, 20, 10)}

    [finding] = found()

    assert finding.say == "tasks restarted 3 times within the last hour"
    assert "the end of tasks.log says why" in finding.reason


def test_process_that_does_not_run_is_named_in_what_alerts_say(
    ended: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Heartbeat("tasks", 7, now() - timedelta(minutes=1), "")
    monkeypatch.setattr("apps.core.processes.heartbeats", lambda: {"tasks": silent})

    [finding] = found()

    assert finding.say == "tasks silent: 1 of 2 processes not running"
    assert "end one that is silent" in finding.reason


def test_today_shows_a_restart_for_an_hour(ended: dict[str, list[float]]) -> None:
    operator_person()
    page = signed_in("olga")

    ended["tasks"] = minutes_ago(61)
    assert "2 of 2 running" not in text_of(page.get("/"))
    ended["tasks"] = minutes_ago(59)
    assert "2 of 2 running" in text_of(page.get("/"))
    assert found() == ()
