"""What the audit log is asked for: who, what, when."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from apps.core import clock
from apps.core.local_time import day_begin
from apps.dashboard.csv_export import CHUNK, CSV_READ
from apps.users.selectors.audit_search import AuditFilter, audit_find

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from apps.users.rules.principals import Principal

FIELDS: Final = ("who", "what", "object", "since", "until")


def day_read(text: str) -> date | None:
    """Read a day; nothing for what is none, or lies before or after all that can have been written."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if clock.YEARS[0] <= day.year <= clock.YEARS[1] else None


def moment(day: date | None, *, later: int = 0) -> datetime | None:
    """Return when a day begins in the person's zone, or one so many days later."""
    return None if day is None else day_begin(day + timedelta(days=later))


def query_read(request: HttpRequest) -> dict[str, str]:
    """Return what the filter says."""
    return {name: request.GET.get(name, "").strip()[:200] for name in FIELDS}


def question_of(query: dict[str, str]) -> AuditFilter:
    """Read the filter."""
    return AuditFilter(
        who=query["who"],
        what=query["what"],
        target=query["object"],
        since=moment(day_read(query["since"])),
        until=moment(day_read(query["until"]), later=1),
    )


def found(request: HttpRequest, viewer: Principal) -> Any:
    """Return all entries that the filter asks for, to be taken along."""
    return audit_find(viewer, question_of(query_read(request)))[:CSV_READ].iterator(chunk_size=CHUNK)
