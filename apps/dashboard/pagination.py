"""Keyset pages of lists: a cursor names the last row shown, so that no page costs more than the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core import signing
from django.utils.http import urlencode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeVar

    from django.db.models import QuerySet
    from django_stubs_ext import StrOrPromise

    Row = TypeVar("Row")

ROWS: Final = 50
"""Rows of one page."""


@dataclass(frozen=True, slots=True)
class Pager:
    """What stands below a list."""

    shown: int
    newer: str
    """Address of the first page; empty on it."""
    older: str
    """Address of the next page; empty on the last."""

    def oldest(self, orders: Sequence[float]) -> float | None:
        """Return the order above which a row belongs on the first page, of its rows'; None on others."""
        if self.newer:
            return None
        return orders[-1] if self.older else 0


@dataclass(frozen=True, slots=True)
class Facet:
    """A filter that can be switched on: its address is the saved view."""

    key: str
    label: StrOrPromise
    href: str
    on: bool
    count: str | None = None
    tone: str = ""
    icon: str = ""


def facets_of(
    here: str, states: Iterable[tuple[str, StrOrPromise, str, str]], *, state: str, q: str, **others: str
) -> list[Facet]:
    """Return a list's filters, of key, label, tone and icon, with their addresses; a search goes along."""
    found = []
    for key, label, tone, icon in states:
        params = {name: value for name, value in {"state": key, "q": q, **others}.items() if value}
        href = f"{here}?{urlencode(params)}" if params else here
        found.append(Facet(key=key, label=label, href=href, on=key == state, tone=tone, icon=icon))
    return found


def cursor_read(text: str, *, of: str) -> str:
    """Return what an earlier page put into a list's cursor; empty if it is none of this list, or changed."""
    try:
        return str(signing.loads(text, salt=f"cursor.{of}")) if text else ""
    except signing.BadSignature:
        return ""


def page_of(
    rows: Sequence[Row],
    *,
    of: str,
    cursor_of: Callable[[Row], str],
    query: Mapping[str, str],
    is_first: bool,
    stopped_at: str = "",
) -> tuple[list[Row], Pager]:
    """Cut one page from up to ROWS + 1 rows and say where the neighbours are.

    `of` names the list: its cursors are no other list's.  `stopped_at` is the cursor of a search that stopped
    before it had the page full.
    """
    shown, more = list(rows[:ROWS]), len(rows) > ROWS
    params = {key: value for key, value in query.items() if value and key != "after"}
    first = "?" + urlencode(params)
    cursor = cursor_of(shown[-1]) if more else stopped_at
    after = signing.dumps(cursor, salt=f"cursor.{of}")
    older = "?" + urlencode({**params, "after": after}) if cursor else ""
    return shown, Pager(shown=len(shown), newer="" if is_first else first, older=older)


def page_counted(rows: Sequence[Row] | QuerySet[Any, Row], after: str) -> tuple[list[Row], Pager]:
    """Cut one page from all rows of a list whose order changes by itself: the cursor `after` counts rows."""
    cursor = cursor_read(after, of="counted")
    at = int(cursor) if cursor.isdigit() else 0
    numbered = list(enumerate(rows[at : at + ROWS + 1], start=at + 1))
    shown, pager = page_of(
        numbered, of="counted", cursor_of=lambda row: str(row[0]), query={}, is_first=at == 0
    )
    return [row for _, row in shown], pager
