"""Components in tests: evaluations that find them up or not, and what was counted."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from apps.checks.models import ComponentDay, ComponentIncident, Maintenance
from apps.checks.report.components import ComponentFound
from apps.checks.services.components import components_record
from apps.checks.states import Component, Condition
from apps.checks.table.components import EFFECTS
from apps.core.clock import now

UP, DEGRADED, DOWN, UNKNOWN = Condition.UP, Condition.DEGRADED, Condition.DOWN, Condition.UNKNOWN
EVERY_S = 15


def found(**conditions: Condition) -> dict[Component, ComponentFound]:
    """What an evaluation finds; components that are not named are up."""
    return {one: _found(one, conditions.get(one.lower(), UP)) for one in Component}


def _found(component: Component, condition: Condition) -> ComponentFound:
    names = [one.name for one in EFFECTS if (one.component, one.condition) == (component, condition)]
    return ComponentFound(condition, names[0] if names else "")


def recorded(at: datetime, *, seconds: int = 0, **conditions: Condition) -> datetime:
    """Evaluate every 15 s from `at` on for so long; returns the moment of the last evaluation."""
    for after in range(0, seconds + 1, EVERY_S):
        components_record(found(**conditions), now=at + timedelta(seconds=after))
    return at + timedelta(seconds=seconds)


def counted(component: str, day: date) -> tuple[int, int, int, int]:
    """Seconds up, degraded, down and unknown."""
    row = ComponentDay.objects.get(component=component, day=day)
    return (row.up_s, row.degraded_s, row.down_s, row.unknown_s)


def announced(**overrides: Any) -> Maintenance:
    """Maintenance that begins in an hour."""
    at = now()
    facts = {
        "text": "new disks",
        "components": ["CHAIN"],
        "starts_at": at + timedelta(hours=1),
        "ends_at": at + timedelta(hours=2),
        "created_at": at,
    }
    return Maintenance.objects.create(**facts | overrides)


def incident(**overrides: Any) -> ComponentIncident:
    """An incident that was over long ago."""
    at = now() - timedelta(days=1)
    facts = {"component": "CHAIN", "condition": "DOWN", "effect": "chain_stalled"}
    times = {"since": at, "ended_at": at}
    return ComponentIncident.objects.create(**facts | times | overrides)
