"""How the pool's components are by one evaluation of the checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.checks.report.report import Report
from apps.checks.selectors.data import CheckData
from apps.checks.states import WORST_LAST, Component, Condition
from apps.checks.table.components import EFFECTS


@dataclass(frozen=True, slots=True)
class ComponentFound:
    """How one component is."""

    condition: Condition
    effect: str = ""
    """What it means to tenants, by its name; empty unless it is degraded or down."""


OF_CHAIN: Final = frozenset(Component) - {Component.CONSOLE}
"""Components of which nothing is known before the pool follows a chain."""


def components_found(report: Report, data: CheckData) -> dict[Component, ComponentFound]:
    """Return how each component is: the worst that a failing check means for it."""
    is_following = data.chain_status is not None
    found = {
        one: ComponentFound(Condition.UP if is_following or one not in OF_CHAIN else Condition.UNKNOWN)
        for one in Component
    }
    results = {one.check.name: one for one in report.results}
    for effect in EFFECTS:
        result = results.get(effect.check)
        if result is None or result.passed:
            continue
        if result.is_broken:
            own = ComponentFound(Condition.UNKNOWN)
        elif effect.applies is None or effect.applies(data):
            own = ComponentFound(effect.condition, effect.name)
        else:
            continue
        if _rank(own.condition) > _rank(found[effect.component].condition):
            found[effect.component] = own
    return found


def _rank(condition: Condition) -> int:
    return WORST_LAST.index(condition)
