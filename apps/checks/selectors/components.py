"""How the pool's components are and were, their incidents, and what the operator announces."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q

from apps.checks.models import (
    ComponentDay,
    ComponentIncident,
    ComponentStatus,
    Maintenance,
    StatusSettings,
)
from apps.checks.states import Component, Condition
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext

GAP: Final = timedelta(seconds=60)
"""Four evaluations in a row are missing: longer than slow alert channels hold one up."""
DAYS_SHOWN: Final = 90
INCIDENTS_SHOWN: Final = timedelta(days=14)
INCIDENTS_MAX: Final = 50
MAINTENANCES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long a component was in each condition."""

    up: int = 0
    degraded: int = 0
    down: int = 0
    unknown: int = 0
    announced: int = 0
    """Of all but `up`, what had been announced as maintenance."""

    @property
    def recorded(self) -> int:
        """All of it."""
        return self.up + self.degraded + self.down + self.unknown

    @property
    def worst(self) -> Condition | None:
        """The worst that it was; None without a record."""
        if self.down:
            return Condition.DOWN
        if self.unknown:
            return Condition.UNKNOWN
        if self.degraded:
            return Condition.DEGRADED
        return Condition.UP if self.up else None

    def plus(self, other: Seconds) -> Seconds:
        """Return both together."""
        return Seconds(
            self.up + other.up,
            self.degraded + other.degraded,
            self.down + other.down,
            self.unknown + other.unknown,
            self.announced + other.announced,
        )


@dataclass(frozen=True, slots=True)
class ComponentRecord:
    """How one component is now, and how it was on each of the days shown."""

    component: Component
    condition: Condition
    since: datetime | None
    """None before the first evaluation."""
    days: dict[date, Seconds] = field(repr=False)
    """The days of which there is a record, oldest first."""

    @property
    def total(self) -> Seconds:
        """All days together."""
        total = Seconds()
        for day in self.days.values():
            total = total.plus(day)
        return total


def components_records(now: datetime) -> list[ComponentRecord]:
    """Return each component with its days up to today.

    Once nothing has evaluated the checks for a while, nobody knows how the components are.
    """
    rows = {row.component: row for row in ComponentStatus.objects.all()}
    first = (now - timedelta(days=DAYS_SHOWN - 1)).date()
    by_component: dict[str, dict[date, Seconds]] = {}
    for row in ComponentDay.objects.filter(day__range=(first, now.date())).order_by("day"):
        by_component.setdefault(row.component, {})[row.day] = seconds_of(row)
    return [_record(one, rows.get(one), by_component.get(one, {}), now=now) for one in Component]


def seconds_of(row: ComponentDay) -> Seconds:
    """Return what a row counts."""
    return Seconds(row.up_s, row.degraded_s, row.down_s, row.unknown_s, row.announced_s)


def _record(
    component: Component, row: ComponentStatus | None, days: dict[date, Seconds], *, now: datetime
) -> ComponentRecord:
    if row is None:
        return ComponentRecord(component, Condition.UNKNOWN, None, days)
    if now - row.evaluated_at > GAP:
        return ComponentRecord(component, Condition.UNKNOWN, row.evaluated_at, days)
    return ComponentRecord(component, Condition(row.condition), row.since, days)


def incidents_recent(now: datetime) -> list[ComponentIncident]:
    """Return the open incidents and those that ended lately, the newest first."""
    lately = Q(ended_at=None) | Q(ended_at__gt=now - INCIDENTS_SHOWN)
    return list(ComponentIncident.objects.filter(lately).order_by("-since", "-pk")[:INCIDENTS_MAX])


def maintenances_recent(now: datetime) -> list[Maintenance]:
    """Return what is announced and what was announced lately, the latest first."""
    rows = Maintenance.objects.filter(ends_at__gt=now - INCIDENTS_SHOWN)
    return list(rows.order_by("-starts_at", "-pk")[:MAINTENANCES_MAX])


def incident_get(key: UUID | str) -> ComponentIncident:
    """Return an incident.  Raises NotFound."""
    row = ComponentIncident.objects.filter(uuid=key).first()
    if row is None:
        raise NotFound(gettext("there is no such incident"))
    return row


def maintenance_get(key: UUID | str) -> Maintenance:
    """Return an announcement.  Raises NotFound."""
    row = Maintenance.objects.filter(uuid=key).first()
    if row is None:
        raise NotFound(gettext("there is no such announcement"))
    return row


def status_is_public() -> bool:
    """Return whether everybody sees the status page."""
    return StatusSettings.objects.filter(is_public=True).exists()
