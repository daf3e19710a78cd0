"""Times and days as people read them: in the page's language and zone; for programs in English and UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from django.utils import dateformat
from django.utils.timezone import localtime
from django.utils.translation import get_language, pgettext

if TYPE_CHECKING:
    from datetime import date

HOUR_MIN: Final = 60
"""Minutes."""


def offset_text(at: datetime) -> str:
    """Return how a time's zone differs from UTC then: `UTC`, `UTC+8`, `UTC-4`, `UTC+5:45`."""
    offset = at.utcoffset()
    if not offset:
        return "UTC"
    hours, minutes = divmod(abs(int(offset.total_seconds())) // 60, HOUR_MIN)
    sign = "+" if offset.days >= 0 else "-"
    return f"UTC{sign}{hours}:{minutes:02d}" if minutes else f"UTC{sign}{hours}"


def day_text(day: date, *, year: bool = False) -> str:
    """Return a day with its month's name, and with its year: `28 Nov`, `28 Nov 2026`."""
    return _day_written(day.year, day.month, day.day, year, get_language())


@lru_cache(maxsize=2048)
def _day_written(year: int, month: int, day: int, has_year: bool, _language: str | None) -> str:
    form = pgettext("form of a day", "d M Y") if has_year else pgettext("form of a day", "d M")
    return dateformat.format(datetime(year, month, day, tzinfo=UTC), form)


def clock_text(at: datetime) -> str:
    """Return a time of day: `10:05:12 UTC+1`."""
    here = localtime(at)
    return f"{here:%H:%M:%S} {offset_text(here)}"


def moment_text(at: datetime) -> str:
    """Return a minute of the year: `28 Nov 10:05 UTC+1`."""
    here = localtime(at)
    return f"{day_text(here)} {here:%H:%M} {offset_text(here)}"


def minute_text(at: datetime) -> str:
    """Return a minute of any year: `2026-11-28 10:05 UTC+1`."""
    here = localtime(at)
    return f"{here:%Y-%m-%d %H:%M} {offset_text(here)}"
