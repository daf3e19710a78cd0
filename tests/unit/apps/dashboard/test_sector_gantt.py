"""A sector's stages on a time axis: what was waiting, what was work, and clocks that differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.dashboard.pages.sectors.gantt import sector_gantt
from apps.sectors.models import Job, JobEvent, Sector

BEGUN = datetime(2026, 11, 29, 12, tzinfo=UTC)


def gantt(*events: tuple[str, int, int | None]) -> Any:
    """The chart of a sector; each event with its stage, second and milliseconds of work."""
    rows = [
        JobEvent(event="X", stage=stage, to_state="PC2", at=BEGUN + timedelta(seconds=second), ms=ms)
        for stage, second, ms in events
    ]
    sector = Sector(created_at=BEGUN, state="TERMINATED")
    return sector_gantt(sector, rows, at=BEGUN + timedelta(hours=1))


def bars(row: Any) -> list[tuple[float, float, str]]:
    return [(bar.x, bar.w, bar.tone) for bar in row.bars]


def test_waiting_is_pale_and_work_is_full() -> None:
    row = gantt(("PC1", 100, 75_000)).rows[0]

    assert bars(row) == [(0.0, 25.0, "ok quiet"), (25.0, 75.0, "ok")]
    assert row.text.endswith("1:40, of which 25 s waiting")


def test_work_that_began_before_its_stage_by_another_clock_is_cut() -> None:
    assert bars(gantt(("PC1", 100, 900_000)).rows[0]) == [(0.0, 100.0, "ok")]
    assert bars(gantt(("PC1", 100, -5)).rows[0])[0] == (0.0, 100.0, "ok quiet")


def test_no_stage_ends_before_the_one_before_it() -> None:
    first, second = gantt(("PC1", 100, None), ("PC2", 40, 5_000)).rows

    assert bars(first) == [(0.0, 100.0, "ok")]
    assert [(bar.x, bar.tone) for bar in second.bars] == [(100.0, "ok")]
    assert "-" not in second.text + second.took


def test_a_host_whose_clock_is_slow_ends_no_stage_before_the_pledge() -> None:
    row = gantt(("PC1", -30, 10_000)).rows[0]

    assert all(bar.x >= 0 for bar in row.bars)
    assert "-" not in row.took


def test_work_of_which_no_host_told_the_time_is_no_waiting() -> None:
    row = gantt(("PC1", 100, 0)).rows[0]

    assert bars(row) == [(0.0, 100.0, "ok")]
    assert "waiting" not in row.text


@pytest.mark.parametrize(("state", "tone"), [("READY", "run quiet"), ("LEASED", "run"), ("WAITING", "run")])
def test_the_present_stage_is_pale_while_no_host_has_it(state: str, tone: str) -> None:
    sector = Sector(created_at=BEGUN, state="TICKET_ASSIGNED")
    sector.job = Job(state=state)

    (row,) = sector_gantt(sector, [], at=BEGUN + timedelta(hours=1)).rows

    assert bars(row) == [(0.0, 100.0, tone)]
    assert row.text.endswith("1:00:00, of which 1:00:00 waiting") == (state == "READY")
