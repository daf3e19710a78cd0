"""The report of one evaluation: what every check found, ordered by what it costs."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from apps.checks.findings.results import Check, Finding, Link, Severity, Topic
from apps.core.clock import DAY_S
from apps.core.marked_texts import gettext

RANKED_S: Final = 7 * DAY_S
"""Findings are ranked by what is lost within a week."""


def broken_key(name: str) -> str:
    """Return the key of the finding that a check could not be run."""
    return f"broken-{name}"


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found."""

    check: Check
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Return whether nothing was found."""
        return not self.findings

    @property
    def is_broken(self) -> bool:
        """Return whether it could not be run: nobody knows whether it passes."""
        return any(finding.key == broken_key(self.check.name) for finding in self.findings)

    @property
    def count(self) -> int:
        """Return how many objects are affected."""
        return sum(finding.count for finding in self.findings)

    @property
    def has_more(self) -> bool:
        """Return whether that, or what the findings cost, is a lower bound."""
        return any(finding.has_more for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Found:
    """A finding beside its check, as to-do lists show it."""

    check: Check
    finding: Finding

    @property
    def is_critical(self) -> bool:
        """Return whether it costs power or FIL."""
        return self.check.severity is Severity.CRITICAL

    @property
    def is_unpriced(self) -> bool:
        """Return whether it costs power or FIL, and nobody can say how much."""
        return self.is_critical and not self.finding.money

    @property
    def link(self) -> Link:
        """Return where it is mended."""
        return self.finding.link or self.check.link

    @property
    def button(self) -> str:
        """Name of that link."""
        return gettext(self.finding.button) if self.finding.button else str(self.check.button)


@dataclass(frozen=True, slots=True)
class Incident:
    """One cause's finding, with the findings that it explains."""

    cause: Found
    effects: tuple[Found, ...] = ()
    """Explained findings, the most expensive first."""
    per_day: int = 0
    """attoFIL that all of them cost each day."""
    at_risk: int = 0
    """attoFIL of all of them that are lost once if nobody acts."""

    @property
    def found(self) -> tuple[Found, ...]:
        """Return all of its findings, the cause first."""
        return (self.cause, *self.effects)

    @property
    def is_critical(self) -> bool:
        """Return whether one of them costs power or FIL: a warning that explains it is as bad."""
        return any(one.is_critical for one in self.found)

    @property
    def is_unpriced(self) -> bool:
        """Return whether it costs power or FIL, and nobody can say how much."""
        return self.is_critical and not (self.per_day or self.at_risk)

    @property
    def has_more(self) -> bool:
        """Return whether its sums are lower bounds."""
        return any(one.finding.has_more for one in self.found)

    @property
    def due(self) -> Finding:
        """Return the finding of which it is too late first."""
        timed = [one.finding for one in self.found if one.finding.due_s is not None]
        return min(timed, key=lambda one: one.due_s or 0, default=self.cause.finding)


