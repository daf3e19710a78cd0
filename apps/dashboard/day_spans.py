"""Days that a page looks back or is narrowed to: read from its address, and the choice of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from django.http import HttpRequest
from django.utils.http import urlencode
from django.utils.translation import gettext

from apps.core import clock
from apps.core.local_time import day_begin
from apps.dashboard.pagination import Facet


def day_read(text: str) -> date | None:
    """Read a day; None for what is none, or lies before or after all that can have been written."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if clock.YEARS[0] <= day.year <= clock.YEARS[1] else None


def day_moment(day: date | None, *, later: int = 0) -> datetime | None:
    """Return when a day begins in the person's zone, or one so many days later."""
    return None if day is None else day_begin(day + timedelta(days=later))


def days_read(request: HttpRequest, *, choices: Sequence[int], usual: int) -> int:
    """Return the days that are asked for, or how many it usually is."""
    text = request.GET.get("days", "")
    return int(text) if text in {str(days) for days in choices} else usual


def day_facets(here: str, *, choices: Sequence[int], days: int, **others: str) -> list[Facet]:
    """Return the choice of days with their addresses; other parts of the address go along."""
    return [
        Facet(
            key=str(count),
            label=gettext("today (UTC)") if count == 1 else gettext("{count} days").format(count=count),
            href=f"{here}?{urlencode({**others, 'days': str(count)})}",
            on=count == days,
        )
        for count in choices
    ]
