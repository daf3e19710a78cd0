"""A process that ends again and again, and a backup that is too old, are named."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apps.checks.findings.console import backups_old
from apps.checks.findings.results import Finding
from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.core.liveness import Heartbeat
from apps.users.rules.principals import SYSTEM
from tests.page_client import signed_in, text_of
from tests.people import operator_person

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


@pytest.mark.parametrize(
    ("age_h", "power", "network", "limit_h", "said"),
    [
        (None, 1, "mainnet", 48, ["the database has never been backed up"]),
        (None, 0, "mainnet", 48, []),
        (None, 1, "mainnet", 0, []),
        (None, 1, "localnet", 48, []),
        (47, 1, "mainnet", 48, []),
        (50, 0, "mainnet", 48, ["the last backup is 2 d 02 h old"]),
        (50, 1, "mainnet", 0, []),
    ],
)
def test_old_backup_is_said_of_a_pool_that_can_lose_something(
    settings: Any, age_h: int | None, power: int, network: str, limit_h: int, said: list[str]
) -> None:
    settings.BACKUP_WITHIN_H, settings.EMBEDDED = limit_h, True
    at = now()
    last = None if age_h is None else at - timedelta(hours=age_h)
    seen = SimpleNamespace(
        at=at,
        backup_last=last,
        network=SimpleNamespace(is_devnet=network == "localnet"),
        miners=[SimpleNamespace(qa_power=power)],
    )

    assert [finding.say for finding in backups_old(cast("CheckData", seen))] == said
