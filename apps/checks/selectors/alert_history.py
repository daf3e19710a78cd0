"""Alerts of the past: searched, with what else happened to the same objects, and how long each took."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Final

from django.db.models import (
    Aggregate,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
)
from django.utils.translation import gettext_lazy as _

from apps.checks.models import Alert, AlertEntry, Notification
from apps.checks.selectors.alerts import alerts_own, channels_visible
from apps.checks.states import AlertEntryKind
from apps.core.filters import Choices, DayFilters, Words
from apps.miners.selectors.miners import miner_alone
from apps.users.models import AuditEntry
from apps.users.rules.principals import Principal
from apps.users.selectors.audit_search import AuditFilter, audit_page

STATES: Final = ("open", "acknowledged", "ended")
"""Of alerts: an acknowledged one is open, too."""
SEVERITIES: Final = ("critical", "warning")
TIMES_OVER: Final = timedelta(days=30)
NOTIFICATIONS_MAX: Final = 100
ACTS_MAX: Final = 100
CAUSE_WITHIN: Final = timedelta(hours=1)
OWN_ACTS: Final = "alert."
"""How the names of acts on alerts begin: an alert's own history has them."""
WORD_MIN: Final = 3
WORDS: Final = re.compile(r"[\w.:@-]*[\w]")
"""What may be a name in a sentence."""


class AlertFilters(DayFilters):
    """Filters of alerts; on a page the operator sees the pool's, or one tenant's."""

    time_field = "began_at"
    state = Choices(STATES, method="in_state", about="an acknowledged one is open, too")
    check = Words(field_name="check_name", label=_("Check"), about="name of the check that failed")
    severity = Choices(SEVERITIES, lookup_expr="in", label=_("Severity"), about="how urgent its check is")
    tenant = Words(field_name="tenant__name", about="name of the tenant whose alerts they are")
    miner = Words(method="of_miner", about="a miner that they name, of its tenant's alerts")

    def in_state(self, rows: QuerySet[Alert], _name: str, value: list[str]) -> QuerySet[Alert]:
        """Narrow to alerts that are open, that somebody has, or that have ended."""
        is_open = Q(ended_at=None)
        fits = {"open": is_open, "acknowledged": is_open & ~Q(acknowledged_at=None), "ended": ~is_open}
        return rows.filter(reduce(or_, [fits[word] for word in value]))

    def of_miner(self, rows: QuerySet[Alert], _name: str, value: str) -> QuerySet[Alert]:
        """Narrow to its tenant's alerts that name a miner.  Raises MinerUnknown."""
        miner = miner_alone(self.viewer, value)
        return rows.filter(tenant=miner.tenant_id, object_names__contains=[miner.address])

    def rows(self) -> QuerySet[Alert]:
        """Return the alerts that fit.  Raises BadValue, MinerUnknown."""
        rows: QuerySet[Alert] = super().rows()
        is_of_pool = self.page is not None and self.viewer.sees_pool and not (self["tenant"] or self["miner"])
        return rows.filter(tenant=None) if is_of_pool else rows


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
