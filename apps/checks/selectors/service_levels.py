"""What the pool did for each tenant by month, out of the days that are counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncMonth

from apps.checks.models import ComponentDay, TenantServiceDay
from apps.checks.states import Component
from apps.core.clock import DAY_S
from apps.users.rules.principals import Principal

LANDING_EDGES_S: Final = (15, 30, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 21_600, DAY_S)
"""Limits within which landings are counted: a month's percentile is one of them."""
LANDED_SHARE: Final = 0.95
MONTHS_SHOWN: Final = 13
COUNTED: Final = (
    "posts_proven",
    "posts_missed_pool",
    "posts_missed_tenant",
    "posts_missed_unknown",
    "wins_published",
    "wins_lost_pool",
    "wins_lost_tenant",
    "wins_lost_unknown",
    "messages_pushed",
    "messages_landed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceMonth:
    """One tenant's month, as far as its days are counted."""

    tenant: str
    month: date
    """Its first day."""
    until: date
    """The last day that is counted."""
    posts_proven: int
    posts_missed_pool: int
    posts_missed_tenant: int
    posts_missed_unknown: int
    wins_published: int
    wins_lost_pool: int
    wins_lost_tenant: int
    wins_lost_unknown: int
    messages_pushed: int
    messages_landed: int
    landing_s: int | None
    """Within so many seconds 95 % of what landed had landed; None if none did, or it took over a day."""
    console_percent: float | None
    """Of the month's time on record, how much console, API and gateway were up; None without a record."""

    @property
    def posts_due(self) -> int:
        """Proofs of windows that closed."""
        return self.posts_proven + self.posts_missed

    @property
    def posts_missed(self) -> int:
        """All that did not land."""
        return self.posts_missed_pool + self.posts_missed_tenant + self.posts_missed_unknown

    @property
    def wins(self) -> int:
        """All wins."""
        return self.wins_published + self.wins_lost

    @property
    def wins_lost(self) -> int:
        """Those without a block on the chain."""
        return self.wins_lost_pool + self.wins_lost_tenant + self.wins_lost_unknown


def service_days_visible(viewer: Principal) -> QuerySet[TenantServiceDay]:
    """Return the days that this caller may see; a token for some miners sees no tenant's sums."""
    rows = TenantServiceDay.objects.all()
    if viewer.is_partial:
        return rows.none()
    return rows if viewer.is_operator else rows.filter(tenant=viewer.own_id)


def service_months(rows: QuerySet[TenantServiceDay]) -> list[ServiceMonth]:
    """Return these days of a tenant by month, the newest first."""
    found: dict[tuple[str, date], list[TenantServiceDay]] = {}
    for row in rows.select_related("day", "tenant").order_by("-day__day"):
        found.setdefault((row.tenant.name, row.day.day.replace(day=1)), []).append(row)
    months = console_percents({month for _, month in found})
    return [
        ServiceMonth(
            tenant=tenant,
            month=month,
            until=days[0].day.day,
            landing_s=landing_percentile(days),
            console_percent=months.get(month),
            **{name: sum(getattr(day, name) for day in days) for name in COUNTED},
        )
        for (tenant, month), days in found.items()
    ]


def landing_percentile(days: Iterable[TenantServiceDay]) -> int | None:
    """Return the limit within which 95 % of what landed had landed."""
    landed, within = 0, [0] * len(LANDING_EDGES_S)
    for day in days:
        landed += day.messages_landed
        for index, count in enumerate(day.landing_times):
            within[index] += count
    if not landed:
        return None
    for edge, count in zip(LANDING_EDGES_S, within, strict=True):
        if count >= LANDED_SHARE * landed:
            return edge
    return None


def console_percents(months: Iterable[date]) -> dict[date, float]:
    """Return how much of each month's time on record console, API and gateway were up, never rounded up."""
    first = min(months, default=None)
    if first is None:
        return {}
    rows = ComponentDay.objects.filter(component=Component.CONSOLE, day__gte=first)
    sums = (
        rows.annotate(month=TruncMonth("day"))
        .values("month")
        .order_by("month")
        .annotate(up=Sum("up_s"), degraded=Sum("degraded_s"), down=Sum("down_s"), unknown=Sum("unknown_s"))
    )
    return {
        row["month"]: row["up"] * 10_000 // total / 100
        for row in sums
        if (total := row["up"] + row["degraded"] + row["down"] + row["unknown"])
    }