@dataclass(frozen=True)
class Report:
    """One evaluation: every check that the viewer may see, in the order of the table."""

    at: datetime
    results: tuple[Result, ...]
    per_day_max: int | None = None
    """attoFIL that all sectors and blocks together can cost each day; None if not known."""
    deposits_max: int | None = None
    """attoFIL that the miners have deposited for pre-committed sectors; None if not known."""
    is_evaluated: bool = True
    """False where it stands for a result that is not there: it only says so."""
    causes: Mapping[str, str] = field(default_factory=dict)
    """By the key of each finding that another explains, the key of that one."""
    others: tuple[Result, ...] = ()
    """Results of the report outside this part, among which causes are looked for."""

    @cached_property
    def found(self) -> list[Found]:
        """Return what needs somebody: what costs most FIL within a week first.

        Then comes what is critical and has no figure, then what costs most later; warnings without a figure
        stand last, by their deadlines.
        """
        return self._ranked(self.results)

    def _ranked(self, results: tuple[Result, ...]) -> list[Found]:
        found = [Found(result.check, finding) for result in results for finding in result.findings]
        return sorted(
            found,
            key=lambda one: (
                -one.finding.loss_within(RANKED_S, at_s=self.at.timestamp()),
                not one.is_unpriced,
                -one.finding.money,
                not one.is_critical,
                one.finding.due_s if one.finding.due_s is not None else float("inf"),
            ),
        )

    @cached_property
    def incidents(self) -> list[Incident]:
        """Return what was found by its causes, in the order of the worst that each has done.

        Of a part of a report those with a finding in it, as whole as in all of it.  A finding whose cause
        this viewer does not see stands by itself.
        """
        ranked = self._ranked((*self.results, *self.others))
        own = {one.finding.key for one in self.found}
        by_key = {one.finding.key: one for one in ranked}
        groups: dict[str, list[Found]] = {}
        for one in ranked:
            key = one.finding.key
            cause = self.causes.get(key, key)
            groups.setdefault(cause if cause in by_key else key, []).append(one)
        return [
            self._incident(by_key[key], group)
            for key, group in groups.items()
            if any(one.finding.key in own for one in group)
        ]

    def _incident(self, cause: Found, group: list[Found]) -> Incident:
        effects = tuple(one for one in group if one is not cause)
        findings = [cause.finding, *(one.finding for one in effects)]
        return Incident(cause, effects, *self.costs_of(findings))

    def costs_of(self, findings: list[Finding]) -> tuple[int, int]:
        """Return the attoFIL that findings of one cause cost together, each day and once."""
        costs = [one.per_day for one in findings if not one.is_part] or [one.per_day for one in findings]
        return self._bounded(costs), self._risk_of(findings)

    def apart(self, names: Container[str]) -> Report:
        """Return the report with what these checks found under no cause."""
        keys = {one.key for row in self.results if row.check.name in names for one in row.findings}
        causes = {key: cause for key, cause in self.causes.items() if key not in keys}
        return replace(self, causes=causes)

    def explained_by(self, result: Result) -> str:
        """Return the name of the check that explains all that another found; empty if there is none."""
        checks = {one.key: row.check.name for row in self.results for one in row.findings}
        causes = {checks.get(self.causes.get(one.key, ""), "") for one in result.findings}
        return causes.pop() if len(causes) == 1 else ""

    def explained(self, name: str) -> list[Result]:
        """Return the results of the checks that one of this name explains as a whole."""
        return [result for result in self.results if not result.passed and self.explained_by(result) == name]

    @property
    def unpriced(self) -> int:
        """Return how many findings cost power or FIL and have no figure: no sum holds them."""
        return sum(one.is_unpriced for one in self.found)

    def of(self, *topics: Topic) -> Report:
        """Return the part of the report that concerns these topics."""
        wanted = set(topics)
        chosen = tuple(result for result in self.results if wanted.intersection(result.check.topics))
        rest = tuple(result for result in self.results if not wanted.intersection(result.check.topics))
        return replace(self, results=chosen, others=rest)

    def result(self, name: str) -> Result | None:
        """Return the result of one check; None if the viewer does not see it."""
        return next((result for result in self.results if result.check.name == name), None)

    def fails(self, *names: str) -> bool:
        """Return whether one of these checks found something."""
        return any(not result.passed for result in self.results if result.check.name in names)

    @property
    def passed(self) -> int:
        """Return how many checks found nothing."""
        return sum(result.passed for result in self.results)

    @property
    def per_day(self) -> int:
        """attoFIL that all findings together cost each day.

        Several may be about the same sector or block: together they never cost more than all would, by the
        chain's estimates.  One alone may, as wins that were lost: then no sum is below it.
        """
        return self._bounded([one.finding.per_day for one in self.found if not one.finding.is_part])

    def _bounded(self, costs: list[int]) -> int:
        return sum(costs) if self.per_day_max is None else min(sum(costs), max(self.per_day_max, *costs, 0))

    @property
    def at_risk(self) -> int:
        """attoFIL that would be lost once: of deposits at most those that there are."""
        return self._risk_of([one.finding for one in self.found])

    def _risk_of(self, findings: list[Finding]) -> int:
        deposits = sum(finding.deposits for finding in findings)
        twice = 0 if self.deposits_max is None else max(0, deposits - self.deposits_max)
        return sum(finding.at_risk for finding in findings) - twice
