"""The list page of allocations and of claims: filters from the URL, rows ordered by the epoch of the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from apps.dashboard.pagination import ROWS, Facet, Pager, cursor_read, facets_of, page_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

TEXT_MAX: Final = 110
"""Most characters of a filter."""


@dataclass(frozen=True, slots=True)
class VerifiedList:
    """One of the lists: names, texts and filters."""

    name: str
    """Name of its URL; that of its CSV has `-csv` behind it."""
    title: StrOrPromise
    region: StrOrPromise
    """Label of its table."""
    table: str
    """Id of its table."""
    none: StrOrPromise
    """Title when no row matches the filters."""
    no_match: StrOrPromise
    """The sentence below that title."""
    end: str
    """The model's field with the epoch of the end."""
    states: Sequence[tuple[str, StrOrPromise, str, str]]
    """Filters: key, label, tone, icon."""
    places: Sequence[tuple[str, StrOrPromise]]
    """Further filters: name and label."""

    def wanted_of(self, request: HttpRequest) -> dict[str, str]:
        """Return the filters that the URL sets, by name."""
        names = ("state", *(name for name, _label in self.places))
        read = {name: request.GET.get(name, "").strip()[:TEXT_MAX] for name in names}
        return {name: text for name, text in read.items() if text}


@dataclass(frozen=True, slots=True)
class FilterBar:
    """The filters above a list."""

    state: str
    places: Sequence[tuple[str, StrOrPromise, str]]
    """Further filters: name, label, value."""
    facets: Sequence[Facet]
    csv: str

    @property
    def is_placed(self) -> bool:
        """Return whether a filter other than the state is set."""
        return any(value for _name, _label, value in self.places)


@dataclass(frozen=True, slots=True)
class VerifiedPage:
    """One page of a list."""

    kind: VerifiedList
    shown: Sequence[Any]
    """Its rows, not laid out yet."""
    pager: Pager
    bar: FilterBar
    wrong: str
    """Why a filter cannot be read; empty if all can."""
    here: str
    is_filtered: bool


def verified_page(
    request: HttpRequest,
    kind: VerifiedList,
    found_of: Callable[[tuple[int, int] | None], tuple[QuerySet[Any], str]],
) -> VerifiedPage:
    """Return the URL's page; `found_of` returns rows after an end and a key, and why a filter is wrong."""
    wanted, here = kind.wanted_of(request), reverse(kind.name)
    cursor = cursor_read(request.GET.get("after", ""), of=kind.name)
    end, _dash, pk = cursor.partition("-")
    rows, wrong = found_of((int(end), int(pk)) if cursor else None)
    shown, pager = page_of(
        list(rows[: ROWS + 1]),
        of=kind.name,
        cursor_of=lambda row: f"{getattr(row, kind.end)}-{row.pk}",
        query=request.GET.dict(),
        is_first=not cursor,
    )
    values = {name: wanted.get(name, "") for name in ("state", *(name for name, _label in kind.places))}
    bar = FilterBar(
        state=values["state"],
        places=[(name, label, values[name]) for name, label in kind.places],
        facets=facets_of(here, kind.states, **values),
        csv=f"{reverse(f'{kind.name}-csv')}?{urlencode(wanted)}",
    )
    return VerifiedPage(kind, shown, pager, bar, wrong, here, is_filtered=bool(wanted))
