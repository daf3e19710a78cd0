"""Incidents: what was found, put together by its cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from apps.checks.findings.results import Finding
from apps.checks.report.report import Result
from apps.checks.table.causes import CAUSES

WITHIN_S: Final = 3600
"""A finding explains another that was seen so much earlier or later."""


def causes_find(
    results: Iterable[Result], *, at_s: float, began: Callable[[str], Mapping[str, float]]
) -> dict[str, str]:
    """Return, by the key of each finding that another explains, the key of the one that explains it.

    A chain of them ends at its first cause: a host that is away explains a store, and the store a window.
    `began` says of a check since when it has failed, by the key of what it alone found.
    """
    findings = {result.check.name: result.findings for result in results}
    found: dict[str, str] = {}
    for check, effects in CAUSES.items():
        for cause in findings.get(check, ()):
            for name in effects:
                for effect in findings.get(name, ()):
                    if effect.key in found or not is_broken_by(cause, effect):
                        continue
                    since = partial(_began, began, check=check, key=cause.key)
                    if is_near(cause, effect, at_s=at_s, began=since):
                        found[effect.key] = cause.key
    return {key: _first(key, found) for key in found}


def _began(began: Callable[[str], Mapping[str, float]], *, check: str, key: str) -> float | None:
    return began(check).get(key)


def is_broken_by(cause: Finding, effect: Finding) -> bool:
    """Return whether what one finding breaks is what each object of the other needs."""
    broken = set(cause.breaks)
    return bool(effect.needs) and all(not broken.isdisjoint(parts) for parts in effect.needs)


def is_near(cause: Finding, effect: Finding, *, at_s: float, began: Callable[[], float | None]) -> bool:
    """Return whether two findings were seen at about one time, or one while the cause had begun."""
    cause_s, effect_s = (one.seen_s if one.seen_s is not None else at_s for one in (cause, effect))
    if abs(cause_s - effect_s) <= WITHIN_S:
        return True
    since_s = began() if effect_s < cause_s else None
    return since_s is not None and since_s - WITHIN_S <= effect_s


def _first(key: str, causes: Mapping[str, str]) -> str:
    """Return the first cause of a finding that another explains."""
    while key in causes:
        key = causes[key]
    return key
