"""Geometry of strips, sparks and bars."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.dashboard.charts import STRIP_HEIGHT_PX, StripEntry, gantt_bar, spark, strip

TONES = ("ok", "run", "warn", "bad", "none", "idle")
ENTRIES = st.lists(
    st.builds(StripEntry, tone=st.sampled_from(TONES), share=st.floats(0, 1), title=st.just("a deadline")),
    max_size=60,
)


@given(ENTRIES, st.floats(0, 1))
def test_cells_of_a_strip_stay_inside_and_in_order(entries, now):
    drawn = strip(entries, now=now, label="x")

    assert len(drawn.cells) == len(entries)
    assert [cell.x for cell in drawn.cells] == sorted(cell.x for cell in drawn.cells)
    for cell in drawn.cells:
        assert cell.x >= 0
        assert cell.x + cell.w <= 100.01
        assert cell.y >= 0
        assert cell.y + cell.h <= STRIP_HEIGHT_PX + 0.1
    assert 0 <= drawn.now <= 100


@pytest.mark.parametrize(
    ("tone", "mark"), [("warn", "!"), ("bad", "×"), ("ok", ""), ("run", ""), ("idle", "")]
)
def test_only_exceptions_carry_a_mark(tone, mark):
    assert strip([StripEntry(tone=tone, share=1, title="")], now=0, label="").cells[0].mark == mark


def test_a_cell_is_drawn_with_its_words_escaped():
    entry = StripEntry(tone="bad", share=1, title="deadline 3: <b> & so on")

    assert strip([entry], now=0, label="").drawn == (
        '<rect class="t-bad" x="0.0%" width="78.0%" y="0.0" height="25.0" rx="1.5">'
        "<title>deadline 3: &lt;b&gt; &amp; so on</title></rect>"
        '<text class="mark" x="39.0%" y="17" text-anchor="middle">\u00d7</text>'
    )


def test_more_time_to_spare_is_a_higher_cell():
    early, late = strip(
        [StripEntry(tone="ok", share=0.9, title=""), StripEntry(tone="ok", share=0.1, title="")],
        now=0,
        label="",
    ).cells

    assert early.h > late.h


@pytest.mark.parametrize("values", [[], [1.0]])
def test_a_spark_needs_two_values(values):
    assert spark(values, label="x") is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=50))
def test_a_spark_stays_in_its_box(values):
    drawn = spark(values, label="x")

    assert drawn is not None
    points = [point.split() for point in drawn.line[1:].split("L")]
    assert len(points) == len(values)
    assert all(-0.01 <= float(x) <= 100.01 and 2.9 <= float(y) <= 18.1 for x, y in points)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_bar_is_never_too_thin_to_be_seen(start, length):
    bar = gantt_bar(start, start + length, tone="ok")

    assert bar.w >= 0.4
    assert bar.x <= bar.mid <= bar.x + bar.w
