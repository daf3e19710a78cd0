"""Times and days as people read them: in the page's language and zone; for programs in English and UTC."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
from typing import Final

from django.utils import dateformat
from django.utils.timezone import get_current_timezone
from django.utils.translation import get_language, pgettext

from apps.core import clock
from apps.core.clock import MINUTE_S

UTC_NAME: Final = "UTC"
HOUR_MIN: Final = 60
REGIONS: Final = frozenset(
    {
        *("Africa", "America", "Antarctica", "Arctic", "Asia"),
        *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
    }
)
"""Begin the names of zones of places; the others are old names, and offsets with their signs reversed."""


@cache
def zone_names() -> tuple[str, ...]:
    """Return the zones of places that this machine knows, `Africa/Abidjan` first."""
    return tuple(sorted(name for name in zoneinfo.available_timezones() if name.split("/")[0] in REGIONS))


def zone_find(text: str) -> str:
    """Return the zone that somebody means by its name or its city, `new york`; "" for UTC, else the text."""
    wanted = text.strip().replace(" ", "_").casefold()
    if wanted == "utc":
        return ""
    found = [name for name in zone_names() if f"/{name}".casefold().endswith(f"/{wanted}")]
    return found[0] if len(found) == 1 else text.strip()


@lru_cache(maxsize=1024)
def zone_named(name: str) -> tzinfo:
    """Return a zone; UTC for none, and for one that this machine does not know."""
    if name in ("", UTC_NAME):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # no such name, no name, a folder
        return UTC


@dataclass(frozen=True, slots=True)
class PageZone:
    """The zone of a page's times."""

    name: str
    """IANA's: `Asia/Shanghai`."""
    offset: str
    """From UTC now: `UTC+8`."""
    minutes: int
    """The same."""

    @property
    def text(self) -> str:
        """As people read it: `UTC`, `Asia/Shanghai (UTC+8)`."""
        return self.name if self.name == self.offset else f"{self.name} ({self.offset})"


def page_zone() -> PageZone:
    """Return the zone that is active."""
    zone = get_current_timezone()
    here = clock.now().astimezone(zone)
    minutes = int((here.utcoffset() or timedelta()).total_seconds()) // MINUTE_S
    return PageZone(str(zone), offset_text(here), minutes)


def offset_text(at: datetime) -> str:
    """Return how a time's zone differs from UTC then: `UTC`, `UTC+8`, `UTC-4`, `UTC+5:45`."""
    offset = at.utcoffset()
    if not offset:
        return UTC_NAME
    hours, minutes = divmod(abs(int(offset.total_seconds())) // MINUTE_S, HOUR_MIN)
    sign = "+" if offset.days >= 0 else "-"
    return f"UTC{sign}{hours}:{minutes:02d}" if minutes else f"UTC{sign}{hours}"


def day_text(day: date, *, year: bool = False) -> str:
    """Return a day with its month's name, and with its year: `28 Nov`, `28 Nov 2026`."""
    return _day_written(day.year, day.month, day.day, year, get_language())


@lru_cache(maxsize=2048)
def _day_written(year: int, month: int, day: int, has_year: bool, _language: str | None) -> str:
    form = pgettext("form of a day", "d M Y") if has_year else pgettext("form of a day", "d M")
    return dateformat.format(datetime(year, month, day, tzinfo=UTC), form)


def here_of(at: datetime) -> datetime:
    """Return a moment in the page's zone; one of the first or the last day that there is stays as it is."""
    try:
        return at.astimezone(get_current_timezone())
    except OverflowError:
        return at


def clock_text(at: datetime) -> str:
    """Return a time of day: `10:05:12 UTC+1`."""
    here = here_of(at)
    return f"{here:%H:%M:%S} {offset_text(here)}"


def moment_text(at: datetime) -> str:
    """Return a minute of the year: `28 Nov 10:05 UTC+1`."""
    here = here_of(at)
    return f"{day_text(here)} {here:%H:%M} {offset_text(here)}"


def minute_text(at: datetime) -> str:
    """Return a minute of any year: `2026-11-28 10:05 UTC+1`."""
    here = here_of(at)
    return f"{here:%Y-%m-%d %H:%M} {offset_text(here)}"


class NoSuchTime(ValueError):
    """A time that a zone's clocks do not show."""


def local_read(typed: datetime) -> datetime:
    """Return the moment that a time without a zone means here; of an hour that occurs twice, the first.

    Raises NoSuchTime for one that is left out, as the clocks are set forward.
    """
    zone = get_current_timezone()
    at = typed.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) != typed:
        raise NoSuchTime
    return at


def day_begin(day: date) -> datetime:
    """Return when a day begins here: its first moment, if its midnight is left out or occurs twice."""
    return datetime.combine(day, time(), get_current_timezone()).astimezone(UTC)
