"""Keyset pages of lists: a cursor names the last row shown, so that no page costs more than the first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.core import signing
from django.db.models import IntegerField, Q, Subquery
from django.utils.http import urlencode
from django.utils.translation import gettext

from apps.core import formatting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from django.db.models import QuerySet
    from django_stubs_ext import StrOrPromise

    Row = TypeVar("Row")

Query = Mapping[str, str | Sequence[str]]
"""What an address has, by name; some of several values."""
ROWS: Final = 50
"""Rows of one page."""
CHIP_MAX: Final = 1_000
"""Up to here the rows of a chip are counted."""
COUNT_MAX: Final = 10_000
"""Up to here the rows of a list without end are counted: a page costs no more, however many there are."""


class CountOf(Subquery):
    """How many rows a query finds, asked within another one; up to one more than `COUNT_MAX`."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"

    def __init__(self, rows: QuerySet[Any, Any], most: int | None = None) -> None:
        most = COUNT_MAX if most is None else most
        plain = rows.order_by().prefetch_related(None).values("pk")[: most + 1]
        super().__init__(plain, output_field=IntegerField())


def counts_text(counted: Mapping[str, QuerySet[Any, Any]]) -> dict[str, str]:
    """Return how many rows each query finds, in one statement: `12`, or `1 000+` beyond `CHIP_MAX`."""
    if not counted:
        return {}
    model = next(iter(counted.values())).model
    numbers = [CountOf(rows, CHIP_MAX) for rows in counted.values()]
    # One row of the table has the counts of all; without any, each is zero.
    found = model._default_manager.order_by().values_list(*numbers)[:1]
    counts = [count or 0 for count in next(iter(found), [0] * len(numbers))]
    beyond = gettext("{count}+").format(count=formatting.whole(CHIP_MAX))
    texts = [beyond if count > CHIP_MAX else formatting.whole(count) for count in counts]
    return dict(zip(counted, texts, strict=True))


@dataclass(frozen=True, slots=True)
class Pager:
    """What stands below a list."""

    shown: int
    newer: str
    """Address of the first page; empty on it."""
    older: str
    """Address of the next page; empty on the last."""
    before: int | None = 0
    """Rows on earlier pages; None if the cursor does not say."""
    total: int | None = None
    """Rows of all pages, as far as they are counted; None if nobody did."""
    note: StrOrPromise = ""
    """How far a search has read, if not to the end."""

    @property
    def span(self) -> str:
        """Return which rows of how many these are: `51–100 of 12 403`."""
        if self.before is None or not self.shown:
            return gettext("{shown} shown").format(shown=formatting.whole(self.shown))
        first, last = self.before + 1, self.before + self.shown
        rows = (
            formatting.whole(first)
            if first == last
            else f"{formatting.whole(first)}–{formatting.whole(last)}"
        )
        if not self.older:
            total = formatting.whole(last)
        elif self.total is None:
            return rows
        elif self.total > COUNT_MAX:
            total = gettext("more than {count}").format(count=formatting.whole(COUNT_MAX))
        else:
            total = formatting.whole(max(self.total, last))
        return gettext("{rows} of {total}").format(rows=rows, total=total)

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
    counts: Mapping[str, int | str] | None = None,
    /,
    *,
    state: str,
    q: str | Sequence[str] = "",
    **others: str | Sequence[str],
) -> list[Facet]:
    """Return a filter for each state (key, label, tone, icon); its address keeps search and other filters.

    `counts`: the number of rows of states, by key, as far as it is known.
    """
    return [
        Facet(
            key=key,
            label=label,
            href=_address(here, {"state": key, "q": q, **others}),
            on=key == state,
            count=None if counts is None or key not in counts else _count_text(counts[key]),
            tone=tone,
            icon=icon,
        )
        for key, label, tone, icon in states
    ]


def _count_text(count: int | str) -> str:
    return count if isinstance(count, str) else formatting.whole(count)


def tags_of(here: str, names: Iterable[str], *, field: str, query: Query) -> list[Facet]:
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


def _address(here: str, query: Query) -> str:
    params = {name: value for name, value in query.items() if value}
    return f"{here}?{urlencode(params, doseq=True)}" if params else here


def cursor_read(text: str, *, of: str) -> str:
    """Return the value of a signed cursor; empty if it was changed or is another list's."""
    return _cursor(text, of=of)[0]


def _cursor(text: str, *, of: str) -> tuple[str, int | None]:
    """Return a cursor's value, and how many rows stand before what it leads to; None: it does not say."""
    try:
        found = signing.loads(text, salt=f"cursor.{of}") if text else ""
    except signing.BadSignature:
        found = ""
    if isinstance(found, list):
        return str(found[0]), int(found[1])
    return str(found), None if found else 0


