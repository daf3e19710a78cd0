"""What the checks found, laid out: to-do lists, and the sentence at the head of each page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext

from apps.checks.findings.results import Act
from apps.checks.findings.text import named
from apps.checks.report.report import Found, Incident, Report
from apps.checks.services.acknowledgements import can_acknowledge
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text, sentence_text
from apps.core.local_time import clock_text, moment_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Verdict
from apps.dashboard.page_data import PageData

if TYPE_CHECKING:
    from apps.checks.models import Alert


CLAUSES_MAX: Final = 4
"""Issues that the sentence of a page names; its lists and the page Checks have all."""


@dataclass(frozen=True, slots=True)
class Todo:
    """One finding: what it is, why, what it costs, until when, what mends it and where."""

    key: str
    say: str
    why: str
    href: str
    label: str
    """Where the link leads."""
    is_costly: bool = False
    cost: str = ""
    """FIL at risk, with unit."""
    until: int | None = None
    """Seconds since 1970 at which it is too late."""
    left: str = ""
    until_label: str = ""
    acts: tuple[Act, ...] = ()
    """What mends it with one click, as far as the viewer may."""
    alert_href: str = ""
    """Page of the check's alert; empty if there is none yet."""
    acknowledged: str = ""
    """By whom its alert is acknowledged, and since when; empty if by nobody."""
    can_acknowledge: bool = False
    parts: tuple[Todo, ...] = ()
    """Findings that it explains: with these it is one incident."""
    touches: str = ""
    """The first of these in words, and how many more there are."""
    because: str = ""
    """Its cause in words, shown where the cause is not; empty if nothing explains it."""

    @property
    def title(self) -> str:
        """As the head of a line; a name stays as it is written."""
        return gettext("The {say}").format(say=self.say[4:]) if self.say.startswith("the ") else self.say

    @property
    def tone(self) -> str:
        return "bad" if self.is_costly else "warn"


def cost_text(per_day: int, at_risk: int, *, has_more: bool = False) -> str:
    """`0.0123 FIL a day, 0.05 FIL at risk`, `at least ...`; empty if nothing is known to be lost."""
    parts = [gettext("{amount} a day").format(amount=formatting.amount_text(per_day))] if per_day else []
    parts += [gettext("{at_risk} at risk").format(at_risk=formatting.amount_text(at_risk))] if at_risk else []
    text = list_text(parts)
    return gettext("at least {cost}").format(cost=text) if text and has_more else text


def finding_cost(found: Found) -> str:
    """Return what a finding costs; of what costs power or FIL also that nobody knows how much."""
    if found.is_unpriced:
        return gettext("cost unknown")
    finding = found.finding
    return cost_text(finding.per_day, finding.at_risk, has_more=finding.has_more)


def todo_of(found: Found, data: PageData) -> Todo:
    """Lay out one finding."""
    finding = found.finding
    left = finding.due_s - data.at.timestamp() if finding.due_s is not None else None
    return Todo(
        key=finding.key,
        say=shown_text(finding.say),
        why=shown_text(finding.reason),
        href=found.link.address,
        label=found.button,
        is_costly=found.is_critical,
        cost=finding_cost(found),
        until=finding.due_s,
        left=formatting.time_left(left) if left is not None else "",
        until_label=shown_text(finding.due_label),
        acts=tuple(act for act in finding.acts if data.person.may(act.perm)),
    )


def todos(data: PageData) -> list[Todo]:
    """Return what needs somebody by its causes, in the order of the report, with who works on it."""
    return [incident_todo(incident, data) for incident in data.report.incidents]


def incident_todo(incident: Incident, data: PageData) -> Todo:
    """Lay out an incident: its cause is the headline, with what all of it costs."""
    todo = todo_with_alert(todo_of(incident.cause, data), incident.cause, data)
    if not incident.effects:
        return todo
    parts = tuple(todo_of(one, data) for one in incident.effects)
    due = incident.due
    left = due.due_s - data.at.timestamp() if due.due_s is not None else None
    cost = cost_text(incident.per_day, incident.at_risk, has_more=incident.has_more)
    return replace(
        todo,
        is_costly=incident.is_critical,
        cost=gettext("cost unknown") if incident.is_unpriced else cost,
        until=due.due_s,
        left=formatting.time_left(left) if left is not None else "",
        until_label=shown_text(due.due_label),
        parts=parts,
        touches=shown_text(named([part.say for part in parts])),
    )


