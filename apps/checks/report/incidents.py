"""Incidents: what was found, put together by its cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from apps.checks.findings.results import Finding
from apps.checks.report.report import Result
from apps.checks.table.causes import CAUSES

WITHIN_S: Final = 3600
"""A finding explains another that was seen so much earlier or later."""


def causes_find(results: Iterable[Result], *, at_s: float) -> dict[str, str]:
    """Return, by the key of each finding that another explains, the key of the one that explains it.

    A chain of them ends at its first cause: a host that is away explains a store, and the store a window.
    """
    findings = {result.check.name: result.findings for result in results}
    found: dict[str, str] = {}
    for check, effects in CAUSES.items():
        for cause in findings.get(check, ()):
            for name in effects:
                for effect in findings.get(name, ()):
                    if effect.key not in found and explains(cause, effect, at_s=at_s):
                        found[effect.key] = cause.key
    return {key: _first(key, found) for key in found}


def explains(cause: Finding, effect: Finding, *, at_s: float) -> bool:
    """Return whether what one finding breaks is what each object of the other needs, at about one time."""
    broken = set(cause.breaks)
    times = [one.seen_s if one.seen_s is not None else at_s for one in (cause, effect)]
    return (
        bool(effect.needs)
        and all(not broken.isdisjoint(parts) for parts in effect.needs)
        and abs(times[0] - times[1]) <= WITHIN_S
    )


def _first(key: str, causes: Mapping[str, str]) -> str:
    """Return the first cause of a finding that another explains."""
    while key in causes:
        key = causes[key]
    return key
