"""Pages of a listing: `?limit=` and `?offset=` where rows are few, a cursor where there is no end of them."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.response import Response

from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext

if TYPE_CHECKING:
    from typing import TypeVar

    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.views import APIView

    from apps.api.v1.views import PoolView

    Row = TypeVar("Row")

PAGE_MAX: Final = 1_000
"""Most rows of a page."""
DIGITS: Final = 19
"""Of the largest number that a column holds."""
CURSOR: Final = OpenApiParameter("cursor", str, description="`next` of the page before")


class NotACursor(BadValue):
    """A cursor that no page of the list has named."""

    def __init__(self) -> None:
        super().__init__(gettext("is not a cursor of this list"), field="cursor")


def number_parameter(name: str, *, least: int, description: str = "") -> OpenApiParameter:
    """Describe a parameter that `number` reads."""
    return OpenApiParameter(name, {"type": "integer", "minimum": least}, description=description)


LIMIT: Final = number_parameter("limit", least=1, description="rows of a page; a route's most if it is more")


class Pages(LimitOffsetPagination):
    """At most 1,000 rows at a time; the answer says how many there are and where the next page is."""

    default_limit = 100
    max_limit = PAGE_MAX

    def get_limit(self, request: Request) -> int:
        """Read `limit`.  Raises BadValue."""
        return number(request, "limit", least=1, default=self.default_limit, most=self.max_limit)

    def get_offset(self, request: Request) -> int:
        """Read `offset`.  Raises BadValue."""
        return number(request, "offset", least=0, default=0, most=10**9)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Describe both numbers."""
        limit, offset = super().get_schema_operation_parameters(view)
        return [_at_least(limit, 1), _at_least(offset, 0)]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe a page: it always has all four."""
        link = {"type": "string", "format": "uri", "nullable": True}
        properties = {"count": {"type": "integer"}, "next": link, "previous": link, "results": schema}
        return {"type": "object", "required": list(properties), "properties": properties}


def _at_least(parameter: dict[str, Any], least: int) -> dict[str, Any]:
    return {**parameter, "schema": {**parameter["schema"], "minimum": least}}


def page_of(view: PoolView, request: Request, rows: Any, output: Any) -> Response:
    """Answer one page of a listing."""
    pages = Pages()
    found: Any = pages.paginate_queryset(rows, request, view=view)
    return pages.get_paginated_response(output(found, many=True).data)


def number(request: Request, name: str, *, least: int, default: int, most: int) -> int:
    """Read one number of the query, where an empty one is none; larger ones are cut to `most`."""
    text: Any = request.query_params.get(name, "")
    if text == "":
        return default
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS or int(text) < least:
        raise BadValue(gettext("must be a whole number of at least {least}").format(least=least), field=name)
    return min(int(text), most)


def header_number(request: Request, name: str) -> int | None:
    """Read a header that is a whole number.  Raises BadValue."""
    text = request.headers.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise BadValue(gettext("must be a whole number"), field=name)
    return int(text)


def cursor_write(moment: datetime, pk: object) -> str:
    """Name the last row of a page, of a list in the order of `moment`."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {pk}".encode()).decode()


def cursor_read(text: str) -> tuple[datetime, str]:
    """Return what an earlier page wrote.  Raises BadValue."""
    try:
        moment, _, pk = base64.urlsafe_b64decode(text.encode()).decode().partition(" ")
        found = datetime.fromisoformat(moment)
    except (binascii.Error, ValueError):
        raise NotACursor from None
    if found.tzinfo is None or not clock.YEARS[0] <= found.year <= clock.YEARS[1] or "\0" in pk:
        raise NotACursor
    return found, pk


def cursor_of(request: Request) -> tuple[datetime, str] | None:
    """Return the last row of the page before; None for the first page.  Raises BadValue."""
    text = request.query_params.get("cursor", "")
    return cursor_read(text) if text else None


def cursor_number(request: Request) -> int:
    """Return the same of a list whose rows have numbers; 0 for the first page.  Raises BadValue."""
    found = cursor_of(request)
    if found is None:
        return 0
    if not found[1].isascii() or not found[1].isdigit() or len(found[1]) >= DIGITS:
        raise NotACursor
    return int(found[1])


def newest_page(
    request: Request, rows: QuerySet[Any, Row], *, default: int, most: int
) -> tuple[list[Row], str | None]:
    """Return one page of rows that stand newest first by their keys, and the cursor of the next, if any.

    Raises BadValue.
    """
    limit, before = number(request, "limit", least=1, default=default, most=most), cursor_number(request)
    found: list[Any] = list((rows.filter(pk__lt=before) if before else rows)[: limit + 1])
    last = found[limit - 1] if len(found) > limit else None
    return found[:limit], None if last is None else cursor_write(last.created_at, last.pk)