def todo_with_alert(todo: Todo, found: Found, data: PageData) -> Todo:
    """Add who works on what was found."""
    alert = data.alerts.get(found.check.name)
    if alert is None:
        return todo
    return replace(
        todo,
        alert_href=reverse("alert", args=[alert.uuid]),
        acknowledged=acknowledged_text(alert),
        can_acknowledge=can_acknowledge(data.person, tenant_id=alert.tenant_id),
    )


def acknowledged_text(alert: Alert) -> str:
    """`Acknowledged by li since 28 Nov 10:05 UTC`; empty if nobody has acknowledged it."""
    if alert.acknowledged_at is None:
        return ""
    return gettext("Acknowledged by {actor} since {at}").format(
        actor=alert.acknowledged_by, at=moment_text(alert.acknowledged_at)
    )


@dataclass(frozen=True, slots=True)
class ObjectFindings:
    """What the checks found of the object of a page."""

    todos: tuple[Todo, ...]
    checked: str
    """How many checks ran, and when; empty if none applies."""


def found_of(report: Report, data: PageData, *, reasons: bool = False) -> ObjectFindings:
    """Return the findings of one object, for the head of its page; most pages tell the reasons themselves."""
    rows = [todo_of(found, data) for found in report.found]
    shown = rows if reasons else [replace(row, why="") for row in rows]
    return ObjectFindings(tuple(shown), checked_text(report) if report.results else "")


def todo_sum(data: PageData) -> str:
    """Return what all findings cost together, and how many have no figure, for the head of the list."""
    unpriced = sum(one.is_unpriced for one in data.report.incidents)
    more = [gettext("{unpriced} with unknown cost").format(unpriced=unpriced)] if unpriced else []
    has_more = any(one.finding.has_more and one.finding.money for one in data.report.found)
    cost = cost_text(data.report.per_day, data.report.at_risk, has_more=has_more)
    return list_text(filter(None, [cost, *more]))


def checked_text(report: Report) -> str:
    """`23 checks at 12:03:12 UTC`."""
    return gettext("{checks} at {at}").format(
        checks=plural(len(report.results), "check"), at=clock_text(report.at)
    )


def verdict_by(report: Report, well: Verdict) -> Verdict:
    """Return what the checks found, with the page's own facts behind; without findings the facts alone."""
    checked = checked_text(report)
    incidents = report.incidents
    if not incidents:
        return Verdict(well.strong, well.rest, checked)
    facts = f" {well.strong} {well.rest}" if well.strong or well.rest else ""
    strong = gettext("{issues}:").format(issues=plural(len(incidents), "issue"))
    texts = [incident_say(one, report) for one in incidents[:CLAUSES_MAX]]
    if more := len(incidents) - CLAUSES_MAX if len(incidents) > CLAUSES_MAX else 0:
        texts.append(gettext("and {rest} more").format(rest=more))
    return Verdict(strong, f"{sentence_text(clauses_text(texts))}{facts}", checked)


def incident_say(incident: Incident, report: Report) -> str:
    """Return what an incident is on a page: what the page is about, and its cause if that is elsewhere."""
    own = next(one for one in incident.found if any(one.check is row.check for row in report.results))
    if own is incident.cause:
        return shown_text(own.finding.say)
    return gettext("{effect}, because {cause}").format(
        effect=shown_text(own.finding.say), cause=shown_text(incident.cause.finding.say)
    )


def issues_verdict(data: PageData) -> Verdict:
    """`29 issues, 4 critical, 537 FIL a day`: how many, how bad, and what they cost together.

    That the result is old, or that there is none, is said beside it: all else on the page may be untrue.
    """
    incidents = data.report.incidents
    critical = sum(one.is_critical for one in incidents)
    counts = [gettext("{count} critical").format(count=critical)] if critical else []
    parts = (plural(len(incidents), "issue"), *counts, todo_sum(data))
    late = data.report.result("checks_late")
    rest = "" if late is None or late.passed else sentence_text(shown_text(late.findings[0].say))
    return Verdict(sentence_text(list_text(filter(None, parts))), rest, checked_text(data.report))
