"""Filters of a noun as a route of REST has them: its parameters, its document, its refusals."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from apps.core.filters import ListFilter, ListFilters


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
