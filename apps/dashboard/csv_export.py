"""Lists as CSV: streamed some lines at a time, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.utils.translation import gettext

from apps.core.formatting import whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

CSV_MAX: Final = 100_000
"""Rows of one download; the newest."""
CSV_READ: Final = CSV_MAX + 1
"""Rows that are read for one: the last tells that there are more."""
CHUNK: Final = 500
"""Rows that are read, and lines that are sent, at a time."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell."""


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
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def cut_text() -> str:
    """Return what stands at the end of a file that has not all rows."""
    return gettext("CUT after {rows} rows, there are more: narrow the filter").format(rows=whole(CSV_MAX))


def csv_answer(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Download:
    """Stream `rows`, up to `CSV_READ` of them, as the file `name`; a last line says where it was cut."""
    writer = csv.writer(Echo())

    def lines() -> Iterator[str]:
        yield writer.writerow(head)
        for number, row in enumerate(rows):
            if number == CSV_MAX:
                yield writer.writerow([cut_text()])
                return
            yield writer.writerow([cell(value) for value in row])

    return Download(name, lines(), content_type="text/csv")
