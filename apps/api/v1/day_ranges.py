"""The UTC days that a request adds up: the last ones, a month, or from one day to another."""

from __future__ import annotations

from datetime import date
from typing import Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from apps.api.v1.pagination import number, number_parameter
from apps.core import clock
from apps.core.day_ranges import DayRange, last_days, month_days, month_read, today_of
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext

NAMES: Final = ("days", "month", "since", "until")
"""Parameters that `days_asked` reads."""
DAYS_MAX: Final = 3660


def days_parameters(*, usual: int, most: int = DAYS_MAX) -> list[OpenApiParameter]:
    """Describe the parameters that `days_asked` reads."""
    return [
        number_parameter(
            "days", least=1, description=f"today included; {usual} without any of these, at most {most}"
        ),
        OpenApiParameter("month", str, description="`2026-11`, in UTC; instead of `days`"),
        OpenApiParameter("since", date, description="first UTC day; instead of `days`"),
        OpenApiParameter("until", date, description="last UTC day; today if it is left out"),
    ]


def days_asked(request: Request, *, usual: int, most: int = DAYS_MAX) -> DayRange:
    """Return the days that a request asks for.  Raises BadValue naming the field."""
    query, now = request.query_params, clock.now()
    if query.get("month"):
        _alone(request, "month", without=("days", "since", "until"))
        return month_days(month_read(query["month"]))
    if not query.get("since") and not query.get("until"):
        return last_days(number(request, "days", least=1, default=usual, most=most), now=now)
    _alone(request, "days", without=("days",))
    today = today_of(now)
    since, until = (day_read(query.get(name, ""), field=name) for name in ("since", "until"))
    last = until or today
    first = since or date(clock.YEARS[0], 1, 1)
    if first > last:
        raise BadValue(gettext("must not be after until"), field="since")
    return DayRange(first, last)


def day_read(text: str, *, field: str) -> date | None:
    """Read a day; None where nothing is said.  Raises BadValue."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not clock.YEARS[0] <= day.year <= clock.YEARS[1]:
        raise BadValue(gettext("must be a day such as 2026-11-28"), field=field)
    return day


def _alone(request: Request, field: str, *, without: tuple[str, ...]) -> None:
    """Refuse what says the days a second time.  Raises BadValue."""
    if any(request.query_params.get(name) for name in without):
        raise BadValue(gettext("days, month, or since and until: one of them"), field=field)
