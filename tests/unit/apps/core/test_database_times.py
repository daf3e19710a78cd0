"""A slow database: for two minutes, not for a peak, and with what it holds up one incident."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.cache import cache

from apps.checks.findings.console import database_is_slow
from apps.checks.selectors.data import CheckData
from apps.core.database_times import (
    KEY,
    LOCKS_S,
    DatabaseTimes,
    database_sample,
    database_slow,
    sample_note,
)
from apps.users.rules.principals import SYSTEM

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    """No sample of another test."""
    cache.delete(KEY)
    yield
    cache.delete(KEY)


def noted(*ms: float, locks_s: float = 0.0, every_s: float = 15.0) -> None:
    """Note samples, the last of them now."""
    kept, ago_s = cache.get(KEY) or {"samples": []}, every_s * len(ms)
    for one in kept["samples"]:
        one["at"] -= ago_s
    cache.set(KEY, kept, 600)
    for place, one in enumerate(ms, start=1):
        sample_note(DatabaseTimes(time.time() - ago_s + every_s * place, 1.0, one, locks_s))


def test_a_peak_is_no_slow_database_and_a_pause_no_end_of_one() -> None:
    noted(*[900.0] * 3, 20.0, *[900.0] * 3)
    assert database_slow() is None
    assert list(database_is_slow(CheckData(SYSTEM))) == []

    noted(*[900.0] * 9)
    slow = database_slow()
    assert slow is not None
    assert slow.ms == 900.0
    [finding] = database_is_slow(CheckData(SYSTEM))
    assert "900 ms" in finding.say

    noted(20.0, 200.0)
    assert database_slow() is not None, "over half of the limit"
    noted(*[20.0] * 8)
    assert database_slow() is None


def test_a_database_so_slow_that_few_samples_are_taken_is_found_too() -> None:
    """Evaluating all checks with some hundred slow statements takes longer than between two samples."""
    noted(*[400.0] * 4, every_s=50)
    assert database_slow() is not None

    noted(*[20.0] * 4, every_s=50)
    assert database_slow() is None


def test_a_minute_after_a_start_is_too_short() -> None:
    noted(*[900.0] * 8)
    assert database_slow() is None
    noted(900.0)
    assert database_slow() is not None


def test_waits_for_locks_count_and_old_samples_do_not() -> None:
    noted(*[2.0] * 9, locks_s=2 * LOCKS_S)
    [finding] = database_is_slow(CheckData(SYSTEM))
    assert "for a lock" in finding.say

    kept = cache.get(KEY)
    for one in kept["samples"]:
        one["at"] -= 600
    cache.set(KEY, kept, 600)
    assert database_slow() is None


def test_the_database_is_measured(settings: Any) -> None:
    database_sample()
    [sample] = cache.get(KEY)["samples"]
    assert 0 < sample["statement_ms"] < 5_000
    assert 0 < sample["commit_ms"] < 5_000
    assert sample["locks_s"] >= 0

    settings.DATABASE_SLOW_MS = 0
    noted(*[1.0] * 9)
    database_sample()
    assert database_slow() is not None
