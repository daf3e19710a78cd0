"""Alerts of the past: searched, with what else happened to the same objects, and how long each took."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import (
    Aggregate,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
)

from apps.checks.models import Alert, AlertEntry, Notification
from apps.checks.selectors.alerts import alerts_own, alerts_visible, channels_visible
from apps.checks.states import AlertEntryKind
from apps.users.models import AuditEntry
from apps.users.rules.principals import Principal
from apps.users.selectors.audit_search import AuditFilter, audit_page

STATES: Final = ("open", "acknowledged", "ended")
"""Of alerts: an acknowledged one is open, too."""
TIMES_OVER: Final = timedelta(days=30)
NOTIFICATIONS_MAX: Final = 100
ACTS_MAX: Final = 100
CAUSE_WITHIN: Final = timedelta(hours=1)
OWN_ACTS: Final = "alert."
"""How the names of acts on alerts begin: an alert's own history has them."""
WORD_MIN: Final = 3
WORDS: Final = re.compile(r"[\w.:@-]*[\w]")
"""What may be a name in a sentence."""


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What to search for; empty fields match all."""

    state: str = ""
    """One of `STATES`."""
    check: str = ""
    severity: str = ""
    tenant: str | None = None
    """Name of the tenant whose alerts they are; empty: the whole pool's; None: all."""
    since: datetime | None = None
    until: datetime | None = None
    """The first moment at which one that began is not shown."""


def alerts_find(viewer: Principal, wanted: AlertFilter, *, before: int = 0) -> QuerySet[Alert]:
    """Return the alerts that the caller may know of and asked for, newest first, older than `before`."""
    rows = alerts_visible(viewer)
    if before:
        rows = rows.filter(pk__lt=before)
    if wanted.state:
        rows = rows.filter(ended_at__isnull=wanted.state != "ended")
    if wanted.state == "acknowledged":
        rows = rows.exclude(acknowledged_at=None)
    if wanted.check:
        rows = rows.filter(check_name=wanted.check)
    if wanted.severity:
        rows = rows.filter(severity=wanted.severity)
    if wanted.tenant is not None:
        rows = rows.filter(tenant__name=wanted.tenant) if wanted.tenant else rows.filter(tenant=None)
    if wanted.since is not None:
        rows = rows.filter(began_at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(began_at__lt=wanted.until)
    return rows


def acknowledged_first(rows: QuerySet[Alert]) -> QuerySet[Alert]:
    """Add when somebody first acknowledged each alert, `first_at`, and who it was, `first_by`."""
    acknowledged = AlertEntry.objects.filter(alert=OuterRef("pk"), kind=AlertEntryKind.ACKNOWLEDGED).order_by(
        "pk"
    )
    return rows.annotate(
        first_at=Subquery(acknowledged.values("at")[:1]), first_by=Subquery(acknowledged.values("actor")[:1])
    )


class Median(Aggregate):
    """Half of the values are no more than this."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()


@dataclass(frozen=True, slots=True)
class CheckTimes:
    """How the alerts of one check went."""

    check: str
    alerts: int
    times: int
    """How often it began to fail."""
    acknowledged: int
    to_acknowledge: timedelta | None
    """Median time until somebody acknowledged one; None if nobody did."""
    to_end: timedelta | None
    """Median time until the check passed; None if no alert has ended."""


def check_times(viewer: Principal, *, now: datetime) -> list[CheckTimes]:
    """Return by check how the caller's alerts that began within `TIMES_OVER` went, most frequent first."""
    began = alerts_own(viewer).filter(began_at__gt=now - TIMES_OVER)

    def span(end: str) -> ExpressionWrapper[Any]:
        return ExpressionWrapper(F(end) - F("began_at"), output_field=DurationField())

    found: Any = (
        acknowledged_first(began.order_by().select_related(None))
        .values("check_name")
        .annotate(
            alerts=Count("pk"),
            started=Sum("times"),
            acknowledged=Count("first_at"),
            to_acknowledge=Median(span("first_at")),
            to_end=Median(span("ended_at")),
        )
        .order_by("-started", "check_name")
    )
    return [
        CheckTimes(
            row["check_name"],
            row["alerts"],
            row["started"],
            row["acknowledged"],
            row["to_acknowledge"],
            row["to_end"],
        )
        for row in found
    ]


def alert_notifications(viewer: Principal, alert: Alert) -> list[Notification]:
    """Return the newest of what the caller's channels were told of an alert, oldest first."""
    rows = alert.notifications.filter(channel__in=channels_visible(viewer).values("pk"))
    return list(rows.select_related("channel").defer("body").order_by("-pk")[:NOTIFICATIONS_MAX])[::-1]


def alert_acts(viewer: Principal, alert: Alert, *, now: datetime) -> list[AuditEntry]:
    """Return what people and programs did to the objects of an alert, as far as the caller may read it.

    From an hour before it began, as that may be its cause; oldest first, of many the newest.
    """
    texts = " ".join(
        (alert.say, *alert.entries.exclude(kind=AlertEntryKind.COMMENTED).values_list("text", flat=True))
    )
    words = {word for word in WORDS.findall(texts) if len(word) >= WORD_MIN}
    names = words.union(alert.object_names, [alert.check_name]) - {"pool"}
    wanted = AuditFilter(
        targets=frozenset(names),
        since=alert.began_at - CAUSE_WITHIN,
        until=(alert.ended_at or now) + timedelta(seconds=1),
    )
    rows = audit_page(viewer, wanted, limit=ACTS_MAX).rows
    return [row for row in rows if not row.action.startswith(OWN_ACTS)][::-1]
