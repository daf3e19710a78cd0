"""Where a fragment is shown: who looks, and at which object."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.template.loader import render_to_string

from apps.dashboard.page_data import PageData

if TYPE_CHECKING:
    from apps.users.principals import Principal


@dataclass(frozen=True)
class FragmentContext:
    """A page as the live updates know it."""

    viewer: Principal
    key: str
    """The object's key in the page's address; empty on lists."""
    changed: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Keys of the changed rows by kind."""

    def has_changed(self, kind: str, *keys: object) -> bool:
        """Return whether one of these rows has changed."""
        return not {str(key) for key in keys}.isdisjoint(self.changed.get(kind, ()))

    @cached_property
    def data(self) -> PageData:
        """One look for all fragments of a frame."""
        return PageData(self.viewer)


FragmentRenderer = Callable[[FragmentContext], Iterable[str]]
"""Renders fragments of the page."""
RowRenderer = Callable[[FragmentContext, list[str]], Iterable[str]]
"""Renders the rows of the given keys as this viewer sees them; those not visible are left out."""
FragmentsByKind = dict[str, tuple[FragmentRenderer, ...]]
"""By kind of change, what it alters on one page."""


def fragment(template: str, **shown: Any) -> str:
    """Render a partial as it is pushed: with the mark that tells htmx to swap it by its id."""
    return render_to_string(template, {**shown, "live": True})