def page_of(  # noqa: PLR0913  # what a page is cut by
    rows: Sequence[Row],
    *,
    of: str,
    cursor_of: Callable[[Row], str],
    query: Query,
    is_first: bool,
    stopped_at: str = "",
    field: str = "after",
    many: int = 0,
    before: int | None = None,
    total: int | None = None,
) -> tuple[list[Row], Pager]:
    """Cut one page from up to ROWS + 1 rows, or `many` + 1; return it with the addresses of its neighbours.

    `of` names the list: no other list accepts its cursors.  `stopped_at` is the cursor of a search that
    stopped before the page was full.  `field` is the query field with the cursor.
    """
    many = many or ROWS
    shown, more = list(rows[:many]), len(rows) > many
    params = {key: value for key, value in query.items() if value and key != field}
    first = "?" + urlencode(params, doseq=True)
    cursor = cursor_of(shown[-1]) if more else stopped_at
    before = 0 if is_first else before
    place = cursor if before is None else [cursor, before + len(shown)]
    after = signing.dumps(place, salt=f"cursor.{of}")
    older = "?" + urlencode({**params, field: after}, doseq=True) if cursor else ""
    newer = "" if is_first else first
    return shown, Pager(shown=len(shown), newer=newer, older=older, before=before, total=total)


def page_newest(
    rows: QuerySet[Any, Row], after: str, *, of: str, query: Query, field: str = "after"
) -> tuple[list[Row], Pager]:
    """Cut one page of rows in the order of their keys, newest first."""
    return _page_keyed(
        rows,
        after,
        of=of,
        query=query,
        field=field,
        cursor_of=lambda row: str(row.pk),
        below=lambda cursor: Q(pk__lt=int(cursor)),
    )


def page_by_time(
    rows: QuerySet[Any, Row], after: str, *, of: str, query: Query, field: str = "after"
) -> tuple[list[Row], Pager]:
    """Cut one page of rows in the order in which they were made, newest first."""

    def below(cursor: str) -> Q:
        moment, _, pk = cursor.partition(" ")
        at = datetime.fromisoformat(moment)
        # An index stops at the time, the exclusion settles equal times.
        return Q(created_at__lte=at) & ~Q(created_at=at, pk__gte=pk)

    def cursor_of(row: Any) -> str:
        return f"{row.created_at.isoformat()} {row.pk}"

    return _page_keyed(rows, after, of=of, query=query, field=field, cursor_of=cursor_of, below=below)


def page_in_turn(
    rows: QuerySet[Any, Row], after: str, *, of: str, query: Query, field: str = "after"
) -> tuple[list[Row], Pager]:
    """Cut one page of rows in their own order, which has the key last and no nulls."""
    order = order_of(rows)

    def cursor_of(row: Any) -> str:
        return json.dumps([getattr(row, name.lstrip("-")) for name in order], default=str)

    def below(cursor: str) -> Q:
        return condition_after(json.loads(cursor), order)

    # A list whose cursors were written otherwise takes none of those.
    of = f"{of}.turn"
    return _page_keyed(rows, after, of=of, query=query, field=field, cursor_of=cursor_of, below=below)


def order_of(rows: QuerySet[Any, Any]) -> list[str]:
    """Return the fields by which rows are in order, with the key last."""
    order = [str(name) for name in rows.query.order_by or rows.model._meta.ordering]
    assert order[-1].lstrip("-") == "pk", order
    return order


def condition_after(values: Sequence[Any], order: Sequence[str]) -> Q:
    """Return the condition of what comes after a row with these values, in an order of fields."""
    names = [name.lstrip("-") for name in order]
    later = ["lt" if name.startswith("-") else "gt" for name in order]
    found = Q(pk__in=())
    for place, name in enumerate(names):
        same = Q(**dict(zip(names[:place], values[:place], strict=True)))
        found |= same & Q(**{f"{name}__{later[place]}": values[place]})
    # Said by itself, as an index finds that and not one side of an OR.
    return Q(**{f"{names[0]}__{later[0]}{'e' if len(names) > 1 else ''}": values[0]}) & found


def _page_keyed(
    rows: QuerySet[Any, Row],
    after: str,
    *,
    of: str,
    query: Query,
    field: str,
    cursor_of: Callable[[Any], str],
    below: Callable[[str], Q],
) -> tuple[list[Row], Pager]:
    cursor, before = _cursor(after, of=of)
    counted = rows.annotate(rows_in_all=CountOf(rows))
    found: list[Any] = list((counted.filter(below(cursor)) if cursor else counted)[: ROWS + 1])
    return page_of(
        found,
        of=of,
        cursor_of=cursor_of,
        query=query,
        is_first=not cursor,
        field=field,
        before=before,
        total=found[0].rows_in_all if found else 0,
    )


def page_counted(
    rows: Sequence[Row] | QuerySet[Any, Row],
    after: str,
    *,
    of: str = "counted",
    query: Query | None = None,
    field: str = "after",
    many: int = 0,
) -> tuple[list[Row], Pager]:
    """Cut one page from all rows of a list whose order changes by itself: the cursor `after` counts rows."""
    cursor, many = cursor_read(after, of=of), many or ROWS
    at = int(cursor) if cursor.isdigit() else 0
    numbered = list(enumerate(rows[at : at + many + 1], start=at + 1))
    shown, pager = page_of(
        numbered,
        of=of,
        cursor_of=lambda row: str(row[0]),
        query=query or {},
        is_first=at == 0,
        field=field,
        many=many,
        before=at,
        total=_total(rows) if len(numbered) > many else None,
    )
    return [row for _, row in shown], pager


def _total(rows: Sequence[Any] | QuerySet[Any, Any]) -> int:
    return len(rows) if isinstance(rows, Sequence) else rows.order_by()[: COUNT_MAX + 1].count()
