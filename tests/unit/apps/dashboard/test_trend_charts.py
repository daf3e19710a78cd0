"""Geometry and texts of trends: gaps stay gaps, bars stand on each other, the table says the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.dashboard.trend_charts import Axis, Line, Trend, trend

HOUR = timedelta(hours=1)
BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)
VALUES = st.lists(st.none() | st.integers(-(10**30), 10**30), min_size=1, max_size=20)


def drawn(*lines: Line, step: timedelta = HOUR, **more: Any) -> Trend:
    steps = [BEGIN + step * place for place in range(len(lines[0].values))]
    return trend("x", "Power", lines, axis=Axis(steps, step), text=lambda value: f"{value} B", **more)


def numbers(path: str) -> list[float]:
    return [float(text) for text in re.findall(r"-?\d+\.\d+", path)]


@given(VALUES, st.booleans())
def test_all_of_a_chart_is_inside(values, is_bars):
    found = drawn(Line("Raw", values, is_bars=is_bars))

    assert all(-0.01 <= number <= 100.01 for number in numbers(found.lines[0].path))
    assert len(found.rows) == len(values)
    assert found.is_empty == all(value is None for value in values)


def test_a_gap_is_neither_joined_nor_0():
    found = drawn(Line("Raw", [1, 2, None, 4, 5]))

    assert found.lines[0].path.count("M") == 2
    assert found.rows[2][1] == (("Raw", "–"),)


def test_a_step_alone_is_a_dash_that_can_be_seen():
    assert "h" in drawn(Line("Raw", [None, 5, None])).lines[0].path


def test_the_newest_known_step_stands_above_the_chart():
    found = drawn(Line("Raw", [1, 7, None]), Line("Quality-adjusted", [None, 70, None]))

    assert found.newest == "20 Nov 13:00 · Raw 7 B · Quality-adjusted 70 B"


def test_nothing_known_says_so_and_has_no_scale():
    found = drawn(Line("Raw", [None, None]))

    assert found.is_empty
    assert found.label == "Power: nothing known yet"
    assert found.y_ticks == ()


def test_bars_stand_on_each_other_and_on_0():
    found = drawn(Line("Included", [2, 0], is_bars=True), Line("Lost", [2, 0], is_bars=True))

    foot_and_top = [numbers(line.path)[1:3] for line in found.lines]
    assert foot_and_top == [[98.0, 51.0], [51.0, 4.0]]


@pytest.mark.parametrize(("value", "height"), [(61, 51.0), (0, 98.0)])
def test_what_never_changed_is_in_the_middle_and_0_at_the_foot(value, height):
    found = drawn(Line("Raw", [value, value]))

    assert set(numbers(found.lines[0].path)[1::2]) == {height}


@pytest.mark.parametrize(
    ("step", "text"), [(HOUR, "20 Nov 12:00"), (timedelta(days=1), "20 Nov"), (timedelta(days=7), "20 Nov")]
)
def test_a_step_is_told_by_its_hour_or_its_day(step, text):
    assert drawn(Line("Raw", [1]), step=step).rows[0][0] == text


def test_bounds_are_always_inside():
    found = drawn(Line("Load", [0.4, 0.5]), low=0.0, high=1.0)

    assert [tick.label for tick in found.y_ticks] == ["1.0 B", "0.5 B", "0.0 B"]
