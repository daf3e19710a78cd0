"""The bell in the frame of every page: how many things need somebody, and which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext

from apps.checks.report.report import Incident
from apps.core.formatting import plural
from apps.dashboard.fragments import FragmentContext, fragment
from apps.dashboard.page_data import PageData
from apps.dashboard.registry import navigation
from apps.dashboard.todo import Todo, checked_text, incident_todo

LISTED: Final = 8
"""Findings that the bell's list has room for; the page Checks has all."""


@dataclass(frozen=True, slots=True)
class Badge:
    """How many issues lead to a page of the navigation."""

    key: str
    count: int
    tone: str

    @property
    def label(self) -> str:
        """What a screen reader says of it."""
        return plural(self.count, "issue")


@dataclass(frozen=True, slots=True)
class Bell:
    """What the frame shows of the checks."""

    count: int
    tone: str
    """Of the worst finding."""
    todos: tuple[Todo, ...]
    more: str
    """How many findings are not listed; empty if none."""
    checked: str
    badges: dict[str, Badge]
    """By the key of each page of the viewer's navigation, those without issues too."""

    @property
    def label(self) -> str:
        """Name of the button."""
        return plural(self.count, "issue") if self.count else gettext("No issues")


def bell_of(data: PageData) -> Bell:
    """Return the bell of a viewer: the same incidents as on *Today*."""
    found = data.report.incidents
    rest = len(found) - LISTED
    return Bell(
        count=len(found),
        tone="bad" if any(one.is_critical for one in found) else "warn",
        todos=tuple(incident_todo(one, data) for one in found[:LISTED]),
        more=gettext("and {rest} more").format(rest=rest) if rest > 0 else "",
        checked=checked_text(data.report),
        badges=badges_of(found, data),
    )


def badges_of(found: Iterable[Incident], data: PageData) -> dict[str, Badge]:
    """Count issues by the page that they lead to."""
    hrefs = {item.key: item.href for group in navigation() for item in group if item.shown(data.whole)}
    counts: dict[str, int] = dict.fromkeys(hrefs, 0)
    costly: set[str] = set()
    for one in found:
        address = one.cause.link.address
        fitting = [key for key, href in hrefs.items() if href != "/" and address.startswith(href)]
        if fitting:
            key = max(fitting, key=lambda one: len(hrefs[one]))
            counts[key] += 1
            costly |= {key} if one.is_critical else set()
    return {key: Badge(key, count, "bad" if key in costly else "warn") for key, count in counts.items()}


def bell(context: FragmentContext) -> Iterable[str]:
    """Yield the button and the list, which stays open while it is replaced."""
    shown = bell_of(context.data)
    yield fragment("_bell.html", bell=shown)
    yield fragment("_bell_list.html", bell=shown)
    for badge in shown.badges.values():
        yield fragment("_badge.html", badge=badge)
