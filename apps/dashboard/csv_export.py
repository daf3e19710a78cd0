"""Lists as CSV: streamed some lines at a time, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

from apps.dashboard.pagination import condition_after, order_of

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
"""Numbers: they may begin with a minus, and no spreadsheet runs them."""


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
    that a pooler may give each part another session.  A list that a person put in order is short, and read
    at once.
    """
    if not all(isinstance(name, str) for name in rows.query.order_by):
        yield from list(rows)
        return
    order, part = order_of(rows), rows
    while True:
        found = list(part[:CHUNK])
        yield from found
        if len(found) < CHUNK:
            return
        values = [getattr(found[-1], name.lstrip("-")) for name in order]
        part = rows.filter(condition_after(values, order))


def csv_answer(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Download:
    """Stream all of `rows` as the file `name`."""
    writer = csv.writer(Echo())

    def lines() -> Iterator[str]:
        yield writer.writerow(head)
        for row in rows:
            yield writer.writerow([cell(value) for value in row])

    return Download(name, lines(), content_type="text/csv")
