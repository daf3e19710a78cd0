"""Lists as CSV: streamed some lines at a time, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.db.models import Q
from django.http import StreamingHttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
    from typing import TypeVar

    from django.db.models import QuerySet

    Row = TypeVar("Row")

CHUNK: Final = 500
"""Rows that are read, and lines that are sent, at a time."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell."""
NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
"""What no spreadsheet runs, though it may begin with a minus."""


class Download(StreamingHttpResponse):
    """A file whose lines are made while it is sent, under WSGI and under ASGI.

    Django's own class reads a plain iterator to its end before ASGI sends the first byte.
    """

    def __init__(self, name: str, lines: Iterable[str], *, content_type: str) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        super().__init__(lines, content_type=content_type, headers=headers)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Make some lines at a time in the request's thread, where they may ask the database."""
        lines = iter(self)

        def part() -> bytes:
            return b"".join(islice(lines, CHUNK))

        while some := await sync_to_async(part)():
            yield some


class Echo:
    """A file that returns what is written, so that csv can stream."""

    def write(self, value: str) -> str:
        """Return the line."""
        return value


def cell(value: Any) -> Any:
    """Return a value as its cell: text that a spreadsheet would run gets an apostrophe before it."""
    is_run = isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value)
    return f"'{value}" if is_run else value


def rows_in_turn(rows: QuerySet[Any, Row]) -> Iterator[Row]:
    """Yield all rows of a list, however many, in its order and `CHUNK` at a time.

    Each part begins after the last row of the one before, by what the list is ordered by, which has the key
    last and no nulls: no cursor and no transaction stays open while somebody's slow line takes the file, so
    that a pooler may give each part another session.
    """
    order = [str(name) for name in rows.query.order_by or rows.model._meta.ordering]
    assert order[-1].lstrip("-") == "pk", order
    part = rows
    while True:
        found = list(part[:CHUNK])
        yield from found
        if len(found) < CHUNK:
            return
        part = rows.filter(_after(found[-1], order))


def _after(row: Any, order: Sequence[str]) -> Q:
    """Return the condition of what comes after a row in an order of fields."""
    names = [name.lstrip("-") for name in order]
    values = [getattr(row, name) for name in names]
    later = ["lt" if name.startswith("-") else "gt" for name in order]
    found = Q(pk__in=())
    for place, name in enumerate(names):
        same = Q(**dict(zip(names[:place], values[:place], strict=True)))
        found |= same & Q(**{f"{name}__{later[place]}": values[place]})
    # Said by itself, as an index finds that and not one side of an OR.
    return Q(**{f"{names[0]}__{later[0]}{'e' if len(names) > 1 else ''}": values[0]}) & found


def csv_answer(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Download:
    """Stream all of `rows` as the file `name`."""
    writer = csv.writer(Echo())

    def lines() -> Iterator[str]:
        yield writer.writerow(head)
        for row in rows:
            yield writer.writerow([cell(value) for value in row])

    return Download(name, lines(), content_type="text/csv")
