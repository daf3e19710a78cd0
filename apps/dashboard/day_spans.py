"""Days that a page looks back or is narrowed to: read from its address, and the choice of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.http import HttpRequest
from django.utils.http import urlencode
from django.utils.translation import gettext

from apps.core import clock
from apps.core.day_ranges import DayRange, last_days, month_before, month_days, today_of
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


@dataclass(frozen=True, slots=True)
class Period:
    """The UTC days that a page adds up: the last ones, a month, or from one to another."""

    days: DayRange
    query: dict[str, str]
    """The days as parameters of an address."""
    today: date

    @property
    def is_chosen(self) -> bool:
        """Return whether they are other ones than the last days."""
        return "days" not in self.query

    @property
    def since(self) -> date | None:
        """Return the day that stands in the field for the first one; None: it is empty."""
        return self.days.first if self.is_chosen and self.days.first > date.min else None

    @property
    def until(self) -> date | None:
        """Return the day that stands in the field for the last one; None: it is empty."""
        return self.days.last if self.query.keys() & {"month", "until"} else None

    @property
    def reaches_today(self) -> bool:
        """Return whether the running day is among them."""
        return self.days.last >= self.today

    def facets(self, here: str, *, choices: Sequence[int], **others: str) -> list[Facet]:
        """Return the choice of last days and months, with their addresses."""
        days = int(self.query.get("days", 0))
        months = (
            (gettext("this month (UTC)"), self.today),
            (gettext("last month (UTC)"), month_before(self.today)),
        )
        return [
            *day_facets(here, choices=choices, days=days, **others),
            *(
                Facet(
                    key=f"{month:%Y-%m}",
                    label=label,
                    href=f"{here}?{urlencode({**others, 'month': f'{month:%Y-%m}'})}",
                    on=self.query.get("month") == f"{month:%Y-%m}",
                )
                for label, month in months
            ),
        ]


def period_read(request: HttpRequest, *, choices: Sequence[int], usual: int, now: datetime) -> Period:
    """Return the period that an address asks for: a month, from and until a day, or the last days."""
    today = today_of(now)
    if month := day_read(f"{request.GET.get('month', '')}-01"):
        return Period(month_days(month), {"month": f"{month:%Y-%m}"}, today)
    since, until = day_read(request.GET.get("since", "")), day_read(request.GET.get("until", ""))
    if since is None and until is None:
        count = days_read(request, choices=choices, usual=usual)
        return Period(last_days(count, now=now), {"days": str(count)}, today)
    given = {"since": since, "until": until}
    query = {name: day.isoformat() for name, day in given.items() if day is not None}
    return Period(DayRange(since or date.min, until or today), query, today)
