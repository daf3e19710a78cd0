"""Every check with its result and where it is mended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apps.checks.results import Severity
from apps.dashboard.lines.cards import Verdict, plural
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import checked_text, todo_of
from apps.dashboard.words import Word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.checks.results import Result
    from apps.dashboard.regions.scene import Scene
    from apps.dashboard.regions.todo import Todo


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check in the table."""

    name: str
    title: str
    word: Word
    severity: str
    href: str
    label: str
    todos: tuple[Todo, ...]


def check_row(result: Result, scene: Scene) -> CheckRow:
    """Lay out one check."""
    check = result.check
    failed = Word("bad" if check.severity is Severity.CRITICAL else "warn", "failed")
    found = tuple(todo_of(one, scene) for one in scene.report.found if one.check is check)
    return CheckRow(
        name=check.name,
        title=check.title,
        word=Word("ok", "passed") if result.passed else failed,
        severity=str(check.severity),
        href=check.link.address,
        label=check.button,
        todos=found,
    )


def status_verdict(scene: Scene) -> Verdict:
    """Return how many checks passed."""
    report = scene.report
    failed = len(report.results) - report.passed
    if not failed:
        return Verdict("All checks passed.", "", checked_text(report))
    say = f"{plural(failed, 'check')} failed:"
    return Verdict(say, f"{plural(len(report.found), 'thing')} to look at.", checked_text(report))


def status_context(scene: Scene) -> dict[str, Any]:
    """Everything on the page; failed checks first."""
    rows = [check_row(result, scene) for result in scene.report.results]
    return {
        "verdict": status_verdict(scene),
        "rows": sorted(rows, key=lambda row: (row.word.tone == "ok", row.severity)),
    }


def checks_region(place: Place) -> Iterable[str]:
    """The whole page anew."""
    context = status_context(place.scene)
    yield fragment("dashboard/_verdict.html", verdict=context["verdict"])
    yield fragment("dashboard/_status.html", rows=context["rows"])


REGIONS: Final[Regions] = dict.fromkeys(
    (
        "head",
        "miner",
        "deadline",
        "sector",
        "worker",
        "message",
        "messages",
        "sender",
        "wallet",
        "signer",
        "node",
        "node_state",
        "process",
    ),
    (checks_region,),
)
