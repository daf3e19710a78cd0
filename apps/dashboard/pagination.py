"""Keyset pages of lists: a cursor names the last row shown, so that no page costs more than the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core import signing
from django.db.models import Q
from django.utils.http import urlencode

from apps.core import formatting

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
    is_tag: bool = False
    """Whether its label is a name that people gave, such as a group."""


def facets_of(
    here: str,
    states: Iterable[tuple[str, StrOrPromise, str, str]],
    counts: Mapping[str, int] | None = None,
    /,
    *,
    state: str,
    q: str = "",
    **others: str,
) -> list[Facet]:
    """Return a filter for each state (key, label, tone, icon); its address keeps search and other filters.

    `counts`: the number of rows of each state, by key.
    """
    return [
        Facet(
            key=key,
            label=label,
            href=_address(here, {"state": key, "q": q, **others}),
            on=key == state,
            count=None if counts is None else formatting.whole(counts.get(key, 0)),
            tone=tone,
            icon=icon,
        )
        for key, label, tone, icon in states
    ]


def tags_of(here: str, names: Iterable[str], *, field: str, query: Mapping[str, str]) -> list[Facet]:
    """Return a filter for each name that a field may have; the address of the active one removes it."""
    chosen = query.get(field, "")
    return [
        Facet(
            key=name,
            label=name,
            href=_address(here, {**query, field: "" if name == chosen else name}),
            on=name == chosen,
            is_tag=True,
        )
        for name in names
    ]


def _address(here: str, query: Mapping[str, str]) -> str:
    params = {name: value for name, value in query.items() if value}
    return f"{here}?{urlencode(params)}" if params else here


def cursor_read(text: str, *, of: str) -> str:
    """Return the value of a signed cursor; empty if it was changed or is another list's."""
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
    field: str = "after",
    many: int = 0,
) -> tuple[list[Row], Pager]:
    """Cut one page from up to ROWS + 1 rows, or `many` + 1; return it with the addresses of its neighbours.

    `of` names the list: no other list accepts its cursors.  `stopped_at` is the cursor of a search that
    stopped before the page was full.  `field` is the query field with the cursor.
    """
    many = many or ROWS
    shown, more = list(rows[:many]), len(rows) > many
    params = {key: value for key, value in query.items() if value and key != field}
    first = "?" + urlencode(params)
    cursor = cursor_of(shown[-1]) if more else stopped_at
    after = signing.dumps(cursor, salt=f"cursor.{of}")
    older = "?" + urlencode({**params, field: after}) if cursor else ""
    return shown, Pager(shown=len(shown), newer="" if is_first else first, older=older)


def page_counted(
    rows: Sequence[Row] | QuerySet[Any, Row],
    after: str,
    *,
    query: Mapping[str, str] | None = None,
    field: str = "after",
    many: int = 0,
) -> tuple[list[Row], Pager]:
    """Cut one page from all rows of a list whose order changes by itself: the cursor `after` counts rows."""
    cursor, many = cursor_read(after, of="counted"), many or ROWS
    at = int(cursor) if cursor.isdigit() else 0
    numbered = list(enumerate(rows[at : at + many + 1], start=at + 1))
    shown, pager = page_of(
        numbered,
        of="counted",
        cursor_of=lambda row: str(row[0]),
        query=query or {},
        is_first=at == 0,
        field=field,
        many=many,
    )
    return [row for _, row in shown], pager


def page_ranked(
    rows: QuerySet[Any, Any], after: str, *, of: str, query: Mapping[str, str]
) -> tuple[list[int], Pager]:
    """Cut one page of keys from rows with a `rank`, by rank and name: those that need attention first."""
    rank, _, rest = cursor_read(after, of=of).partition(" ")
    key, _, name = rest.partition(" ")
    if key:
        same = Q(rank=rank) & (Q(name__gt=name) | Q(name=name, pk__gt=key))
        rows = rows.filter(Q(rank__gt=rank) | same)
    shown, pager = page_of(
        list(rows.order_by("rank", "name", "pk").values_list("rank", "pk", "name")[: ROWS + 1]),
        of=of,
        cursor_of=lambda place: " ".join(map(str, place)),
        query=query,
        is_first=not key,
    )
    return [pk for _, pk, _ in shown], pager


def rows_of_keys(rows: QuerySet[Any, Row], keys: Sequence[int]) -> list[Row]:
    """Return the rows with these keys in the order of the keys."""
    found: dict[int, Row] = {row.pk: row for row in rows.filter(pk__in=keys)}  # type: ignore[attr-defined]
    return [found[key] for key in keys if key in found]
