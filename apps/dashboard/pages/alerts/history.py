"""Past alerts by state, day, check and severity, and how long they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from apps.checks.selectors.alert_history import (
    TIMES_OVER,
    AlertFilters,
    CheckTimes,
    acknowledged_first,
    check_times,
)
from apps.checks.selectors.alerts import alerts_visible
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core.formatting import NOTHING, time_left
from apps.core.reasons import shown_text
from apps.core.uuids import is_uuid
from apps.dashboard import cells
from apps.dashboard.fragments import FragmentContext
from apps.dashboard.html_time import time_html
from apps.dashboard.list_page import Column, Empty, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.alerts.page import AlertRow, alert_row

if TYPE_CHECKING:
    from apps.checks.models import Alert


@dataclass(frozen=True, slots=True)
class TimesRow:
    """How the alerts of one check went."""

    title: str
    href: str
    found: CheckTimes
    to_acknowledge: str
    to_end: str


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


def listed(data: PageData) -> QuerySet[Alert]:
    """Return the viewer's alerts with who acknowledged each first, and when."""
    return acknowledged_first(alerts_visible(data.of_tenant))


def changed(context: FragmentContext, keys: list[str]) -> QuerySet[Alert]:
    """Return the alerts that changed."""
    return listed(context.data).filter(uuid__in=[key for key in keys if is_uuid(key)])


def alert_rows(rows: Sequence[Alert], data: PageData) -> list[AlertRow]:
    """Lay out one page of the list."""
    return [alert_row(row, at=data.at) for row in rows]


def name(shown: AlertRow) -> SafeString:
    """Return what was found last, which check that is, and who works on it."""
    return cells.joined(
        cells.link(reverse("alert", args=[shown.row.uuid]), shown_text(shown.row.say)),
        cells.sub(gettext("Condition: {title}").format(title=shown_text(shown.row.title)), css="wrap rest"),
        cells.sub(shown.acknowledged, css="wrap"),
    )


def since(shown: AlertRow) -> SafeString:
    """Return when an alert began, and how often its check failed since."""
    times = gettext("failed {times} times").format(times=shown.row.times) if shown.row.times > 1 else ""
    return cells.joined(time_html(shown.row.began_at), cells.sub(times))


def first_text(shown: AlertRow) -> str:
    """Return who acknowledged an alert first, and after what time."""
    alert: Any = shown.row
    if alert.first_at is None:
        return NOTHING
    lasted = time_left((alert.first_at - alert.began_at).total_seconds())
    return gettext("{actor}, after {lasted}").format(actor=alert.first_by, lasted=lasted)


def more(_request: HttpRequest, data: PageData) -> dict[str, Any]:
    """Return what stands below the list."""
    times = [times_row(row) for row in check_times(data.of_tenant, now=data.at)]
    return {"times": times, "times_over": TIMES_OVER.days}


HISTORY: Final = ListPage(
    name="alerts-history",
    address="alerts/history",
    section="alerts",
    one="alert",
    title=_("Past alerts"),
    table=_("Table of alerts"),
    caption=_("Alerts, newest first"),
    icon="alerts",
    template="alerts/history.html",
    more=more,
    rows=listed,
    lay_out=alert_rows,
    id_of=attrgetter("row.uuid"),
    order_of=attrgetter("row.pk"),
    live={"alert": changed},
    filters=AlertFilters,
    is_scoped=True,
    places=("check", "severity"),
    places_label=_("Filter"),
    options={
        "check": lambda _data: [(check.name, check.title) for check in CHECKS_BY_NAME.values()],
        "severity": lambda _data: [("critical", _("critical")), ("warning", _("warning"))],
    },
    days=True,
    facets=(
        ("", _("All"), "", ""),
        ("open", _("failing"), "bad", "bad"),
        ("acknowledged", _("acknowledged"), "run", "people"),
        ("ended", _("passed again"), "ok", "ok"),
    ),
    empty=lambda _data: Empty(_("No alerts yet"), _("Checks are evaluated every 15 seconds.")),
    none=Empty(_("No matching alerts"), _("No alert matches.")),
    columns=(
        Column(
            head=_("State"), cell=lambda shown: cells.chip(shown.label), css="tight c-state", is_plain=True
        ),
        Column(head=_("Alert"), cell=name, css="wrap", is_name=True),
        Column(head=_("Since"), cell=since, key="since", by="began_at"),
        Column(head=_("Duration"), cell=lambda shown: time_left(shown.lasted), key="duration"),
        Column(head=_("Acknowledged"), cell=first_text, css="wrap", key="acknowledged", by="first_at"),
    ),
    csv={
        "uuid": attrgetter("uuid"),
        "tenant": lambda row: row.tenant and row.tenant.name,
        "check": attrgetter("check_name"),
        "title": attrgetter("title"),
        "severity": attrgetter("severity"),
        "count": attrgetter("count"),
        "say": attrgetter("say"),
        "began_at": lambda row: row.began_at.isoformat(),
        "since": lambda row: row.since.isoformat(),
        "times": attrgetter("times"),
        "ended_at": lambda row: row.ended_at and row.ended_at.isoformat(),
        "first_acknowledged_at": lambda row: row.first_at and row.first_at.isoformat(),
        "first_acknowledged_by": attrgetter("first_by"),
    },
)
urlpatterns: Final = [
    *HISTORY.urls,
    path(
        "alerts.csv",
        require_safe(RedirectView.as_view(pattern_name="alerts-history-csv", query_string=True)),
    ),
]
LIVE: Final = HISTORY.live_pages
