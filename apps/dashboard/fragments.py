"""Live fragments: where one is shown, who looks at which object, and what a page follows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.template.loader import render_to_string

from apps.core.live import CHECKS
from apps.dashboard.page_data import PageData, data_of
from apps.users.rules.principals import Principal


@dataclass(frozen=True)
class FragmentContext:
    """A page as the live updates know it."""

    viewer: Principal
    key: str
    """The object's key in the page's address; empty on lists."""
    changed: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Keys of the changed rows by kind."""
    seen: Principal | None = None
    """Who sees what is in the page's scope alone; None: all of the viewer's is shown."""

    def has_changed(self, kind: str, *keys: object) -> bool:
        """Return whether one of these rows has changed."""
        return not {str(key) for key in keys}.isdisjoint(self.changed.get(kind, ()))

    @cached_property
    def data(self) -> PageData:
        """One look for all fragments of a frame."""
        return data_of(self.viewer, self.seen or self.viewer)


FragmentRenderer = Callable[[FragmentContext], Iterable[str]]
"""Renders fragments of the page."""
RowRenderer = Callable[[FragmentContext, list[str]], Iterable[str]]
"""Renders the rows of the given keys as this viewer sees them; those not visible are left out."""
FragmentsByKind = dict[str, tuple[FragmentRenderer, ...]]
"""By kind of change, what it alters on one page."""


@dataclass(frozen=True)
class LivePage:
    """What changes on a page without a reload."""

    fragments: FragmentsByKind
    """What a change of each kind alters as a whole."""
    rows: Mapping[str, RowRenderer] = field(default_factory=dict)
    """What renders the changed rows of a kind."""
    findings: FragmentRenderer | None = None
    """What shows the findings of checks, rendered anew when they differ."""
    is_scoped: bool = False
    """Whether all of it is narrowed to the scope in the page's address."""

    def renderers(self, kind: str) -> tuple[FragmentRenderer, ...]:
        """Return what a change of this kind alters as a whole."""
        found = self.fragments.get(kind, ())
        return (*found, self.findings) if kind == CHECKS and self.findings is not None else found


def fragment(template: str, **shown: Any) -> str:
    """Render a partial as it is pushed: with the mark that tells htmx to swap it by its id."""
    return render_to_string(template, {**shown, "live": True})
