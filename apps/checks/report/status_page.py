"""What the status page says, for people and programs: it names components, and nobody and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from apps.checks.models import ComponentIncident, Maintenance
from apps.checks.selectors.components import (
    ComponentRecord,
    Seconds,
    components_records,
    incidents_recent,
    maintenances_recent,
)
from apps.checks.states import Component
from apps.checks.table.components import EFFECTS_BY_NAME

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, slots=True)
class StatusPage:
    """The components, what was wrong with them lately, and what is announced."""

    at: datetime
    components: tuple[ComponentRecord, ...]
    incidents: tuple[ComponentIncident, ...]
    maintenances: tuple[Maintenance, ...]

    @property
    def body(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "components": [component_body(one) for one in self.components],
            "incidents": [incident_body(one) for one in self.incidents],
            "maintenance": [maintenance_body(one) for one in self.maintenances],
        }


def status_page_read(now: datetime) -> StatusPage:
    """Return what the status page says now."""
    return StatusPage(
        now,
        tuple(components_records(now)),
        tuple(incidents_recent(now)),
        tuple(maintenances_recent(now)),
    )


def incident_text(row: ComponentIncident) -> StrOrPromise:
    """Return what an incident means to tenants; empty if its reason is none of this version's."""
    effect = EFFECTS_BY_NAME.get(row.effect)
    return "" if effect is None else effect.text


def percent_up(seconds: Seconds) -> float | None:
    """Return how much of the recorded time is up, in percent, never rounded up; None without a record."""
    return seconds.up * 10_000 // seconds.recorded / 100 if seconds.recorded else None


def seconds_body(seconds: Seconds) -> dict[str, int]:
    """Return how long a component was in each condition, as JSON."""
    return {
        "up_s": seconds.up,
        "degraded_s": seconds.degraded,
        "down_s": seconds.down,
        "unknown_s": seconds.unknown,
        "announced_s": seconds.announced,
    }


def component_body(one: ComponentRecord) -> dict[str, Any]:
    """Return a component with its days as JSON."""
    return {
        "component": str(one.component),
        "name": str(one.component.label),
        "condition": str(one.condition),
        "since": moment(one.since),
        "percent_up": percent_up(one.total),
        **seconds_body(one.total),
        "days": [{"day": day.isoformat(), **seconds_body(counted)} for day, counted in one.days.items()],
    }


def incident_body(row: ComponentIncident) -> dict[str, Any]:
    """Return an incident as JSON."""
    return {
        "id": str(row.uuid),
        "component": row.component,
        "condition": row.condition,
        "since": moment(row.since),
        "ended_at": moment(row.ended_at),
        "text": str(incident_text(row)),
        "note": row.note,
        "noted_at": moment(row.noted_at),
    }


def maintenance_body(row: Maintenance) -> dict[str, Any]:
    """Return an announcement as JSON."""
    return {
        "id": str(row.uuid),
        "text": row.text,
        "components": row.components,
        "starts_at": moment(row.starts_at),
        "ends_at": moment(row.ends_at),
    }


def moment(at: datetime | None) -> str | None:
    """Write a time."""
    return None if at is None else at.isoformat(timespec="seconds")


def component_names(names: list[str]) -> list[StrOrPromise]:
    """Return what people call these components."""
    return [one.label for one in Component if one in names]
