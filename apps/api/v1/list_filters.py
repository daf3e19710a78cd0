"""Filters of a noun as a route of REST has them: its parameters, its document, its refusals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from apps.api.v1.pagination import PAGE_MAX, NotACursor, number
from apps.api.v1.views import PoolView
from apps.core.filters import ListFilter, ListFilters

if TYPE_CHECKING:
    from django.db.models import QuerySet

PAGE_DEFAULT = 100
PLACE: Final = re.compile(r"-|(\d{1,18}-\d{1,18})", re.ASCII)
"""End and key of a page's last row; `-`: the first page."""


class ListView(PoolView):
    """A list narrowed by the filters of its noun."""

    noun: ClassVar[type[ListFilters]]
    places: ClassVar[tuple[str, ...]]
    """Parameters that say which page of it is wanted."""

    def __init_subclass__(cls) -> None:
        """Read the parameters of the noun, and those of the page."""
        cls.places = ("limit", "offset" if hasattr(cls, "pagination_class") else "cursor")
        cls.filters = (*cls.noun.base_filters, *cls.places)
        cls.repeatable = repeatable_of(cls.noun)
        super().__init_subclass__()

    def wanted(self, rows: QuerySet[Any]) -> ListFilters:
        """Return what the request narrows the rows to, by the filters of the noun."""
        values, beside = self.request.query_params, (*self.places, "token")
        return self.noun(values, rows, viewer=self.principal, beside=beside)

    def narrowed(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that fit the request.  Raises BadValue."""
        return self.wanted(rows).rows()

    def limit(self) -> int:
        """Return how many rows the request wants.  Raises BadValue."""
        return number(self.request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)

    def newest(self, rows: QuerySet[Any]) -> tuple[list[Any], str | None]:
        """Return a page of the rows that fit, newest first, and the cursor of the next.  Raises BadValue."""
        limit, before = self.limit(), number(self.request, "cursor", least=1, default=0, most=10**12)
        found = list(self.narrowed(rows.filter(pk__lt=before) if before else rows)[: limit + 1])
        return found[:limit], str(found[limit - 1].pk) if len(found) > limit else None

    def by_end(self, rows: QuerySet[Any], end: str) -> tuple[list[Any], str | None]:
        """Return the same of rows in the order of a field with an epoch and their keys."""
        limit, place = self.limit(), PLACE.fullmatch(self.request.query_params.get("cursor", "") or "-")
        if place is None:
            raise NotACursor
        if place[1]:
            at, pk = place[1].split("-")
            rows = rows.filter(**{f"{end}__gte": at}).exclude(**{end: at, "pk__lte": pk})
        found = list(self.narrowed(rows)[: limit + 1])
        last = found[limit - 1] if len(found) > limit else None
        return found[:limit], None if last is None else f"{getattr(last, end)}-{last.pk}"


def parameters_of(filters: type[ListFilters]) -> list[OpenApiParameter]:
    """Return what the document says of a route's filters."""
    return [_parameter(name, one) for name, one in filters.base_filters.items()]


def repeatable_of(filters: type[ListFilters]) -> tuple[str, ...]:
    """Return those that may be given several times."""
    return tuple(name for name, one in filters.base_filters.items() if one.is_repeatable)


def _parameter(name: str, one: ListFilter) -> OpenApiParameter:
    kinds: dict[str, Any] = {
        "string": str,
        "integer": {"type": "integer", "minimum": 0},
        "boolean": bool,
        "moment": OpenApiTypes.DATETIME,
        "day": OpenApiTypes.DATE,
    }
    return OpenApiParameter(
        name, kinds[one.kind], many=one.is_repeatable, enum=one.words or None, description=one.about
    )
