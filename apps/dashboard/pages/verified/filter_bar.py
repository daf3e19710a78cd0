"""What a list of verified data is narrowed to, and the address of the same as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest
    from django_stubs_ext import StrOrPromise

    from apps.dashboard.pagination import Facet

TEXT_MAX = 110
"""Characters of a filter."""


@dataclass(frozen=True, slots=True)
class FilterBar:
    """The filters above a list."""

    label: StrOrPromise
    state: str
    places: Sequence[tuple[str, StrOrPromise, str]]
    """Further filters: name, label, value."""
    facets: Sequence[Facet]
    csv: str

    @property
    def is_placed(self) -> bool:
        """Return whether anything beside the state is narrowed."""
        return any(value for _name, _label, value in self.places)


def wanted_of(request: HttpRequest, names: Sequence[str]) -> dict[str, str]:
    """Return which of these filters the URL sets."""
    read = {name: request.GET.get(name, "").strip()[:TEXT_MAX] for name in names}
    return {name: text for name, text in read.items() if text}
