"""Past alerts: by state, day, check and severity, as pages and as CSV, and how long they took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.selectors.alert_history import (
    STATES,
    TIMES_OVER,
    AlertFilter,
    CheckTimes,
    acknowledged_first,
    alerts_find,
    check_times,
)
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core.formatting import NOTHING, time_left
from apps.dashboard.csv_export import Download, csv_answer, rows_in_turn
from apps.dashboard.day_spans import day_moment, day_read
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.alerts.page import AlertRow, alert_row
from apps.dashboard.pagination import ROWS, cursor_read, page_of
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

FIELDS: Final = ("state", "check", "severity", "tenant", "since", "until")
STATE_LABELS: Final = {"open": _("failing"), "acknowledged": _("acknowledged"), "ended": _("passed again")}
SEVERITY_LABELS: Final = {"critical": _("critical"), "warning": _("warning")}
COLUMNS: Final = (
    *("uuid", "tenant", "check", "title", "severity", "count", "say", "began_at", "since", "times"),
    *("ended_at", "first_acknowledged_at", "first_acknowledged_by"),
)
"""Of the list as CSV."""


@dataclass(frozen=True, slots=True)
class PastRow:
    """One alert in the table."""

    row: AlertRow
    first: str
    """Who acknowledged it first, and after what time."""


@dataclass(frozen=True, slots=True)
class TimesRow:
    """How the alerts of one check went."""

    title: str
    href: str
    found: CheckTimes
    to_acknowledge: str
    to_end: str


@dataclass(frozen=True, slots=True)
class Search:
    """What stands in the filter."""

    query: dict[str, str]
    chooses_tenant: bool

    @property
    def is_filtered(self) -> bool:
        """Return whether anything is left out."""
        return any(self.query.values())

    @property
    def choices(self) -> list[tuple[str, StrOrPromise, Iterable[tuple[str, StrOrPromise]]]]:
        """Return the fields with a choice: name, label, and their values with labels."""
        return [
            ("state", _("State"), STATE_LABELS.items()),
            ("severity", _("Severity"), SEVERITY_LABELS.items()),
            ("check", _("Check"), [(check.name, check.title) for check in CHECKS_BY_NAME.values()]),
        ]


def query_read(request: HttpRequest) -> dict[str, str]:
    """Return what the filter says."""
    return {name: request.GET.get(name, "").strip()[:64] for name in FIELDS}


def filter_of(viewer: Principal, query: Mapping[str, str]) -> AlertFilter:
    """Read the filter; what it does not know matches all.  The operator sees the pool's or one tenant's."""
    return AlertFilter(
        state=query["state"] if query["state"] in STATES else "",
        check=query["check"],
        severity=query["severity"] if query["severity"] in SEVERITY_LABELS else "",
        tenant=query["tenant"] if viewer.sees_pool else None,
        since=day_moment(day_read(query["since"])),
        until=day_moment(day_read(query["until"]), later=1),
    )


def past_row(alert: Any, *, at: datetime) -> PastRow:
    """Lay out an alert with who took it first."""
    if alert.first_at is None:
        return PastRow(alert_row(alert, at=at), NOTHING)
    lasted = time_left((alert.first_at - alert.began_at).total_seconds())
    first = gettext("{actor}, after {lasted}").format(actor=alert.first_by, lasted=lasted)
    return PastRow(alert_row(alert, at=at), first)


def times_row(found: CheckTimes) -> TimesRow:
    """Lay out how the alerts of one check went."""

    def text(span: timedelta | None) -> str:
        return NOTHING if span is None else time_left(span.total_seconds())

    check = CHECKS_BY_NAME.get(found.check)
    return TimesRow(
        title=found.check if check is None else str(check.title),
        href=f"{reverse('alerts-history')}?{urlencode({'check': found.check})}",
        found=found,
        to_acknowledge=text(found.to_acknowledge),
        to_end=text(found.to_end),
    )


@require_safe
@sign_in_required
def alerts_history(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """List alerts, newest first."""
    query, after = query_read(request), cursor_read(request.GET.get("after", ""), of="alerts")
    before = int(after) if after.isdecimal() else 0
    found = acknowledged_first(alerts_find(viewer, filter_of(viewer, query), before=before))
    shown, pager = page_of(
        list(found[: ROWS + 1]),
        of="alerts",
        cursor_of=lambda row: str(row.pk),
        query=query,
        is_first=not after,
    )
    data, query_string = PageData(viewer), urlencode({name: value for name, value in query.items() if value})
    return page_render(
        request,
        "alerts/history.html",
        title=_("Past alerts"),
        section="alerts",
        data=data,
        rows=[past_row(row, at=data.at) for row in shown],
        pager=pager,
        search=Search(query, chooses_tenant=viewer.sees_pool),
        times=[times_row(row) for row in check_times(viewer, now=data.at)],
        times_over=TIMES_OVER.days,
        csv=f"{reverse('alerts-csv')}?{query_string}",
    )


def cells_of(row: Any) -> tuple[Any, ...]:
    """Return an alert as a line of the CSV."""
    times = (row.ended_at, row.first_at)
    ended_at, first_at = (at.isoformat() if at is not None else "" for at in times)
    return (
        row.uuid,
        row.tenant.name if row.tenant is not None else "",
        row.check_name,
        row.title,
        row.severity,
        row.count,
        row.say,
        row.began_at.isoformat(),
        row.since.isoformat(),
        row.times,
        ended_at,
        first_at,
        row.first_by or "",
    )


@require_safe
@sign_in_required
def alerts_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return the filtered list as CSV."""
    found = acknowledged_first(alerts_find(viewer, filter_of(viewer, query_read(request))))
    rows = (cells_of(row) for row in rows_in_turn(found))
    return csv_answer("alerts.csv", COLUMNS, rows)


urlpatterns: Final = [
    path("alerts/history/", alerts_history, name="alerts-history"),
    path("alerts.csv", alerts_csv, name="alerts-csv"),
]
