"""Ranges of UTC days, as money is added up over them: the last days, a month, or from one day to another."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext


class DayRange(NamedTuple):
    """UTC days, both of them and all between."""

    first: date
    last: date


def today_of(now: datetime) -> date:
    """Return the UTC day of a moment, under which spending then is written down."""
    return now.astimezone(UTC).date()


def last_days(days: int, *, now: datetime) -> DayRange:
    """Return the last days, today included."""
    today = today_of(now)
    return DayRange(today - timedelta(days=days - 1), today)


def month_after(month: date) -> date:
    """Return the first day of the next month."""
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def month_before(day: date) -> date:
    """Return the first day of the month before a day's."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


def month_days(month: date) -> DayRange:
    """Return the days of a month, of which one is given."""
    first = month.replace(day=1)
    return DayRange(first, month_after(first) - timedelta(days=1))


def month_read(text: str) -> date:
    """Read `2026-11` as its first day.  Raises BadValue."""
    try:
        month = date.fromisoformat(f"{text}-01")
    except ValueError:
        month = date.min
    if not clock.YEARS[0] <= month.year <= clock.YEARS[1]:
        raise BadValue(gettext("must be a month such as 2026-11"), field="month")
    return month
