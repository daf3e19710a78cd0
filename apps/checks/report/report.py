"""The report of one evaluation: what every check found, ordered by what it costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from apps.checks.findings.results import DAY_S, Check, Finding, Link, Severity, Topic

if TYPE_CHECKING:
    from datetime import datetime


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
        return str(self.finding.button or self.check.button)


@dataclass(frozen=True, slots=True)
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

    @property
    def found(self) -> list[Found]:
        """Return what needs somebody: what costs most FIL within a week first.

        Then comes what is critical and has no figure, then what costs most later; warnings without a figure
        stand last, by their deadlines.
        """
        found = [Found(result.check, finding) for result in self.results for finding in result.findings]
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

    @property
    def unpriced(self) -> int:
        """Return how many findings cost power or FIL and have no figure: no sum holds them."""
        return sum(one.is_unpriced for one in self.found)

    def of(self, *topics: Topic) -> Report:
        """Return the part of the report that concerns these topics."""
        chosen = tuple(result for result in self.results if set(result.check.topics) & set(topics))
        return replace(self, results=chosen)

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
        costs = [one.finding.per_day for one in self.found if not one.finding.is_part]
        return sum(costs) if self.per_day_max is None else min(sum(costs), max(self.per_day_max, *costs, 0))

    @property
    def at_risk(self) -> int:
        """attoFIL that would be lost once: of deposits at most those that there are."""
        findings = [one.finding for one in self.found]
        deposits = sum(finding.deposits for finding in findings)
        twice = 0 if self.deposits_max is None else max(0, deposits - self.deposits_max)
        return sum(finding.at_risk for finding in findings) - twice
