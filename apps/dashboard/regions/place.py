"""Where a fragment is shown: who looks, and at which object."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.template.loader import render_to_string

from apps.dashboard.regions.scene import Scene

if TYPE_CHECKING:
    from apps.users.principals import Principal


@dataclass(frozen=True)
class Place:
    """A page as the live updates know it."""

    viewer: Principal
    key: str
    """The object's key in the page's address; empty on lists."""
    changed: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Keys of the changed rows by kind."""

    def heard(self, kind: str, *keys: object) -> bool:
        """Tell whether one of these rows has changed."""
        return not {str(key) for key in keys}.isdisjoint(self.changed.get(kind, ()))

    @cached_property
    def scene(self) -> Scene:
        """One look for all fragments of a frame."""
        return Scene(self.viewer)


RegionFragments = Callable[[Place], Iterable[str]]
"""Renders regions of the page anew."""
RowFragments = Callable[[Place, list[str]], Iterable[str]]
"""Renders the rows of the given keys as this viewer sees them; those not visible are left out."""
Regions = dict[str, tuple[RegionFragments, ...]]
"""By kind of change, what it alters on one page."""


def fragment(template: str, **context: Any) -> str:
    """Render a partial as it is pushed: with the mark that tells htmx to swap it by its id."""
    return render_to_string(template, {**context, "live": True})
