"""Components of the pool: their time is counted whole or not at all, and never as up when nobody knows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from apps.checks.models import ComponentDay, ComponentIncident, ComponentStatus, Maintenance
from apps.checks.selectors.components import GAP, components_records
from apps.checks.services import components
from apps.checks.services.components import RETENTION, components_record
from apps.checks.states import Component
from apps.messages.models import Recovery
from tests.components import DEGRADED, DOWN, UNKNOWN, UP, counted, found, recorded

pytestmark = pytest.mark.django_db

T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = T0.date()


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_time_between_evaluations_counts_as_the_first_found_it() -> None:
    recorded(T0, seconds=60)
    recorded(T0 + minutes(1.25), seconds=30, chain=DOWN, proving=DEGRADED)
    recorded(T0 + minutes(2))

    assert counted("CHAIN", DAY) == (75, 0, 45, 0)
    assert counted("PROVING", DAY) == (75, 45, 0, 0)
    assert counted("CONSOLE", DAY) == (120, 0, 0, 0)


def test_second_evaluation_of_one_moment_counts_nothing() -> None:
    recorded(T0, seconds=30)
    recorded(T0 + minutes(0.5))

    assert counted("CHAIN", DAY) == (30, 0, 0, 0)


def test_time_without_evaluations_is_the_consoles_outage_and_unknown() -> None:
    recorded(T0, seconds=15)
    recorded(T0 + minutes(10), seconds=15)

    assert counted("CHAIN", DAY) == (30, 0, 0, 585)
    assert counted("CONSOLE", DAY) == (30, 0, 585, 0)
    (incident,) = ComponentIncident.objects.all()
    assert (incident.component, incident.effect) == ("CONSOLE", "stopped")
    assert (incident.since, incident.ended_at) == (T0 + minutes(0.25), T0 + minutes(10))
    status = ComponentStatus.objects.get(component="CHAIN")
    assert (status.condition, status.since) == (UP, T0 + minutes(10))


def test_time_is_split_at_midnight_utc() -> None:
    recorded(datetime(2026, 11, 21, 23, 59, 50, tzinfo=UTC), seconds=30)

    assert counted("CHAIN", date(2026, 11, 21)) == (10, 0, 0, 0)
    assert counted("CHAIN", date(2026, 11, 22)) == (20, 0, 0, 0)


def test_outage_of_days_fills_each_of_them() -> None:
    recorded(T0)
    recorded(T0 + timedelta(days=2))

    assert counted("CONSOLE", date(2026, 11, 22)) == (0, 0, 86_400, 0)
    assert counted("BLOCKS", date(2026, 11, 22)) == (0, 0, 0, 86_400)
    assert counted("BLOCKS", date(2026, 11, 23)) == (0, 0, 0, 43_200)


def test_clock_that_is_set_back_counts_no_second_twice() -> None:
    recorded(T0, seconds=600)
    recorded(T0 + minutes(5), seconds=360, chain=DOWN)

    assert sum(counted("CHAIN", DAY)) == 660
    assert counted("CHAIN", DAY) == (600, 0, 60, 0)


def test_days_of_a_clock_that_was_ahead_are_forgotten() -> None:
    recorded(T0)
    recorded(T0 + timedelta(days=3), seconds=30)
    recorded(T0 + minutes(1), seconds=30)

    assert set(ComponentDay.objects.values_list("day", flat=True)) == {DAY}
    assert counted("CHAIN", DAY) == (30, 0, 0, 12 * 3600)
    assert not ComponentStatus.objects.filter(since__gt=T0 + minutes(2)).exists()


def test_restored_database_does_not_call_the_console_down() -> None:
    recorded(T0, seconds=15)
    Recovery.objects.create(pk=1, restored_at=T0 + minutes(30))
    recorded(T0 + minutes(31), seconds=15)

    assert counted("CONSOLE", DAY) == (30, 0, 0, 31 * 60 - 15)
    assert not ComponentIncident.objects.exists()


def test_killed_evaluation_leaves_the_time_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(T0, seconds=15)

    def killed(_self: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(components.DayCounts, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            components_record(found(chain=DOWN), now=T0 + minutes(0.5))
    recorded(T0 + minutes(0.75))

    assert counted("CHAIN", DAY) == (45, 0, 0, 0)
    assert not ComponentIncident.objects.exists()


def test_component_becomes_unknown_once_nothing_evaluates() -> None:
    at = recorded(T0, seconds=30)

    (chain, *_) = components_records(at + GAP)
    (later, *_) = components_records(at + GAP + minutes(1))

    assert (chain.condition, chain.since) == (UP, T0)
    assert (later.condition, later.since) == (UNKNOWN, at)


def test_incident_keeps_its_worst_and_ends_once_it_is_up() -> None:
    recorded(T0, sealing=DEGRADED)
    recorded(T0 + minutes(1), sealing=DOWN)
    recorded(T0 + minutes(2), sealing=DEGRADED)
    recorded(T0 + minutes(3))

    (incident,) = ComponentIncident.objects.all()
    assert (incident.component, incident.condition, incident.effect) == ("SEALING", DOWN, "console_disk")
    assert (incident.since, incident.ended_at) == (T0, T0 + minutes(3))


def test_component_that_fails_again_soon_is_one_incident() -> None:
    for minute in (0, 2, 4, 20):
        recorded(T0 + minutes(minute), seconds=45, chain=DOWN)
        recorded(T0 + minutes(minute + 1), seconds=45)

    rows = ComponentIncident.objects.filter(component="CHAIN").order_by("since")
    assert [(row.since, row.ended_at) for row in rows] == [
        (T0, T0 + minutes(5)),
        (T0 + minutes(20), T0 + minutes(21)),
    ]


def test_announced_time_is_counted_as_it_was_and_named() -> None:
    for starts, ends in ((1, 4), (2, 3), (7, 9)):
        Maintenance.objects.create(
            text="new disks",
            components=["CHAIN"],
            starts_at=T0 + minutes(starts),
            ends_at=T0 + minutes(ends),
            created_at=T0 + minutes(8) if starts == 7 else T0,
        )
    recorded(T0, seconds=10 * 60, chain=DOWN)

    row = ComponentDay.objects.get(component="CHAIN")
    assert (row.down_s, row.announced_s) == (600, 180 + 60)
    assert ComponentDay.objects.get(component="BLOCKS").announced_s == 0


def test_old_days_are_deleted_as_a_new_one_begins() -> None:
    old = (T0 - RETENTION - timedelta(days=1)).date()
    ComponentDay.objects.create(component="CHAIN", day=old, up_s=86_400)
    recorded(T0, seconds=15)

    assert not ComponentDay.objects.filter(day=old).exists()
    assert ComponentDay.objects.count() == len(Component)
