"""Times in the language and the zone of a page."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.utils import timezone, translation

from apps.core import clock
from apps.core.local_time import clock_text, day_begin, day_text, minute_text, moment_text
from apps.dashboard.html_time import time_html
from apps.dashboard.templatetags.poolsite import at_time

AT = datetime(2026, 11, 20, 14, 3, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 20, 18, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (datetime(2026, 11, 20, 23, 59, tzinfo=UTC), "14:03:12"),
        (datetime(2026, 11, 21, 0, 0, tzinfo=UTC), "20 Nov 14:03"),
        (datetime(2026, 10, 1, 0, 0, tzinfo=UTC), "20 Nov 14:03"),
        (datetime(2027, 1, 1, 0, 0, tzinfo=UTC), "20 Nov 2026"),
    ],
)
def test_a_moment_of_another_day_has_its_date(monkeypatch, now, text):
    monkeypatch.setattr(clock, "now", lambda: now)

    assert f">{text}<" in time_html(AT)


def test_a_moment_carries_its_date_for_machines_and_pointers(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: AT)

    html = time_html(AT)

    assert 'datetime="2026-11-20T14:03:12+00:00"' in html
    assert 'title="2026-11-20 14:03:12 UTC"' in html
    assert ">14:03:12<" in html


def test_an_unknown_moment_is_a_dash():
    assert time_html(None) == "–"


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (datetime(2026, 12, 1, tzinfo=UTC), "11月20日 14:03"),
        (datetime(2027, 1, 1, tzinfo=UTC), "2026年11月20日"),
    ],
)
def test_chinese_page_writes_months_as_numbers(monkeypatch, now, text):
    monkeypatch.setattr(clock, "now", lambda: now)

    with translation.override("zh-hans"):
        assert f">{text}<" in time_html(AT)
        assert moment_text(AT) == "11月20日 14:03 UTC"
    assert moment_text(AT) == "20 Nov 14:03 UTC"


def test_days_have_two_digits_in_english_and_no_zero_in_chinese():
    assert [day_text(date(2026, month, 5)) for month in (1, 5, 9)] == ["05 Jan", "05 May", "05 Sep"]
    assert day_text(date(2026, 1, 5), year=True) == "05 Jan 2026"
    with translation.override("zh-hans"):
        assert day_text(date(2026, 1, 5)) == "1月5日"


@pytest.mark.parametrize(
    ("zone", "summer", "winter"),
    [
        ("Europe/Berlin", "14:03:12 UTC+2", "15:03:12 UTC+1"),
        ("Europe/London", "13:03:12 UTC+1", "14:03:12 UTC"),
        ("America/New_York", "08:03:12 UTC-4", "09:03:12 UTC-5"),
        ("America/St_Johns", "09:33:12 UTC-2:30", "10:33:12 UTC-3:30"),
        ("Asia/Kathmandu", "17:48:12 UTC+5:45", "19:48:12 UTC+5:45"),
    ],
)
def test_a_time_names_its_offset_of_that_day(zone, summer, winter):
    with timezone.override(zone):
        assert clock_text(datetime(2026, 7, 20, 12, 3, 12, tzinfo=UTC)) == summer
        assert clock_text(AT) == winter


@pytest.mark.parametrize(
    ("zone", "shown", "title"),
    [
        ("Europe/Berlin", "19:30:12", "2026-11-20 19:30:12 UTC+1 (2026-11-20 18:30:12 UTC)"),
        ("America/New_York", "13:30:12", "2026-11-20 13:30:12 UTC-5 (2026-11-20 18:30:12 UTC)"),
        ("Asia/Kathmandu", "21 Nov 00:15", "2026-11-21 00:15:12 UTC+5:45 (2026-11-20 18:30:12 UTC)"),
    ],
)
def test_a_moment_is_of_its_zones_day_and_shows_utc_to_pointers(monkeypatch, zone, shown, title):
    monkeypatch.setattr(clock, "now", lambda: AT)

    with timezone.override(zone):
        html = time_html(NIGHT)

    assert f">{shown}<" in html
    assert f'title="{title}"' in html
    assert datetime.fromisoformat(html.partition('datetime="')[2].partition('"')[0]) == NIGHT


def test_both_of_an_hour_that_occurs_twice_are_told_apart(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 10, 25, 12, tzinfo=UTC))

    with timezone.override("Europe/Berlin"):
        shown = [time_html(datetime(2026, 10, 25, hour, 30, tzinfo=UTC)) for hour in (0, 1, 2)]

    assert [html.partition('">')[2].removesuffix("</time>") for html in shown] == [
        "02:30:00 UTC+2",
        "02:30:00 UTC+1",
        "03:30:00",
    ]


def test_minutes_of_any_year_are_written_alike_in_all_languages():
    with timezone.override("Asia/Shanghai"), translation.override("zh-hans"):
        assert minute_text(NIGHT) == "2026-11-21 02:30 UTC+8"


@pytest.mark.parametrize(
    ("zone", "day", "begin"),
    [
        ("UTC", date(2026, 11, 2), datetime(2026, 11, 2, tzinfo=UTC)),
        ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("Europe/Berlin", date(2026, 3, 30), datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("Africa/Cairo", date(2026, 4, 24), datetime(2026, 4, 23, 22, tzinfo=UTC)),  # midnight is left out
        ("Atlantic/Azores", date(2026, 10, 25), datetime(2026, 10, 25, 0, tzinfo=UTC)),  # it occurs twice
        ("Pacific/Apia", date(2011, 12, 30), datetime(2011, 12, 30, 10, tzinfo=UTC)),  # the day is left out
        ("Pacific/Apia", date(2011, 12, 31), datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_a_day_begins_with_its_first_moment(zone, day, begin):
    with timezone.override(zone):
        assert day_begin(day) == begin


def test_days_of_a_zone_follow_one_another_without_a_gap():
    with timezone.override("America/New_York"):
        hours = [
            (day_begin(date(2026, month, day + 1)) - day_begin(date(2026, month, day))).total_seconds() / 3600
            for month, day in ((3, 8), (7, 1), (11, 1))
        ]

    assert hours == [23, 24, 25]


@pytest.mark.parametrize(
    ("until", "text"),
    [
        (1_795_201_392, "2026-11-21 00:48 UTC+5:45"),
        (None, ""),
        (2**62, ""),
        (10**12, ""),
    ],
)
def test_a_countdown_says_when_it_ends_in_the_pages_zone(until, text):
    with timezone.override("Asia/Kathmandu"):
        assert at_time(until) == text
