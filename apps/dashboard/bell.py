"""The bell in the frame of every page: how many things need somebody, and which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext

from apps.core.formatting import plural
from apps.dashboard.fragments import FragmentContext, fragment
from apps.dashboard.page_data import PageData
from apps.dashboard.todo import Todo, checked_text, todos

LISTED: Final = 8
"""Findings that the bell's list has room for; the page Checks has all."""


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

    @property
    def label(self) -> str:
        """Name of the button."""
        return plural(self.count, "issue") if self.count else gettext("No issues")


def bell_of(data: PageData) -> Bell:
    """Return the bell of a viewer: the same incidents as on *Today*."""
    found = todos(data)
    rest = len(found) - LISTED
    return Bell(
        count=len(found),
        tone="bad" if any(one.is_costly for one in found) else "warn",
        todos=tuple(found[:LISTED]),
        more=gettext("and {rest} more").format(rest=rest) if rest > 0 else "",
        checked=checked_text(data.report),
    )


def bell(context: FragmentContext) -> Iterable[str]:
    """Yield the button and the list, which stays open while it is replaced."""
    yield fragment("_bell.html", bell=bell_of(context.data))
    yield fragment("_bell_list.html", bell=bell_of(context.data))
